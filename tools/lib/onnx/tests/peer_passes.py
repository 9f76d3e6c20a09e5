"""Clean-up and float16 on whole networks: accepted by onnx.checker, and equal to the original in ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

OPSETS = [13, 17, 21]


class Net:
    """A graph under construction, with random weights."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def weight(self, *shape, scale=None, low=None):
        values = self.random.normal(size=shape) * (scale or 1 / np.sqrt(max(1, np.prod(shape[1:]))))
        if low is not None:
            values = np.abs(values) + low
        return self.constant(values.astype(np.float32))

    def constant(self, values):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def op(self, kind, *inputs, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=f"n{len(self.nodes)}", **attributes))
        return names[0] if outputs == 1 else names

    def model(self, inputs, output, opset, rank):
        assert self.nodes[-1].output[0] == output
        self.nodes[-1].output[0] = "y"
        values = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs]
        result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank)
        graph = helper.make_graph(self.nodes, "net", values, [result], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = 8 if opset < 19 else 9
        onnx.checker.check_model(model, full_check=True)
        return model


def residual(opset):
    """A small ResNet: batch norm behind each convolution, a stride, a projection, dropout, x.view(x.size(0), -1)."""
    net = Net()
    image = [("x", TensorProto.FLOAT, ["batch", 3, 16, 16])]

    def block(x, channels, out, kernel=3, stride=1, groups=1):
        pads = [kernel // 2] * 4
        y = net.op(
            "Conv",
            x,
            net.weight(out, channels // groups, kernel, kernel),
            strides=[stride] * 2,
            pads=pads,
            group=groups,
        )
        return net.op(
            "BatchNormalization",
            y,
            net.weight(out, scale=1, low=0.5),
            net.weight(out, scale=0.5),
            net.weight(out, scale=0.5),
            net.weight(out, scale=1, low=0.2),
        )

    mean = net.op("Constant", value=numpy_helper.from_array(np.full((3, 1, 1), 0.5, np.float32)))
    x = net.op("Relu", block(net.op("Sub", "x", mean), 3, 8))
    y = block(net.op("Relu", block(x, 8, 16, stride=2)), 16, 16, groups=4)
    x = net.op("Relu", net.op("Add", y, block(x, 8, 16, kernel=1, stride=2)))
    x = net.op("Identity", net.op("GlobalAveragePool", x))
    shape = net.op("Gather", net.op("Shape", x), net.constant(np.int64([0])))
    shape = net.op("Concat", shape, net.op("Constant", value_ints=[-1]), axis=0)
    x = net.op("Dropout", net.op("Reshape", x, shape))
    x = net.op("Add", net.op("MatMul", x, net.weight(16, 10, scale=0.3)), net.weight(10))
    return net.model(image, net.op("Softmax", x, axis=1), opset, 2), {"x": (4, 3, 16, 16)}


def transformer(opset):
    """A block of a transformer: layer norm from parts, attention with a mask of -1e9 and a length that is dynamic, erf GELU."""
    net = Net(1)
    tokens = [("x", TensorProto.FLOAT, ["batch", "length", 16]), ("mask", TensorProto.FLOAT, ["batch", 1, 1, "length"])]

    def norm(x):
        x = net.op(
            "Sub",
            x,
            net.op("ReduceMean", x, net.constant(np.int64([-1])))
            if opset >= 18
            else net.op("ReduceMean", x, axes=[-1]),
        )
        square = net.op("Pow", x, net.constant(np.float32(2)))
        square = (
            net.op("ReduceMean", square, net.constant(np.int64([-1])))
            if opset >= 18
            else net.op("ReduceMean", square, axes=[-1])
        )
        x = net.op("Div", x, net.op("Sqrt", net.op("Add", square, net.constant(np.float32(1e-12)))))
        return net.op("Add", net.op("Mul", x, net.weight(16, scale=1)), net.weight(16, scale=1))

    def heads(x):
        shape = net.op("Shape", x)
        sizes = [net.op("Gather", shape, net.constant(np.int64([axis]))) for axis in (0, 1)]
        shape = net.op("Concat", *sizes, net.constant(np.int64([4])), net.constant(np.int64([4])), axis=0)
        return net.op("Transpose", net.op("Reshape", x, shape), perm=[0, 2, 1, 3])

    def linear(x, inputs, outputs):
        return net.op("Add", net.weight(outputs), net.op("MatMul", x, net.weight(inputs, outputs, scale=0.25)))

    x = norm("x")
    q, k, v = (heads(linear(x, 16, 16)) for _ in range(3))
    scores = net.op("Div", net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2])), net.constant(np.float32(2)))
    mask = net.op("Mul", net.op("Sub", net.constant(np.float32(1)), "mask"), net.constant(np.float32(-1e9)))
    x_ = net.op("MatMul", net.op("Softmax", net.op("Add", scores, mask), axis=-1), v)
    x_ = net.op("Reshape", net.op("Transpose", x_, perm=[0, 2, 1, 3]), net.constant(np.int64([0, 0, 16])))
    x = net.op("Add", x, linear(x_, 16, 16))
    h = linear(x, 16, 32)
    erf = net.op("Erf", net.op("Div", h, net.op("Sqrt", net.constant(np.float32(2)))))
    h = net.op("Mul", net.op("Mul", h, net.op("Add", erf, net.constant(np.float32(1)))), net.constant(np.float32(0.5)))
    x = net.op("Add", x, linear(h, 32, 16))
    return net.model(tokens, net.op("Identity", x), opset, 3), {"x": (2, 5, 16), "mask": (2, 1, 1, 5)}


