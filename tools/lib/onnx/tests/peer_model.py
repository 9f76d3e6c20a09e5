"""Models that are read and written, against ONNX's own reader: tensors in every storage form, graphs, and what they compute.

The example `copy` of the library reads and writes; `cargo test` builds it.
"""

import os
import subprocess
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

COPY = Path(os.environ["PIPEGRAD_BIN"]) / "examples" / "copy"
CORPUS = Path(__file__).parents[4] / "fuzz" / "corpus" / "onnx_model"
ort.set_default_logger_severity(3)


def copied(folder, model):
    """The model, read and written by us."""
    before, after = folder / "before.onnx", folder / "after.onnx"
    if isinstance(model, Path):
        before = model
    else:
        before.write_bytes(model.SerializeToString())
    subprocess.run([COPY, before, after], check=True)
    again = folder / "again.onnx"
    subprocess.run([COPY, after, again], check=True)
    assert after.read_bytes() == again.read_bytes()
    return onnx.load(after)


def identity(*tensors):
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [out], list(tensors))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=12)


NUMPY = "float32 float64 float16 int8 uint8 int16 uint16 int32 uint32 int64 uint64 bool complex64 complex128".split()
SMALL = "bfloat16 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float4_e2m1fn int4 uint4 int2 uint2".split()


@pytest.mark.parametrize("raw", [True, False])
def test_every_storage_form_is_read(tmp_path, raw):
    random = np.random.default_rng(0)
    tensors = []
    for name in [*NUMPY, *SMALL]:
        dtype = np.dtype(getattr(ml_dtypes, name, None) or name)
        kind = helper.np_dtype_to_tensor_dtype(dtype)
        # An odd number of elements: those of less than a byte leave a part of the last one empty.
        for shape in [(3, 5), (), (0, 4), (7,)]:
            low = 0 if name.startswith("u") or name == "bool" else -2
            values = random.integers(low, 2, shape).astype(dtype)
            if name.startswith("complex"):
                values = (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(dtype)
            label = f"{name} {shape}"
            if raw:
                tensors.append(numpy_helper.from_array(np.asarray(values), label))
            else:
                tensors.append(helper.make_tensor(label, kind, shape, np.asarray(values).flatten()))
    strings = np.array([["a", "é"], ["", "\0x"]], dtype=object)
    tensors.append(numpy_helper.from_array(strings, "strings"))
    model = copied(tmp_path, identity(*tensors))
    assert len(model.graph.initializer) == len(tensors)
    for before, after in zip(tensors, model.graph.initializer, strict=True):
        assert (after.name, after.data_type, after.dims) == (before.name, before.data_type, before.dims)
        a, b = numpy_helper.to_array(before), numpy_helper.to_array(after)
        assert a.dtype == b.dtype
        assert a.tolist() == b.tolist(), before.name


def test_external_data_is_embedded(tmp_path):
    weights = np.arange(1000, dtype=np.float32).reshape(10, 100)
    names = [f"w{index}" for index in range(3)]
    model = identity(*(numpy_helper.from_array(weights + index, name) for index, name in enumerate(names)))
    path = tmp_path / "external.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="external.bin", size_threshold=0)
    after = copied(tmp_path, path)
    assert not any(tensor.external_data for tensor in after.graph.initializer)
    for index, tensor in enumerate(after.graph.initializer):
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), weights + index)


def outputs(model):
    session = ort.InferenceSession(model.SerializeToString())
    random = np.random.default_rng(0)
    feeds = {}
    for value in session.get_inputs():
        shape = [size if isinstance(size, int) else 2 for size in value.shape]
        feeds[value.name] = random.normal(size=shape).astype(np.float32 if "float" in value.type else bool)
    return session.run(None, feeds)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.onnx")), ids=lambda path: path.stem)
def test_what_is_written_is_valid_and_computes_the_same(tmp_path, path):
    before, after = onnx.load(path), copied(tmp_path, path)
    inferred = onnx.shape_inference.infer_shapes(after, strict_mode=True)
    if path.stem != "control":  # ONNX finds no shape for what a loop carries, and then refuses the output.
        onnx.checker.check_model(inferred)
    assert after.graph.node == before.graph.node
    for a, b in zip(outputs(before), outputs(after), strict=True):
        assert a.dtype == b.dtype
        assert np.array(a).tobytes() == np.array(b).tobytes()


def test_nodes_of_functions_and_other_domains_are_kept(tmp_path):
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    # Written backwards: nodes come out in topological order.
    nodes = [helper.make_node("Relu", ["t"], ["y"]), helper.make_node("Twice", ["x"], ["t"], domain="mine", name="twice")]
    graph = helper.make_graph(nodes, "g", [value], [out])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    model = helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=9)
    helper.set_model_props(model, {"b": "2", "a": "1"})
    after = copied(tmp_path, model)
    onnx.checker.check_model(after)
    assert list(after.graph.node) == nodes[::-1]
    assert after.functions == model.functions
    assert {it.key: it.value for it in after.metadata_props} == {"b": "2", "a": "1"}
    session = ort.InferenceSession(after.SerializeToString())
    assert session.run(None, {"x": np.float32([3])})[0] == [6]
