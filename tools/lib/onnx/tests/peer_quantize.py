"""int8 against onnxruntime.quantization: the same scales, zero points and integers, and the same outputs bit for bit."""

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from peers import BIN
from quantize_peer import ours, peer, session

PROGRAM = BIN / "examples" / "quantize"
# The peer's method and what its calibrator is told; ours.
METHODS = {
    "min-max": ("MinMax", {}, "min-max"),
    "mean": ("MinMax", {"moving_average": True}, "mean-min-max"),
    "percentile": ("Percentile", {}, "percentile"),
    "percentile of both tails": ("Percentile", {"percentile": 99.0, "symmetric": False}, "percentile:99:2048:both"),
    "entropy as the peer has it": ("Entropy", {}, "entropy:128:128"),
    "entropy": ("Entropy", {"num_bins": 256}, "entropy"),
    "entropy as TensorRT has it": ("Entropy", {"num_bins": 2048}, "entropy:2048:128"),
}


class Network:
    """A graph of nodes that each read what the last computed, with random weights."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants = [], []

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, name, *shape):
        # Channels differ in magnitude, so that a wrong axis shows.
        value = self.random.normal(size=shape) * self.random.uniform(0.1, 3, size=(shape[0], *[1] * (len(shape) - 1)))
        return self.constant(name, (value / np.sqrt(np.prod(shape[1:]))).astype("f4"))

    def node(self, op, inputs, out, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [out], name=out, **attributes))
        return out

    def conv(self, x, out, channels_in, channels, size=3, op="Conv", **attributes):
        shape = (channels, channels_in) if op == "Conv" else (channels_in, channels)
        weight = self.weight(f"{out}.weight", *shape, size, size)
        bias = self.weight(f"{out}.bias", channels)
        return self.node(op, [x, weight, bias], out, pads=[size // 2] * 4, **attributes)

    def gemm(self, x, out, width, classes):
        inputs = [x, self.weight(f"{out}.weight", classes, width), self.weight(f"{out}.bias", classes)]
        return self.node("Gemm", inputs, out, transB=1)

    def model(self, path, shape, out, out_shape):
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])]
        outputs = [helper.make_tensor_value_info(out, TensorProto.FLOAT, ["batch", *out_shape])]
        graph = helper.make_graph(self.nodes, "network", inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
        return path, shape


def perceptron(path):
    net = Network()
    x = net.node("Flatten", ["x"], "flat")
    for index in range(2):
        x = net.node("Relu", [net.gemm(x, f"fc{index}", 48 if index == 0 else 32, 32)], f"relu{index}")
    return net.model(path, (3, 4, 4), net.gemm(x, "logits", 32, 10), (10,))


def resnet(path):
    net = Network(1)
    stem = net.node("Relu", [net.conv("x", "conv0", 3, 8)], "relu0")
    stem = net.node("MaxPool", [stem], "pool0", kernel_shape=[2, 2], strides=[2, 2])
    # A block with an identity as shortcut, and one with a projection.
    x = net.node("Relu", [net.conv(stem, "conv1", 8, 8)], "relu1")
    x = net.node("Relu", [net.node("Add", [net.conv(x, "conv2", 8, 8), stem], "add1")], "block1")
    y = net.node("Relu", [net.conv(x, "conv3", 8, 16, strides=[2, 2])], "relu3")
    shortcut = net.conv(x, "project", 8, 16, size=1, strides=[2, 2])
    y = net.node("Relu", [net.node("Add", [net.conv(y, "conv4", 16, 16), shortcut], "add2")], "block2")
    y = net.node("Flatten", [net.node("GlobalAveragePool", [y], "pool")], "flat")
    return net.model(path, (3, 16, 16), net.gemm(y, "logits", 16, 10), (10,))


def various(path):
    """The other operators: a depthwise convolution, ReLU6, a transposed one, products without bias, constants beside activations."""
    net = Network(2)
    x = net.conv("x", "wide", 4, 8, size=1)
    x = net.node("Clip", [x, net.constant("low", np.float32(0)), net.constant("high", np.float32(1))], "relu6")
    x = net.node("Sigmoid", [net.conv(x, "depthwise", 1, 8, group=8)], "gate")
    x = net.node("Mul", [x, net.node("AveragePool", [x], "mean", kernel_shape=[3, 3], pads=[1] * 4)], "gated")
    x = net.node("Concat", [x, net.conv("x", "side", 4, 4)], "both", axis=1)
    x = net.node("LeakyRelu", [net.conv(x, "up", 12, 6, op="ConvTranspose", strides=[2, 2])], "leaky", alpha=0.1)
    x = net.node("Add", [x, net.constant("shift", net.random.normal(size=(6, 1, 1)).astype("f4"))], "shifted")
    x = net.node("Reshape", [x, net.constant("shape", np.array([0, 6, -1]))], "rows")
    x = net.node("Transpose", [x], "columns", perm=[0, 2, 1])
    x = net.node("MatMul", [x, net.weight("project.weight", 6, 5)], "projected")
    x = net.node("Add", [x, net.constant("project.bias", net.random.normal(size=5).astype("f4"))], "sum")
    return net.model(path, (4, 8, 8), net.node("Softmax", [x], "softmax", axis=-1), (225, 5))


NETWORKS = {build.__name__: build for build in [perceptron, resnet, various]}


def batches(shape, count=5, size=7, seed=3):
    random = np.random.default_rng(seed)
    return [{"x": random.normal(size=(size, *shape)).astype("f4") * (1 + index)} for index in range(count)]


def constants(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def peer_name(name, peers):
    """The peer names what belongs to a bias after the quantized bias."""
    head, _, tail = name.rpartition("_zero_point" if name.endswith("_zero_point") else "_scale")
    suffix = name[len(head) :]
    return next(other for other in [name, f"{head}_quantized{suffix}", f"{name}_quantized"] if other in peers)


def same_constants(model, expected):
    ours, peers = constants(model), constants(expected)
    quantized = [name for name in ours if name.endswith(("_scale", "_zero_point", "_quantized"))]
    for name in quantized:
        other = peers[peer_name(name, peers)]
        assert ours[name].dtype == other.dtype, name
        np.testing.assert_array_equal(ours[name].ravel(), other.ravel(), err_msg=name)
    scales = {name for name in peers if name.endswith("_scale")}
    assert len([name for name in quantized if name.endswith("_scale")]) == len(scales)


def same_outputs(out, other, shape):
    rows = batches(shape, count=1, size=64, seed=5)[0]
    (ours,), (expected,) = (session(model).run(None, rows) for model in [out, other])
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", NETWORKS)
def test_scales_integers_and_outputs_are_the_peers(network, method, tmp_path):
    source, shape = NETWORKS[network](tmp_path / "model.onnx")
    name, calibration, own = METHODS[method]
    expected = peer(source, tmp_path / "peer.onnx", batches(shape), name, calibration=calibration)
    model, _ = ours(PROGRAM, source, tmp_path / "ours.onnx", batches(shape), own)
    onnx.checker.check_model(model, full_check=True)
    same_constants(model, expected)
    same_outputs(tmp_path / "ours.onnx", tmp_path / "peer.onnx", shape)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    "options",
    [{"per_channel": False}, {"reduce_range": True}, {"activations": "int8"}, {"per_channel": False, "reduce_range": True}],
    ids=str,
)
def test_options_are_the_peers(network, options, tmp_path):
    if network == "various" and options.get("reduce_range"):
        pytest.skip("the peer reduces the range of operands of Add too, where nothing saturates")
    source, shape = NETWORKS[network](tmp_path / "model.onnx")
    expected = peer(source, tmp_path / "peer.onnx", batches(shape), "MinMax", **options)
    keys = [f"{key}={str(value).lower()}" for key, value in options.items()]
    model, _ = ours(PROGRAM, source, tmp_path / "ours.onnx", batches(shape), "min-max", *keys)
    onnx.checker.check_model(model, full_check=True)
    same_constants(model, expected)
    same_outputs(tmp_path / "ours.onnx", tmp_path / "peer.onnx", shape)


def test_a_bias_beyond_int32_raises_the_peers_scale(tmp_path):
    source, shape = perceptron(tmp_path / "model.onnx")
    model = onnx.load(source)
    for tensor in model.graph.initializer:
        if tensor.name.startswith("fc0."):
            value = numpy_helper.to_array(tensor) * (1e-7 if tensor.name == "fc0.weight" else 10)
            tensor.CopyFrom(numpy_helper.from_array(value.astype("f4"), tensor.name))
    onnx.save(model, source)
    for per_channel in [True, False]:
        expected = peer(source, tmp_path / "peer.onnx", batches(shape), "MinMax", per_channel=per_channel)
        model, _ = ours(PROGRAM, source, tmp_path / "ours.onnx", batches(shape), "min-max", f"per_channel={str(per_channel).lower()}")
        same_constants(model, expected)
        integers = constants(model)["fc0.bias_quantized"]
        assert np.abs(integers.astype("i8")).max() > 2**31 * 0.99


def operators(model, folder):
    """What ONNX Runtime makes of a model."""
    session(model, folder / "optimized.onnx")
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


# Of int8 activations it computes fewer layers on integers, of the peer's model too.
def test_onnx_runtime_computes_on_integers(tmp_path):
    source, shape = resnet(tmp_path / "model.onnx")
    ours(PROGRAM, source, tmp_path / "ours.onnx", batches(shape), "min-max")
    found = operators(tmp_path / "ours.onnx", tmp_path)
    assert found["QLinearConv"] == 6 and found["QLinearAdd"] == 2 and found["QGemm"] == 1 and found["QLinearGlobalAveragePool"] == 1
    assert found["QuantizeLinear"] == found["DequantizeLinear"] == 1, "at the input and the output"
    assert not {"Conv", "Relu", "Add", "Gemm"} & set(found)
    source, shape = various(tmp_path / "model.onnx")
    ours(PROGRAM, source, tmp_path / "ours.onnx", batches(shape), "min-max")
    found = operators(tmp_path / "ours.onnx", tmp_path)
    assert found["QLinearConv"] == 3 and found["QLinearMatMul"] == 1 and found["QLinearAdd"] == 2
