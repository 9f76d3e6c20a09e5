"""ONNX graphs for the tests of trt-build: a perceptron and residual networks in three precisions, and graphs that must be refused."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node, make_opsetid, make_tensor_value_info

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
OPSET = 17
# Half the range of int8 for activations that are about normal.
ACTIVATION_SCALE = 4 / 127


class Net:
    """A graph under construction; `precision` is fp32, fp16 (all tensors) or int8 (Q/DQ around every weighted operator)."""

    def __init__(self, precision, scale_shape=()):
        self.precision, self.scale_shape, self.random = precision, scale_shape, np.random.default_rng(0)
        self.nodes, self.weights, self.quantized_values = [], {}, {}

    @property
    def dtype(self):
        return np.float16 if self.precision == "fp16" else np.float32

    def constant(self, name, array):
        self.weights[name] = np.asarray(array)
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(make_node(op, inputs, [output], output, **attributes))
        return output

    def weight(self, name, shape, axis):
        """A random weight; for int8, quantized per channel along `axis` and dequantized in the graph."""
        fan_in = np.prod(shape) / shape[axis]
        array = self.random.normal(size=shape) * np.sqrt(2 / fan_in)
        if self.precision != "int8":
            return self.constant(name, array.astype(self.dtype))
        rest = tuple(i for i in range(len(shape)) if i != axis)
        scale = np.abs(array).max(axis=rest).astype(np.float32) / 127
        along = [-1 if i == axis else 1 for i in range(len(shape))]
        quantized = np.clip(np.round(array / scale.reshape(along)), -127, 127).astype(np.int8)
        parts = [
            self.constant(f"{name}_q", quantized),
            self.constant(f"{name}_scale", scale),
            self.constant(f"{name}_zero", np.zeros(scale.shape, np.int8)),
        ]
        return self.node("DequantizeLinear", parts, name, axis=axis)

    def quantized(self, x):
        """`x` through QuantizeLinear and DequantizeLinear; as it is unless the precision is int8."""
        if self.precision != "int8":
            return x
        if x not in self.quantized_values:
            scale = self.constant(f"{x}_scale", np.full(self.scale_shape, ACTIVATION_SCALE, np.float32))
            zero = self.constant(f"{x}_zero", np.zeros(self.scale_shape, np.int8))
            quantized = self.node("QuantizeLinear", [x, scale, zero], f"{x}_q")
            self.quantized_values[x] = self.node("DequantizeLinear", [quantized, scale, zero], f"{x}_dq")
        return self.quantized_values[x]

    def gemm(self, x, name, inputs, outputs):
        weight = self.weight(f"{name}_weight", (inputs, outputs), 1)
        bias = self.constant(f"{name}_bias", np.zeros(outputs, self.dtype))
        return self.node("Gemm", [self.quantized(x), weight, bias], name)

    def conv(self, x, name, inputs, outputs, size, stride):
        weight = self.weight(f"{name}_weight", (outputs, inputs, size, size), 0)
        bias = self.constant(f"{name}_bias", np.zeros(outputs, self.dtype))
        pads, shape = [size // 2] * 4, [size, size]
        inputs = [self.quantized(x), weight, bias]
        return self.node("Conv", inputs, name, kernel_shape=shape, pads=pads, strides=[stride, stride])

    def block(self, x, name, inputs, outputs, stride):
        """Two convolutions and a shortcut, as in ResNet-18."""
        y = self.node("Relu", [self.conv(x, f"{name}_conv1", inputs, outputs, 3, stride)], f"{name}_relu1")
        y = self.conv(y, f"{name}_conv2", outputs, outputs, 3, 1)
        if inputs != outputs:
            x = self.conv(x, f"{name}_shortcut", inputs, outputs, 1, stride)
        return self.node("Relu", [self.node("Add", [y, self.quantized(x)], f"{name}_add")], f"{name}_relu2")

    def model(self, x_shape, y, y_shape):
        """Bytes of the model `x` `[batch, x_shape…]` to `y` `[batch, y_shape…]`."""
        element = HALF if self.precision == "fp16" else FLOAT
        self.node("Identity", [y], "y")
        values = [make_tensor_value_info(name, element, ["batch", *dims]) for name, dims in [("x", x_shape), ("y", y_shape)]]
        weights = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        return encode(helper.make_graph(self.nodes, "net", values[:1], values[1:], weights))


def encode(graph, opset=OPSET, domains=()):
    opsets = [make_opsetid("", opset), *(make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def mlp(precision="fp32"):
    """The entropy model's shape: 8 → 64 → 64 → 1."""
    net = Net(precision)
    h = net.node("Sigmoid", [net.gemm("x", "layer1", 8, 64)], "act1")
    h = net.node("Sigmoid", [net.gemm(h, "layer2", 64, 64)], "act2")
    return net.model([8], net.gemm(h, "layer3", 64, 1), [1])


def resnet(precision="fp32", widths=(16, 32), blocks=1, image=32, classes=10, scale_shape=()):
    """A residual network on `[batch, 3, image, image]`; `widths=(64, 128, 256, 512), blocks=2` is ResNet-18 for small images."""
    net = Net(precision, scale_shape)
    x, channels = net.node("Relu", [net.conv("x", "stem", 3, widths[0], 3, 1)], "stem_relu"), widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            x = net.block(x, f"s{stage}b{block}", channels, width, 2 if stage and not block else 1)
            channels = width
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x], "pool")], "flat")
    return net.model([3, image, image], net.gemm(x, "head", channels, classes), [classes])


def of_node(op, domain="", x=("batch", 8), y=("batch", 8), element=FLOAT, weights=(), opset=OPSET, name="second"):
    """`x` → Relu → one node `op` → `y`."""
    values = [make_tensor_value_info(name, element, dims) for name, dims in [("x", x), ("y", y)]]
    constants = [numpy_helper.from_array(np.asarray(array), f"w{i}") for i, array in enumerate(weights)]
    inputs = ["h", *(f"w{i}" for i in range(len(weights)))]
    nodes = [make_node("Relu", ["x"], ["h"], "first"), make_node(op, inputs, ["y"], name, domain=domain)]
    return encode(helper.make_graph(nodes, "one", values[:1], values[1:], constants), opset, [domain] if domain else [])


def with_external_data(location, data=None):
    """The perceptron with its first weight in the file `location`."""
    model = onnx.load_from_string(mlp())
    weight = model.graph.initializer[0]
    if data is not None:
        data.write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", location
    return model.SerializeToString()
