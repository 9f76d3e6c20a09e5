"""trt-build with TensorRT-RTX itself, without a GPU: engines in three precisions, and graphs that it must refuse."""

import hashlib
import json
import os
import random
import struct
import subprocess

import graphs
import numpy as np
import pytest
from peers import BIN, tensorrt

LIBRARY = tensorrt()
pytestmark = pytest.mark.skipif(not LIBRARY, reason="make test-tensorrt builds trt-build and installs TensorRT")


def build(folder, model, *args, status=0):
    """Builds `model` (bytes); returns standard error, of which a failure has one line."""
    (folder / "model.onnx").write_bytes(model)
    env = os.environ | {"TENSORRT_DYLIB_PATH": LIBRARY}
    command = [BIN / "trt-build", "model.onnx", *args]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stderr
    if status:
        assert done.stderr.count("\n") == 1 and not (folder / "model.engine").exists(), done.stderr
    return done.stderr


def manifest(folder):
    return json.loads((folder / "model.engine.json").read_text())


@pytest.mark.parametrize("precision, types", [("fp32", {"float32"}), ("fp16", {"float16"}), ("int8", {"float32", "int8"})])
@pytest.mark.parametrize("net", [graphs.mlp, graphs.resnet])
def test_precision_is_that_of_the_graph(net, precision, types, tmp_path):
    model = net(precision)
    assert build(tmp_path, model) == ""
    engine, about = (tmp_path / "model.engine").read_bytes(), manifest(tmp_path)
    assert len(engine) > 100_000
    assert about["onnx"] == {"sha256": hashlib.sha256(model).hexdigest(), "with_weights_sha256": None}
    assert about["library"]["name"] == "TensorRT-RTX" and about["library"]["version"].startswith("1.7.")
    assert {*about["precision"]} == types
    (x,), (y,) = about["inputs"], about["outputs"]
    element = "float16" if precision == "fp16" else "float32"
    assert (x["name"], x["dtype"], y["name"], y["dtype"]) == ("x", element, "y", element)
    assert x["profile"] == {kind: [size, *x["shape"][1:]] for kind, size in [("min", 1), ("opt", 8), ("max", 64)]}
    # Each weighted operator is computed by a layer, which reads int8 if the operator is quantized.
    weighted = {"layer1", "layer2", "layer3"} if net is graphs.mlp else {"stem", "s0b0_conv1", "s1b0_shortcut", "head"}
    for node in weighted:
        layers = [layer for layer in about["layers"] if node in layer["onnx_nodes"]]
        assert layers, node
        read = {tensor["dtype"] for layer in layers for tensor in layer["inputs"]}
        assert ("int8" in read) == (precision == "int8"), node


