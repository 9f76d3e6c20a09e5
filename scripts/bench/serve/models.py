"""The models of the benchmark, in a repository of Triton's layout, and their requests.

`mlp` is the entropy predictor after one epoch, `resnet18` the network for CIFAR-10 after one step, since a server does not mind the
weights; both are trained and exported by the tools. `image` takes an image of 3 × 64 × 64 floats and answers with the mean of each
channel: it costs next to nothing, so that what is measured is the way of an image through a server.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

TYPES = {"tensor(float)": ("FP32", np.float32), "tensor(uint8)": ("UINT8", np.uint8), "tensor(int64)": ("INT64", np.int64)}
MAX_BATCH = 32


@dataclass
class Model:
    """`repository/name/1/model.onnx`, with a config.pbtxt; one input and one output."""

    name: str
    repository: Path
    session: onnxruntime.InferenceSession

    @property
    def onnx(self):
        return self.repository / self.name / "1" / "model.onnx"

    @property
    def input(self):
        """Name, data type of the protocol, NumPy's, and the shape of a row."""
        it = self.session.get_inputs()[0]
        return it.name, *TYPES[it.type], it.shape[1:]

    def rows(self, count=1):
        _, _, dtype, shape = self.input
        random = np.random.default_rng(0)
        if dtype == np.uint8:
            return random.integers(0, 256, (count, *shape), dtype)
        return random.dirichlet(np.ones(shape[-1]), (count, *shape[:-1])).astype(dtype)


def tool(tools, name, *arguments, **options):
    return subprocess.run([tools / name, *map(str, arguments)], check=True, stdout=subprocess.PIPE, **options).stdout


def train_mlp(tools, folder):
    rows = tool(tools, "entropy", input=tool(tools, "gen-data", "--to", "npy", "rows=20000"))
    tool(tools, "train", "--quiet", "-o", folder / "run", "trainer.max_epochs=1", input=rows)
    tool(tools, "export", folder / "run", "-o", folder / "model.onnx")


def train_resnet18(tools, folder):
    rows = np.zeros(256, [("image", "u1", (3, 32, 32)), ("label", "i8")])
    rows["image"] = np.random.default_rng(0).integers(0, 256, rows["image"].shape, np.uint8)
    rows["label"] = np.arange(len(rows)) % 10
    np.save(folder / "rows.npy", rows)
    settings = ["--config-name", "cifar10", "model=resnet18", "trainer.max_steps=1", "trainer.batch_size=32", "--quiet"]
    tool(tools, "train", *settings, folder / "rows.npy", "-o", folder / "run")
    tool(tools, "export", folder / "run", "-o", folder / "model.onnx", "export.check_input=null")


def build_image(_, folder):
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("GlobalAveragePool", ["image"], ["mean"])
    ends = [value("image", onnx.TensorProto.FLOAT, ["batch", 3, 64, 64])], [value("mean", onnx.TensorProto.FLOAT, ["batch", 3, 1, 1])]
    graph = onnx.helper.make_graph([node], "image", *ends)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx")


BUILD = {"mlp": train_mlp, "image": build_image, "resnet18": train_resnet18}

CONFIG = """max_batch_size: {batch}
instance_group [{{ kind: KIND_CPU count: 1 }}]
dynamic_batching {{ }}
"""
TENSORS = """name: "{name}"
backend: "{backend}"
input [{{ name: "{input[0]}" data_type: TYPE_{input[1]} dims: {input[3]} }}]
output [{{ name: "{output.name}" data_type: TYPE_{type} {dims} }}]
"""


def prepare(tools, name, folder):
    """Builds and lays out a model below `folder`, once."""
    repository = folder / "repositories" / name
    onnx = repository / name / "1" / "model.onnx"
    if not onnx.exists():
        work = folder / "training" / name
        work.mkdir(parents=True, exist_ok=True)
        BUILD[name](tools, work)
        onnx.parent.mkdir(parents=True, exist_ok=True)
        (work / "model.onnx").rename(onnx)
    model = Model(name, repository, onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"]))
    (repository / name / "config.pbtxt").write_text(CONFIG.format(batch=MAX_BATCH))
    return model


def triton_config(model, backend):
    """The config.pbtxt with what Triton must be told, and `serve` finds in the model."""
    output = model.session.get_outputs()[0]
    dims = f"dims: {output.shape[1:]}" if output.shape[1:] else "dims: [1] reshape { shape: [] }"  # no dims of length 0
    tensors = TENSORS.format(name=model.name, backend=backend, input=model.input, output=output, type=TYPES[output.type][0], dims=dims)
    return tensors + (model.repository / model.name / "config.pbtxt").read_text()


def http(path, body, **headers):
    """A whole request of HTTP/1.1."""
    headers = {"Host": "127.0.0.1", "Content-Length": len(body), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{key.replace('_', '-')}: {value}" for key, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def request(model, protocol):
    """What one call of `protocol` with one row sends: of gRPC the message, of the others the whole request."""
    name, datatype, _, _ = model.input
    rows = model.rows()
    if protocol == "grpc":
        from tritonclient.grpc import service_pb2 as pb

        tensor = pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=rows.shape)
        return pb.ModelInferRequest(model_name=model.name, inputs=[tensor], raw_input_contents=[rows.tobytes()]).SerializeToString()
    if protocol == "invocations":
        return http("/invocations", json.dumps({"inputs": {name: rows.tolist()}}).encode(), Content_Type="application/json")
    tensor = {"name": name, "shape": rows.shape, "datatype": datatype}
    if protocol == "json":
        body = json.dumps({"inputs": [tensor | {"data": rows.ravel().tolist()}]}, separators=(",", ":")).encode()
        return http(f"/v2/models/{model.name}/infer", body, Content_Type="application/json")
    tensor["parameters"] = {"binary_data_size": rows.nbytes}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}, separators=(",", ":")).encode()
    length = {"Inference_Header_Content_Length": len(head)}
    return http(f"/v2/models/{model.name}/infer", head + rows.tobytes(), Content_Type="application/octet-stream", **length)
