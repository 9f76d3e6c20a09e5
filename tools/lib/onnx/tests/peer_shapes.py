"""Shape inference against ONNX's own: what it knows, `onnx::shape::infer` knows too; and against what ONNX Runtime computes.

The example `types` of the library prints the inferred types; `cargo test` builds it.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

TYPES = Path(os.environ["PIPEGRAD_BIN"]) / "examples" / "types"
F, I, B, U, H = (TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.UINT8, TensorProto.FLOAT16)
NEWEST = 26
ort.set_default_logger_severity(3)


def model(nodes, inputs, constants=(), opset=17, domains=()):
    """A graph whose every value is an output; `inputs` are name → shape of float32, or name → (type, shape)."""
    typed = {name: it if isinstance(it, tuple) else (F, it) for name, it in inputs.items()}
    values = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in typed.items()]
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(constants).items()]
    names = dict.fromkeys(name for node in nodes for name in node.output if name)
    outputs = [onnx.ValueInfoProto(name=name) for name in names]
    graph = helper.make_graph(nodes, "g", values, outputs, initializers)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=min(10, helper.find_min_ir_version_for(opsets, True)))


def inferred(tmp_path, models):
    paths = []
    for index, it in enumerate(models):
        paths.append(tmp_path / f"{index}.onnx")
        paths[-1].write_bytes(it.SerializeToString())
    done = subprocess.run([TYPES, *paths], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def numpy_name(kind):
    return {F: "float32", TensorProto.DOUBLE: "float64"}.get(kind, TensorProto.DataType.Name(kind).lower())


def dims(tensor):
    return [dim.dim_param or (dim.dim_value if dim.HasField("dim_value") else None) for dim in tensor.shape.dim]


def assert_knows_what_onnx_knows(it, ours):
    assert "error" not in ours, ours["error"]
    peer = onnx.shape_inference.infer_shapes(it, strict_mode=True, data_prop=True)
    for value in [*peer.graph.output, *peer.graph.value_info]:
        tensor = value.type.tensor_type
        if not tensor.elem_type:
            continue
        dtype, shape = ours[value.name]
        assert dtype == numpy_name(tensor.elem_type), value.name
        if not tensor.HasField("shape"):
            continue
        assert shape is not None and len(shape) == len(tensor.shape.dim), f"{value.name}: {shape}, onnx has {dims(tensor)}"
        for size, dim in zip(shape, tensor.shape.dim, strict=True):
            if dim.HasField("dim_value"):
                assert size == dim.dim_value, f"{value.name}: {shape}, onnx has {dims(tensor)}"
            elif dim.dim_param and not dim.dim_param.startswith("unk__"):
                assert size == dim.dim_param, f"{value.name}: {shape}, onnx has {dims(tensor)}"


def assert_holds_in_onnx_runtime(it, ours, tried):
    """The computed shapes are the inferred ones; a symbol is 2, which all models here bear."""
    session = ort.InferenceSession(it.SerializeToString())
    random = np.random.default_rng(0)
    feeds = {}
    for value in it.graph.input:
        shape = [dim.dim_value or 2 for dim in value.type.tensor_type.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        feeds[value.name] = random.integers(0, 2, shape).astype(dtype)
    for out, array in zip(session.get_outputs(), session.run(None, feeds), strict=True):
        dtype, shape = ours[out.name]
        assert dtype == str(array.dtype), out.name
        if shape is None:
            continue
        assert len(shape) == array.ndim, f"{out.name}: {shape}, {array.shape}"
        for size, found in zip(shape, array.shape, strict=True):
            assert found == size or not isinstance(size, int), f"{out.name}: {shape}, {array.shape}"
        tried.append(out.name)


def described(it, error):
    return f"{onnx.printer.to_text(it.graph)}\n{error!r}"


def node(op, inputs, outputs="y", **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def spatial(op, **extra):
    """Convolution-like operators in one to three dimensions, with every way to pad."""
    for rank in (1, 2, 3):
        for attributes in (
            {},
            {"strides": [2] * rank},
            {"pads": [1] * rank + [0] * rank, "dilations": [2] * rank, "strides": [3] * rank},
            {"auto_pad": "SAME_UPPER", "strides": [2] * rank},
            {"auto_pad": "SAME_LOWER", "strides": [3] * rank},
            {"auto_pad": "VALID", "strides": [2] * rank},
        ):
            yield rank, {**attributes, **extra}


def convolutions():
    for rank, attributes in spatial("Conv"):
        weight = np.zeros([8, 4, *[3] * rank], np.float32)
        size = [13, 10, 9][:rank]
        yield [node("Conv", "x w", **attributes)], {"x": ["n", 4, *size]}, {"w": weight}
        yield [node("Conv", "x w", group=2, **attributes)], {"x": [2, 8, *size]}, {"w": weight}
        if "auto_pad" not in attributes:
            weight = np.zeros([4, 6, *[3] * rank], np.float32)
            yield [node("ConvTranspose", "x w", **attributes)], {"x": ["n", 4, *size]}, {"w": weight}
    weight = np.zeros([4, 3, 3, 3], np.float32)
    yield [node("ConvTranspose", "x w", group=2, strides=[2, 2], output_padding=[1, 1])], {"x": [1, 4, 5, 5]}, {"w": weight}
    yield [node("ConvTranspose", "x w", strides=[2, 2], output_shape=[10, 11])], {"x": [1, 4, 5, 5]}, {"w": weight}


def pools():
    for rank, attributes in spatial("MaxPool"):
        size = [13, 10, 9][:rank]
        yield [node("MaxPool", "x", kernel_shape=[3] * rank, **attributes)], {"x": ["n", 4, *size]}, {}
        if "dilations" not in attributes:
            yield [node("AveragePool", "x", kernel_shape=[2] * rank, **attributes)], {"x": ["n", 4, *size]}, {}
        if "auto_pad" not in attributes:
            yield [node("MaxPool", "x", kernel_shape=[2] * rank, ceil_mode=1, **attributes)], {"x": [1, 4, *size]}, {}
    yield [node("MaxPool", "x", "y i", kernel_shape=[2, 2])], {"x": [1, 4, 8, 8]}, {}
    yield [node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)], {"x": [1, 1, 7, 5]}, {}
    for op in ("GlobalAveragePool", "GlobalMaxPool"):
        yield [node(op, "x")], {"x": ["n", 4, 8, "w"]}, {}


def products():
    for a, b in [([2, 3], [3, 4]), ([3], [3, 4]), ([2, 3], [3]), ([3], [3]), ([5, 1, 2, 3], [7, 3, 4]), ([2, 3, 4], [4])]:
        yield [node("MatMul", "a b")], {"a": a, "b": b}, {}
    yield [node("MatMul", "a b")], {"a": ["n", 12, "s", 64], "b": ["n", 12, 64, "s"]}, {}
    for flags in ({}, {"transA": 1}, {"transB": 1}, {"transA": 1, "transB": 1}):
        a = [3, 2] if "transA" in flags else [2, 3]
        b = [4, 3] if "transB" in flags else [3, 4]
        yield [node("Gemm", "a b c", **flags)], {"a": a, "b": b, "c": [4]}, {}
    yield [node("Einsum", "a b", equation="bij,bjk->bik")], {"a": ["n", 2, 3], "b": ["n", 3, 4]}, {}
    yield [node("Einsum", "a", equation="...ij->...ji")], {"a": [5, 2, 3]}, {}
    i8 = {"a": (TensorProto.INT8, [2, 3]), "b": (TensorProto.INT8, [3, 4])}
    yield [node("MatMulInteger", "a b")], i8, {}


def elementwise():
    unary = "Abs Ceil Cos Elu Erf Exp Floor HardSigmoid LeakyRelu Log Neg Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus"
    for op in [*unary.split(), "Softsign", "Sqrt", "Tanh", "Softmax", "LogSoftmax", "Hardmax", "Identity", "Clip", "IsNaN"]:
        yield [node(op, "x")], {"x": ["n", 3, 4]}, {}
    for op in "Add Sub Mul Div Pow Max Min Mean Sum Less Greater Equal LessOrEqual GreaterOrEqual".split():
        yield [node(op, "a b")], {"a": ["n", 3, 1], "b": [1, 4]}, {}
        yield [node(op, "a b")], {"a": [2, 3, 4], "b": []}, {}
    yield [node("PRelu", "a b")], {"a": ["n", 3, 4], "b": [3, 1]}, {}
    for op in ("And", "Or", "Xor"):
        yield [node(op, "a b")], {"a": (B, [2, 1]), "b": (B, [3])}, {}
    yield [node("Where", "c a b")], {"c": (B, [2, 1]), "a": [3], "b": [4, 1, 1]}, {}
    yield [node("Sum", "a b c")], {"a": [2, 1], "b": [3], "c": [4, 1, 1]}, {}
    for to in (H, I, TensorProto.INT8, B, TensorProto.DOUBLE):
        yield [node("Cast", "x", to=to)], {"x": ["n", 3]}, {}
    norm = {name: np.ones(4, np.float32) for name in "s b m v".split()}
    yield [node("BatchNormalization", "x s b m v")], {"x": ["n", 4, 5, 5]}, norm
    yield [node("InstanceNormalization", "x s b")], {"x": [2, 4, 5, 5]}, {"s": norm["s"], "b": norm["b"]}
    yield [node("LRN", "x", size=3)], {"x": [2, 4, 5, 5]}, {}
    yield [node("Dropout", "x", "y m")], {"x": ["n", 4]}, {}


def reductions():
    ops = "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare"
    for op in ops.split():
        for axes in ([1], [-1, 0], None):
            for keep in (0, 1):
                yield op, axes, keep
    yield "ReduceSum", [], 1


def reduction_cases(opset):
    for op, axes, keep in reductions():
        by_input = opset >= 18 or (op == "ReduceSum" and opset >= 13)
        if axes == [] and not by_input:
            continue
        if axes is None or by_input:
            constants = {} if axes is None else {"a": np.array(axes, np.int64)}
            yield [node(op, "x a" if axes is not None else "x", keepdims=keep)], {"x": ["n", 3, 4]}, constants
        else:
            yield [node(op, "x", keepdims=keep, axes=axes)], {"x": ["n", 3, 4]}, {}
    for keep in (0, 1):
        yield [node("ArgMax", "x", axis=1, keepdims=keep)], {"x": ["n", 3, 4]}, {}
        yield [node("ArgMin", "x", axis=-1, keepdims=keep)], {"x": ["n", 3, 4]}, {}
    yield [node("TopK", "x k", "v i", axis=-1)], {"x": ["n", 10]}, {"k": np.array([3])}


def shapes(opset):
    x = {"x": ["n", 3, 4, 5]}
    for target in ([0, -1], [-1, 5], [0, 0, 20], [-1, 3, 20], [0, 60]):
        yield [node("Reshape", "x s")], x, {"s": np.array(target)}
    for target in ([6, 10], [-1], [2, 0, 2, -1], [1, 60, 1]):
        yield [node("Reshape", "x s")], {"x": [1, 3, 4, 5]}, {"s": np.array(target)}
    yield [node("Flatten", "x")], x, {}
    for axis in (0, 2, 3):
        yield [node("Flatten", "x", axis=axis)], {"x": [2, 3, 4]}, {}
    yield [node("Transpose", "x")], x, {}
    yield [node("Transpose", "x", perm=[0, 2, 3, 1])], x, {}
    yield [node("Concat", "x z", axis=1)], {**x, "z": ["n", 7, 4, 5]}, {}
    yield [node("Concat", "x z", axis=-1)], {"x": [2, 3], "z": [2, 4]}, {}
    yield [node("Shape", "x"), node("Size", "x", "z")], x, {}
    if opset >= 15:
        yield [node("Shape", "x", start=1, end=-1)], x, {}
    if opset >= 13:
        yield [node("Squeeze", "x a")], {"x": ["n", 1, 3, 1]}, {"a": np.array([1, -1])}
        yield [node("Squeeze", "x")], {"x": [2, 1, 3, 1]}, {}
        yield [node("Unsqueeze", "x a")], {"x": ["n", 3]}, {"a": np.array([0, -1, 2])}
        yield [node("Split", "x s", "a b c", axis=1)], {"x": ["n", 9]}, {"s": np.array([2, 3, 4])}
    else:
        yield [node("Squeeze", "x", axes=[1, 3])], {"x": ["n", 1, 3, 1]}, {}
        yield [node("Unsqueeze", "x", axes=[0, 2])], {"x": ["n", 3]}, {}
        yield [node("Split", "x", "a b c", axis=1, split=[2, 3, 4])], {"x": ["n", 9]}, {}
    count = {"num_outputs": 3} if opset >= 18 else {}
    yield [node("Split", "x", "a b c", axis=1, **count)], {"x": ["n", 9]}, {}
    if opset >= 18:
        yield [node("Split", "x", "a b c", axis=1, num_outputs=3)], {"x": ["n", 10]}, {}
    for starts, ends, axes, steps in (
        ([1], [3], [1], [1]),
        ([0, 1], [2**63 - 1, -1], [2, 3], [2, 1]),
        ([-1], [-(2**63)], [1], [-1]),
        ([5], [1], [3], [-2]),
        ([2], [1], [1], [1]),
    ):
        parts = {"s": starts, "e": ends, "a": axes, "t": steps}
        yield [node("Slice", "x s e a t")], x, {name: np.array(values, np.int64) for name, values in parts.items()}
    yield [node("Slice", "x s e")], {"x": [5, 6]}, {"s": np.array([1, 2]), "e": np.array([3, 4])}
    yield [node("Gather", "x i", axis=1)], x, {"i": np.array([[0, 1], [2, 2]])}
    yield [node("Gather", "x i", axis=0)], {"x": [5, 6]}, {"i": np.array(3)}
    yield [node("GatherElements", "x i", axis=1)], {"x": [5, 6], "i": (I, [5, 2])}, {}
    yield [node("GatherND", "x i")], {"x": [5, 6, 7], "i": (I, [3, 2])}, {}
    yield [node("Pad", "x p")], {"x": ["n", 3, 4]}, {"p": np.array([0, 1, 2, 0, 3, -1])}
    if opset >= 18:
        yield [node("Pad", "x p  a".replace("  ", " z "))], {"x": ["n", 3, 4]}, {"p": np.array([1, 2]), "z": np.float32(0), "a": np.array([-1])}
    yield [node("Expand", "x s")], {"x": ["n", 3, 1]}, {"s": np.array([2, 1, 1, 5])}
    yield [node("Tile", "x r")], {"x": ["n", 3]}, {"r": np.array([1, 4])}
    yield [node("ConstantOfShape", "s")], {}, {"s": np.array([2, 0, 3])}
    value = helper.make_tensor("v", I, [1], [7])
    yield [node("ConstantOfShape", "s", value=value)], {}, {"s": np.array([4])}
    yield [node("Range", "a b c")], {}, {"a": np.array(3), "b": np.array(20), "c": np.array(4)}
    yield [node("Range", "a b c")], {}, {"a": np.float32(1), "b": np.float32(-3.2), "c": np.float32(-0.5)}
    yield [node("NonZero", "x")], {"x": [3, 4]}, {}
    yield [node("OneHot", "i d v", axis=1)], {"i": (I, ["n", 3])}, {"d": np.array(5), "v": np.array([0, 1], np.float32)}
    yield [node("DepthToSpace", "x", blocksize=2)], {"x": ["n", 8, 3, 4]}, {}
    yield [node("SpaceToDepth", "x", blocksize=2)], {"x": ["n", 2, 6, 4]}, {}
    yield [node("Compress", "x c", axis=1)], {"x": [3, 4]}, {"c": np.array([True, False, True])}
    yield [node("CumSum", "x a")], {"x": [3, 4]}, {"a": np.array(1)}
    yield [node("ScatterND", "x i u")], {"x": [8], "i": (I, [4, 1]), "u": [4]}, {}
    yield [node("Trilu", "x")], {"x": [3, 4]}, {}


def resizes(opset):
    x = {"x": [1, 3, 10, 12]}
    for scales in ([1, 1, 2, 2], [1, 1, 0.5, 1.7], [1, 1, 0.3, 2.25]):
        yield [node("Resize", "x r s" if opset >= 11 else "x s")], x, {"s": np.array(scales, np.float32), "r": np.zeros(0, np.float32)}
    if opset >= 13:
        sizes = {"z": np.array([1, 3, 7, 9]), "r": np.zeros(0, np.float32)}
        empty = helper.make_node("Resize", ["x", "", "", "z"], ["y"])
        yield [empty], x, {"z": sizes["z"]}
    if opset >= 18:
        yield [helper.make_node("Resize", ["x", "", "", "z"], ["y"], axes=[2, 3])], x, {"z": np.array([7, 9])}


def quantized(opset):
    scale = {"s": np.float32(0.1)}
    for dtype in (np.uint8, np.int8):
        yield [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z")], {"x": ["n", 3]}, {**scale, "z": dtype(3)}
    yield [node("QuantizeLinear", "x s", "q"), node("DequantizeLinear", "q s")], {"x": ["n", 3]}, scale
    yield [node("DynamicQuantizeLinear", "x", "y s z")], {"x": ["n", 3]}, {}
    if opset >= 19:
        half = {"s": np.float16(0.1), "z": np.int8(0)}
        yield [node("DequantizeLinear", "q s z")], {"q": (TensorProto.INT8, [2, 3])}, half
        yield [node("QuantizeLinear", "x s z")], {"x": (H, [2, 3])}, half
    if opset >= 21:
        zero = helper.make_tensor("z", TensorProto.INT4, [], [0])
        it = model([node("QuantizeLinear", "x s z")], {"x": [2, 4]}, scale, opset)
        it.graph.initializer.append(zero)
        yield it


def recurrent():
    for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        for direction, count in (("forward", 1), ("bidirectional", 2)):
            weights = {"w": np.zeros([count, gates * 6, 5], np.float32), "r": np.zeros([count, gates * 6, 6], np.float32)}
            outputs = "y h c" if op == "LSTM" else "y h"
            yield [node(op, "x w r", outputs, hidden_size=6, direction=direction)], {"x": [7, "n", 5]}, weights


def norms(opset):
    if opset >= 17:
        weights = {"s": np.ones(4, np.float32), "b": np.ones(4, np.float32)}
        yield [node("LayerNormalization", "x s b", "y m d", axis=-1)], {"x": ["n", 3, 4]}, weights
    if opset >= 21:
        weights = {"s": np.ones(4, np.float32), "b": np.ones(4, np.float32)}
        yield [node("GroupNormalization", "x s b", num_groups=2)], {"x": [2, 4, 5, 5]}, weights
    if opset >= 20:
        yield [node("Gelu", "x")], {"x": ["n", 4]}, {}


def computed_shapes(opset):
    """Shapes that are computed in the graph, as exporters write them."""
    squeeze = [node("Unsqueeze", "b zero", "b1")] if opset >= 13 else [node("Unsqueeze", "b", "b1", axes=[0])]
    constants = {"zero": np.array([0]), "i": np.array(0), "rest": np.array([-1]), "two": np.array(2), "one": np.array([1])}
    x = {"x": ["n", 6, 4, 5]}
    batch = [node("Shape", "x", "s"), node("Gather", "s i", "b", axis=0), *squeeze]
    yield [*batch, node("Concat", "b1 rest", "t", axis=0), node("Reshape", "x t")], x, constants
    yield [*batch, node("Concat", "b1 rest", "t", axis=0), node("Reshape", "x t")], {"x": [2, 6, 4, 5]}, constants
    heads = [node("Gather", "s k", "c", axis=0), node("Div", "c two", "h")]
    heads += [node("Unsqueeze", "h zero", "h1")] if opset >= 13 else [node("Unsqueeze", "h", "h1", axes=[0])]
    join = node("Concat", "b1 h1 rest", "t", axis=0)
    yield [*batch, *heads, join, node("Reshape", "x t")], {"x": [2, 6, 4, 5]}, {**constants, "k": np.array(1)}
    ends = {"from": np.array([2]), "to": np.array([4])}
    cut = [node("Shape", "x", "s"), node("Slice", "s from to", "hw"), node("Concat", "one hw", "t", axis=0)]
    yield [*cut, node("ConstantOfShape", "t")], x, {**constants, **ends}
    yield [*cut, node("Expand", "v t")], {"x": [2, 3, 4, 5], "v": [1]}, {**constants, **ends}
    negative = [node("Equal", "t rest", "e"), node("Where", "e one t", "f"), node("Expand", "v f")]
    yield negative, {"v": [1, 1]}, {**constants, "t": np.array([3, -1])}


def large():
    """Sizes and elements beyond 32 bits, which no runtime here can allocate."""
    size = 3_000_000_000
    x = {"x": ["n", 2, size, 5]}
    yield [node("Relu", "x"), node("Shape", "y", "s")], x, {}
    yield [node("Transpose", "x", perm=[2, 0, 1, 3])], x, {}
    yield [node("Concat", "x x", axis=2)], x, {}
    yield [node("Flatten", "x", axis=1)], {"x": [7, 2, size, 5]}, {}
    yield [node("Reshape", "x s")], {"x": [7, 2, size, 5]}, {"s": np.array([0, -1])}
    yield [node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])], x, {}
    yield [node("Conv", "x w", strides=[1, 2])], x, {"w": np.zeros([4, 2, 3, 3], np.float32)}
    yield [node("Add", "a b")], {"a": [size, 1], "b": [1, size]}, {}
    yield [node("MatMul", "a b")], {"a": [size, 3], "b": [3, 2 * size]}, {}
    yield [node("Pad", "x p")], {"x": [size]}, {"p": np.array([size, 7])}
    yield [node("Slice", "x s e")], {"x": [size, 2]}, {"s": np.array([2**31]), "e": np.array([-1])}
    yield [node("Tile", "x r")], {"x": [4, 5]}, {"r": np.array([size, 2])}
    yield [node("Expand", "x s")], {"x": [3, 1]}, {"s": np.array([3, size])}
    yield [node("ConstantOfShape", "s")], {}, {"s": np.array([size, 2])}
    yield [node("Range", "a b c")], {}, {"a": np.array(0), "b": np.array(2 * size), "c": np.array(2)}
    yield [node("Add", "s s", "t"), node("ConstantOfShape", "t")], {}, {"s": np.array([2**31 - 1])}
    yield [node("ReduceMax", "x", keepdims=0)], {"x": [size, 3]}, {}
    yield [node("DepthToSpace", "x", blocksize=2)], {"x": ["n", 8, size, 4]}, {}


def all_cases(opset):
    for group in (convolutions, pools, products, elementwise, recurrent):
        yield from group()
    for group in (reduction_cases, shapes, resizes, quantized, norms, computed_shapes):
        yield from group(opset)


@pytest.mark.parametrize("opset", [11, 13, 15, 17, 18, 19, 21, 22, 23, NEWEST])
def test_what_onnx_knows_is_known(tmp_path, opset):
    cases = [*all_cases(opset), *large()]
    models = [it if isinstance(it, onnx.ModelProto) else model(*it, opset=opset) for it in cases]
    valid = [it for it in models if is_valid(it)]
    assert len(valid) > 0.8 * len(models)
    failures = []
    for it, ours in zip(valid, inferred(tmp_path, valid), strict=True):
        try:
            assert_knows_what_onnx_knows(it, ours)
        except (AssertionError, KeyError) as error:
            failures.append(described(it, error))
    assert not failures, "\n".join(failures)


def is_valid(it):
    """Whether ONNX takes the model: some operators came later than the oldest set here."""
    try:
        onnx.checker.check_model(onnx.shape_inference.infer_shapes(it, strict_mode=True))
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return False
    return True


# It has no kernel for a type, or refuses the model.
REFUSED = tuple(
    getattr(ort.capi.onnxruntime_pybind11_state, name)
    for name in ("Fail", "InvalidArgument", "InvalidGraph", "NotImplemented", "RuntimeException")
)


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_what_is_known_holds_in_onnx_runtime(tmp_path, opset):
    models = [model(*it, opset=opset) for it in all_cases(opset) if isinstance(it, tuple)]
    tried, failures = [], []
    for it, ours in zip(models, inferred(tmp_path, models), strict=True):
        try:
            assert_holds_in_onnx_runtime(it, ours, tried)
        except REFUSED:
            continue
        except (AssertionError, KeyError) as error:
            failures.append(described(it, error))
    assert not failures, "\n".join(failures)
    assert len(tried) > 250


def test_the_table_has_the_operators_of_onnx():
    source = (Path(__file__).parents[1] / "src/operators.rs").read_text()
    listed = re.findall(r'^    \("(\w+)", ', source, re.MULTILINE)
    schemas = onnx.defs.get_all_schemas_with_history()
    assert listed == sorted({schema.name for schema in schemas if schema.domain == ""})