NETS = [residual, transformer]


def inputs(shapes):
    random = np.random.default_rng(5)
    feeds = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    if "mask" in feeds:
        feeds["mask"] = (np.arange(feeds["mask"].size).reshape(feeds["mask"].shape) % 4 != 3).astype(np.float32)
    return feeds


def outputs(model, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


@pytest.fixture
def rewrite(run, library, tmp_path):
    """Rewrites a model; returns it, checked, with the counts."""

    def rewrite(kind, model):
        onnx.save(model, tmp_path / "from.onnx")
        text = run("examples/rewrite", kind, tmp_path / "from.onnx", tmp_path / "to.onnx").decode()
        first = (tmp_path / "to.onnx").read_bytes()
        run("examples/rewrite", kind, tmp_path / "from.onnx", tmp_path / "to.onnx")
        assert (tmp_path / "to.onnx").read_bytes() == first
        result = onnx.load(tmp_path / "to.onnx")
        onnx.checker.check_model(result, full_check=True)
        return result, {name: int(count) for name, count in (line.split() for line in text.splitlines())}

    return rewrite


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("net", NETS)
def test_clean_up_keeps_the_outputs(net, opset, rewrite):
    model, shapes = net(opset)
    simple, counts = rewrite("simplify", model)
    feeds = inputs(shapes)
    expected = outputs(model, feeds)
    np.testing.assert_allclose(outputs(simple, feeds), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    kinds = [node.op_type for node in simple.graph.node]
    assert not {"BatchNormalization", "Identity", "Dropout", "Constant"} & set(kinds)
    if net is residual:
        assert (counts["batch_norms"], counts["gemms"]) == (4, 1)
        assert kinds.count("Gemm") == 1


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("first", ["as it is", "simplified"])
def test_float16_is_near_float32(net, opset, first, rewrite):
    model, shapes = net(opset)
    source = rewrite("simplify", model)[0] if first == "simplified" else model
    half, counts = rewrite("fp16", source)
    feeds = inputs(shapes)
    expected, found = outputs(model, feeds), outputs(half, feeds)
    assert found.dtype == np.float32
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert 0 < error < 5e-3
    weights = {tensor.data_type for tensor in half.graph.initializer if len(tensor.dims) > 1}
    assert weights == {TensorProto.FLOAT16}
    if net is transformer:
        # The mask, and the epsilon where it is not kept beside ReduceMean.
        assert counts["clamped"] == 2
    check_casts(half)


def check_casts(model):
    """No value has two casts, and none is cast back and forth."""
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    assert len({node.input[0] for node in casts}) == len(casts)
    assert not {node.input[0] for node in casts} & {node.output[0] for node in casts}


@pytest.mark.parametrize("net", NETS)
def test_float16_inputs_and_outputs(net, rewrite):
    model, shapes = net(17)
    half, _ = rewrite("fp16-io", model)
    feeds = inputs(shapes)
    found = outputs(half, {name: values.astype(np.float16) for name, values in feeds.items()})
    assert found.dtype == np.float16
    expected = outputs(model, feeds)
    assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-2


def test_not_further_from_float32_than_onnxconverter_common(rewrite):
    # Of the transformer it makes a graph whose layer norm ONNX Runtime 1.31 fuses into one that it refuses.
    float16 = pytest.importorskip("onnxconverter_common.float16")
    model, shapes = residual(17)
    ours, _ = rewrite("fp16", model)
    peer = float16.convert_float_to_float16(shape_inference.infer_shapes(model), keep_io_types=True)
    feeds = inputs(shapes)
    expected = outputs(model, feeds)
    error = {name: np.abs(outputs(it, feeds) - expected).max() for name, it in (("ours", ours), ("peer", peer))}
    assert error["ours"] <= error["peer"] * 1.5