def test_quantized_nodes_that_are_computed_in_float_are_told(tmp_path):
    """A scale of shape [1] means the same as a scalar, and TensorRT has no int8 convolution for it."""
    said = build(tmp_path, graphs.resnet("int8", scale_shape=(1,)))
    assert said.count("\n") == 1 and "TensorRT computes 6 of 7 quantized nodes in float" in said
    assert {layer["kind"]: layer["inputs"][0]["dtype"] for layer in manifest(tmp_path)["layers"] if layer["inputs"]}["gemm"] == "int8"


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_second_build_has_the_same_manifest(precision, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        build(folder, graphs.resnet(precision), "--export-layer-info", "layers.json")
    assert (first / "model.engine.json").read_bytes() == (second / "model.engine.json").read_bytes()
    layers = json.loads((first / "layers.json").read_text())
    assert [layer["Name"] for layer in layers["Layers"]] == [layer["name"] for layer in manifest(first)["layers"]]
    assert layers["Bindings"] == ["x", "y"]


@pytest.mark.parametrize("targets", [[80], [86], [89], [120], [121], [80, 121]])
def test_every_target_builds(targets, tmp_path):
    build(tmp_path, graphs.mlp(), f"compute_capabilities={targets}".replace(" ", ""))
    assert manifest(tmp_path)["compute_capabilities"] == targets


def test_turing_has_no_fp32_matrix_multiplication(tmp_path):
    error = build(tmp_path, graphs.mlp(), "compute_capabilities=[75]", status=2)
    assert "for Turing (SM75): FP32 GEMM is not supported" in error and "/_src/" not in error
    build(tmp_path, graphs.mlp("fp16"), "compute_capabilities=[75]")


def test_options_are_taken(tmp_path):
    options = ["builder_optimization_level=0", "mem_pool_size=workspace:64M", "tf32=false"]
    build(tmp_path, graphs.mlp(), "--min-shapes", "x:2x8", "--opt-shapes", "x:4x8", "--max-shapes", "x:6x8", *options)
    about = manifest(tmp_path)
    assert about["settings"] == {"builder_optimization_level": 0, "workspace_bytes": 64 << 20, "tf32": False}
    assert about["inputs"][0]["profile"] == {"min": [2, 8], "opt": [4, 8], "max": [6, 8]}
    log = build(tmp_path, graphs.mlp(), "verbosity=verbose")
    assert "trt-build: TensorRT: Parsing node: layer1 [Gemm]" in log


def test_a_pipe_gives_the_same_as_a_file(tmp_path):
    build(tmp_path, graphs.mlp())
    env = os.environ | {"TENSORRT_DYLIB_PATH": LIBRARY}
    command = [BIN / "trt-build", "-", "-o", "-", "--manifest", "piped.json"]
    done = subprocess.run(command, input=graphs.mlp(), cwd=tmp_path, env=env, capture_output=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")
    # A perceptron's engine is the same in every build.
    assert done.stdout == (tmp_path / "model.engine").read_bytes()
    assert (tmp_path / "piped.json").read_bytes() == (tmp_path / "model.engine.json").read_bytes()


NO_OPERATOR = 'node "second" ({0}): TensorRT has no operator {0}, or not in this form'


@pytest.mark.parametrize(
    "model, reason",
    [
        (graphs.of_node("Unique", y=("n",)), NO_OPERATOR.format("Unique")),
        (graphs.of_node("Frobnicate", "acme"), NO_OPERATOR.format("Frobnicate")),
        (graphs.of_node("Frobnicate", name=""), 'node "y" (Frobnicate): '),
        (graphs.of_node("MatMul", y=("batch", 3), weights=[np.zeros((7, 3), np.float32)]), 'node "second" (MatMul): second: '),
        (graphs.of_node("Add", weights=[np.zeros((1, 7), np.float32)]), "broadcast dimensions must be conformable"),
        (graphs.of_node("Relu", x=(1,) * 9, y=(1,) * 9), "Failed to convert ONNX dimensions to TensorRT dimensions"),
    ],
)
def test_what_tensorrt_refuses_names_the_node_and_the_reason(model, reason, tmp_path):
    error = build(tmp_path, model, status=2)
    assert reason in error
    assert "CUDA driver" not in error and ".cpp" not in error, error


@pytest.mark.parametrize(
    "model, reason",
    [
        (b"", "empty, expected an ONNX model"),
        (random.Random(0).randbytes(1000), "no ONNX model"),
        (graphs.of_node("Relu", x=(1 << 40, 1 << 40), y=(1 << 40, 1 << 40)), "is larger than any memory"),
        (graphs.of_node("Relu", x=("n", "m"), y=("n", "m")), "axes 0 (n), 1 (m) are dynamic, not the batch axis alone"),
    ],
)
def test_what_is_no_use_to_tensorrt_is_refused_before_it(model, reason, tmp_path):
    assert reason in build(tmp_path, model, status=2)


def test_a_cut_model_is_refused_at_any_length(tmp_path):
    model = graphs.mlp("int8")
    for length in random.Random(1).sample(range(len(model)), 40):
        build(tmp_path, model[:length], status=2)


def test_mutations_build_or_are_one_line(tmp_path):
    """Some crash TensorRT, which must not end trt-build."""
    draw = random.Random(2)
    models = [graphs.mlp(), graphs.mlp("int8"), graphs.of_node("Unique", y=("n",))]
    statuses = set()
    for _ in range(60):
        model = bytearray(draw.choice(models))
        for _ in range(draw.choice([1, 2, 8])):
            model[draw.randrange(len(model))] = draw.randrange(256)
        (tmp_path / "model.onnx").write_bytes(model)
        env = os.environ | {"TENSORRT_DYLIB_PATH": LIBRARY}
        command = [BIN / "trt-build", "model.onnx", "verbosity=quiet", "compute_capabilities=[80]"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, timeout=300)
        assert done.returncode in (0, 2) and done.stderr.count(b"\n") == (1 if done.returncode else 0), done.stderr
        statuses.add(done.returncode)
    assert statuses == {0, 2}


def test_weights_outside_the_folder_are_not_read(tmp_path):
    (tmp_path / "model").mkdir()
    folder = tmp_path / "model"
    for location in ["../secret", "/etc/passwd", "missing.bin"]:
        build(folder, graphs.with_external_data(location), status=2)


def test_a_run_without_a_gpu_says_so(tmp_path):
    """The frames are those of trt-protocol; the answer is an error, not a crash."""
    build(tmp_path, graphs.mlp())

    def frame(head, payload=b""):
        head = json.dumps(head).encode()
        return b"PGT1" + struct.pack("<IQ", len(head), len(payload)) + head + payload

    load = {"request": "load", "library": LIBRARY, "device": 0, "runtime_cache": None, "verbose": False}
    requests = frame(load, (tmp_path / "model.engine").read_bytes()) + frame(load, b"no engine")
    done = subprocess.run([BIN / "trt-run"], input=requests, cwd=tmp_path, capture_output=True, timeout=300)
    answers, rest = [], done.stdout
    while rest:
        length, payload = struct.unpack_from("<IQ", rest, 4)
        answers.append(json.loads(rest[16 : 16 + length]))
        rest = rest[16 + length + payload :]
    ready, *answers = answers
    assert (done.returncode, ready) == (0, {"answer": "ready", "protocol": 1})
    for answer in answers:
        # `engine` where there is a GPU: the second is none.
        assert answer["answer"] in ("failed", "loaded")
        if answer["answer"] == "failed" and answer["kind"] == "device":
            assert "no CUDA driver" in answer["message"] or "no GPU" in answer["message"]
