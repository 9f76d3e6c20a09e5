"""Fused plans against ONNX Runtime, on graphs as exporters write them, at several batch sizes."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from run_model import run_models

ort.set_default_logger_severity(3)

# Winograd's algorithm rounds about ten times as much as the direct one.
TOLERANCE = 2e-4


class Net:
    """A graph with random weights."""

    def __init__(self, seed, shape):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants, self.shape, self.last = [], [], shape, "x"

    def constant(self, *shape, scale=1.0, offset=0.0):
        values = (self.random.standard_normal(shape) * scale + offset).astype(np.float32)
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def add(self, op, *inputs, **attributes):
        """A node that reads `inputs`, or else the last value; returns its name."""
        name = f"y{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs) or [self.last], [name], name=name, **attributes))
        self.last = name
        return name

    def conv(self, inputs, outputs, kernel, group=1, norm=True, **attributes):
        height, width = kernel
        weight = self.constant(outputs, inputs // group, height, width, scale=(inputs // group * height * width) ** -0.5)
        self.add("Conv", self.last, weight, self.constant(outputs, scale=0.1), group=group, **attributes)
        if norm:
            parameters = [self.constant(outputs, scale=0.1, offset=offset) for offset in (1, 0, 0, 1)]
            self.add("BatchNormalization", self.last, *parameters)
        return self.last

    def model(self):
        value = helper.make_tensor_value_info
        inputs = [value("x", TensorProto.FLOAT, ["batch", *self.shape])]
        outputs = [value(self.last, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "net", inputs, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def residual():
    net = Net(1, [3, 17, 15])
    net.conv(3, 16, (3, 3), pads=[1, 1, 1, 1])
    start = net.add("Relu")
    net.conv(16, 16, (3, 3), pads=[1, 1, 1, 1])
    net.add("Relu")
    end = net.conv(16, 16, (3, 3), pads=[1, 1, 1, 1])
    net.add("Add", start, end)
    start = net.add("Relu")
    short = net.conv(16, 32, (1, 1), strides=[2, 2])
    net.last = start
    net.conv(16, 32, (3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    net.add("Add", net.last, short)
    net.add("Relu")
    net.add("GlobalAveragePool")
    net.add("Flatten")
    net.add("Gemm", net.last, net.constant(10, 32), net.constant(10), transB=1)
    return net.model()


def separable():
    """Depthwise, dilated, asymmetric and rectangular convolutions; branches that are joined by channel."""
    net = Net(2, [4, 12, 13])
    start = net.conv(4, 8, (3, 3), pads=[1, 1, 1, 1], group=4)
    left = net.add("HardSwish", start)
    right = net.conv(8, 8, (3, 1), pads=[1, 0, 1, 0], norm=False)
    net.add("Concat", left, right, axis=1)
    net.conv(16, 6, (3, 3), pads=[2, 2, 2, 2], dilations=[2, 2])
    net.add("LeakyRelu", alpha=0.1)
    net.conv(6, 6, (2, 2), pads=[0, 0, 1, 1], strides=[1, 1])
    net.add("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    net.add("AveragePool", kernel_shape=[2, 2], strides=[1, 1], pads=[1, 0, 0, 1])
    net.add("Sigmoid")
    return net.model()


def rows():
    net = Net(3, [9])
    for inputs, outputs, activation in [(9, 40, "Tanh"), (40, 65, "Sigmoid"), (65, 40, "Relu"), (40, 7, "Softplus")]:
        net.add("MatMul", net.last, net.constant(inputs, outputs, scale=inputs**-0.5))
        net.add("Add", net.last, net.constant(outputs))
        net.add(activation)
    net.add("Softmax", axis=-1)
    return net.model()


def tokens():
    """A feed-forward block over a sequence: products of rank 3, layer normalization, a residual."""
    net = Net(4, [5, 16])
    net.add("LayerNormalization", net.last, net.constant(16), net.constant(16))
    net.add("MatMul", net.last, net.constant(16, 64, scale=0.25))
    net.add("Add", net.last, net.constant(64))
    net.add("Relu")
    net.add("MatMul", net.last, net.constant(64, 16, scale=0.125))
    net.add("Add", "x", net.last)
    net.add("ReduceMean", axes=[1], keepdims=0)
    return net.model()


@pytest.mark.parametrize("build", ["residual", "separable", "rows", "tokens", "mobile"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_plan_computes_what_onnx_runtime_does(build, threads):
    model = globals()[build]()
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    random = np.random.default_rng(0)
    arrays = [random.standard_normal([batch, *shape]).astype(np.float32) for batch in (1, 7, 64)]
    answers = run_models([(model, [array]) for array in arrays], threads)
    for array, (kind, ours) in zip(arrays, answers, strict=True):
        assert kind == "ok", ours
        (expected,) = session.run(None, {"x": array})
        assert ours[0].shape == expected.shape
        np.testing.assert_allclose(ours[0], expected, rtol=0, atol=TOLERANCE * max(1, np.abs(expected).max()))


def mobile():
    """An inverted residual block, as MobileNetV2 has them."""
    net = Net(5, [16, 14, 14])
    bounds = [net.constant(scale=0, offset=offset) for offset in (0, 6)]
    for inputs, outputs, strides in [(16, 16, [1, 1]), (16, 24, [2, 2])]:
        start = net.last
        net.conv(inputs, 96, (1, 1))
        net.add("Clip", net.last, *bounds)
        net.conv(96, 96, (3, 3), group=96, pads=[1, 1, 1, 1], strides=strides)
        net.add("Clip", net.last, *bounds)
        net.conv(96, outputs, (1, 1))
        if inputs == outputs:
            net.add("Add", net.last, start)
    net.add("GlobalAveragePool")
    net.add("Flatten")
    net.add("Gemm", net.last, net.constant(10, 24), net.constant(10), transB=1)
    return net.model()


def perceptron():
    net = Net(6, [9])
    for inputs, outputs in [(9, 40), (40, 65), (65, 17)]:
        net.add("Gemm", net.last, net.constant(outputs, inputs, scale=inputs**-0.5), net.constant(outputs), transB=1)
        net.add("Relu" if outputs != 17 else "Sigmoid")
    return net.model()


class Rows(CalibrationDataReader):
    def __init__(self, array):
        self.rest = [{"x": array}]

    def get_next(self):
        return self.rest.pop() if self.rest else None


@pytest.mark.parametrize("build", [residual, mobile, perceptron])
@pytest.mark.parametrize("activations", [QuantType.QUInt8, QuantType.QInt8])
def test_quantized_graphs_give_the_integers_of_onnx_runtime(build, activations, tmp_path):
    source, target = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    folded = ort.SessionOptions()
    folded.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    folded.optimized_model_filepath = str(source)
    model = build()
    ort.InferenceSession(model.SerializeToString(), folded, providers=["CPUExecutionProvider"])
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    random = np.random.default_rng(0)
    array = random.standard_normal([40, *shape]).astype(np.float32)
    options = {"quant_format": QuantFormat.QDQ, "per_channel": True, "activation_type": activations}
    quantize_static(source, target, Rows(array), weight_type=QuantType.QInt8, **options)
    model = onnx.load(target)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": array})
    ((kind, ours),) = run_models([(model, [array])])
    assert kind == "ok", ours
    # The output is dequantized: its values are whole steps.
    step = np.diff(np.unique(expected)).min()
    steps = np.abs(np.rint((ours[0] - expected) / step))
    assert (steps == 0).mean() > 0.99, (steps == 0).mean()
    assert steps.max() <= 1, steps.max()


def halved(model):
    """Constants and values in float16, between casts."""
    for index, constant in enumerate(model.graph.initializer):
        values = numpy_helper.to_array(constant).astype(np.float16)
        model.graph.initializer[index].CopyFrom(numpy_helper.from_array(values, constant.name))
    last = model.graph.output[0].name
    for node in model.graph.node:
        node.input[:] = ["half" if name == "x" else name for name in node.input]
        node.output[:] = ["last" if name == last else name for name in node.output]
    cast = helper.make_node
    model.graph.node.insert(0, cast("Cast", ["x"], ["half"], to=TensorProto.FLOAT16))
    model.graph.node.append(cast("Cast", ["last"], [last], to=TensorProto.FLOAT))
    return model


@pytest.mark.parametrize("build", [residual, separable, mobile, perceptron])
def test_float16_graphs_compute_what_onnx_runtime_does(build):
    model = halved(build())
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    array = np.random.default_rng(0).standard_normal([5, *shape]).astype(np.float32)
    (expected,) = session.run(None, {"x": array})
    ((kind, ours),) = run_models([(model, [array])])
    assert kind == "ok", ours
    np.testing.assert_allclose(ours[0], expected, rtol=0, atol=5e-3 * max(1, np.abs(expected).max()))
