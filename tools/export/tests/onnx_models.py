"""Models of other frameworks' kinds, written by onnx.helper, and rows for them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF, BYTE, LONG = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.INT64


class Net:
    """A graph under construction, with random weights from a seed."""

    def __init__(self, seed=0, opset=17):
        self.random, self.opset = np.random.default_rng(seed), opset
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []

    def input(self, name, *shape, kind=FLOAT, batch="batch"):
        self.inputs.append(helper.make_tensor_value_info(name, kind, [batch, *shape]))
        return name

    def constant(self, name, value):
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def normal(self, name, *shape, scale=None):
        fan_in = int(np.prod(shape[1:])) or 1
        scale = (2 / fan_in) ** 0.5 if scale is None else scale
        return self.constant(name, self.random.normal(0, scale, shape).astype(np.float32))

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"node_{output}", **attributes))
        return output

    def conv(self, x, name, outputs, inputs, size=3, **attributes):
        weights = [self.normal(f"{name}.weight", outputs, inputs, size, size), self.normal(f"{name}.bias", outputs, scale=0.1)]
        return self.node("Conv", [x, *weights], name, kernel_shape=[size] * 2, pads=[size // 2] * 4, **attributes)

    def norm(self, x, name, channels):
        gamma, beta, mean = (self.random.normal(m, 0.2, channels).astype(np.float32) for m in (1, 0, 0))
        variance = self.random.uniform(0.5, 1.5, channels).astype(np.float32)
        parts = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
        parts = [self.constant(f"{name}.{part}", value) for part, value in parts.items()]
        return self.node("BatchNormalization", [x, *parts], name)

    def linear(self, x, name, outputs, inputs):
        weights = [self.normal(f"{name}.weight", outputs, inputs), self.normal(f"{name}.bias", outputs, scale=0.1)]
        return self.node("Gemm", [x, *weights], name, transB=1)

    def relu(self, x):
        return self.node("Relu", [x], f"{x}.relu")

    def pooled(self, x, channels, classes):
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x], "pooled")], "flat")
        return self.linear(x, "logits", classes, channels)

    def model(self, output, *shape, kind=FLOAT, batch="batch"):
        outputs = [helper.make_tensor_value_info(output, kind, [batch, *shape])]
        graph = helper.make_graph(self.nodes, "net", self.inputs, outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        return model


def mlp(opset=17, batch="batch", width=32):
    net = Net(0, opset)
    x = net.input("x", 8, batch=batch)
    x = net.relu(net.linear(x, "hidden", width, 8))
    return net.model(net.linear(x, "y", 3, width), 3, batch=batch)


def cnn(opset=17, batch="batch"):
    """Convolutions, each with batch norm."""
    net = Net(1, opset)
    x = net.input("image", 3, 8, 8, batch=batch)
    x = net.relu(net.norm(net.conv(x, "conv1", 8, 3), "norm1", 8))
    x = net.node("MaxPool", [x], "small", kernel_shape=[2, 2], strides=[2, 2])
    x = net.relu(net.norm(net.conv(x, "conv2", 16, 8), "norm2", 16))
    return net.model(net.pooled(x, 16, 5), 5, batch=batch)


def residual(opset=17, batch="batch"):
    """Two residual blocks, the second with a convolution on its shortcut."""
    net = Net(2, opset)
    x = net.input("image", 3, 8, 8, batch=batch)
    x = net.relu(net.norm(net.conv(x, "stem", 8, 3), "stem.norm", 8))
    y = net.relu(net.norm(net.conv(x, "a1", 8, 8), "a1.norm", 8))
    y = net.norm(net.conv(y, "a2", 8, 8), "a2.norm", 8)
    x = net.relu(net.node("Add", [y, x], "a"))
    y = net.relu(net.norm(net.conv(x, "b1", 16, 8, strides=[2, 2]), "b1.norm", 16))
    y = net.norm(net.conv(y, "b2", 16, 16), "b2.norm", 16)
    shortcut = net.norm(net.conv(x, "b0", 16, 8, size=1, strides=[2, 2]), "b0.norm", 16)
    x = net.relu(net.node("Add", [y, shortcut], "b"))
    return net.model(net.pooled(x, 16, 5), 5, batch=batch)


def decoder(opset=17, batch="batch"):
    """An image from an image: a convolution, and its transpose."""
    net = Net(3, opset)
    x = net.input("image", 3, 8, 8, batch=batch)
    x = net.relu(net.conv(x, "down", 8, 3, strides=[2, 2]))
    weight = net.normal("up.weight", 8, 3, 2, 2, scale=0.3)
    return net.model(net.node("ConvTranspose", [x, weight], "up", strides=[2, 2], kernel_shape=[2, 2]), 3, 8, 8, batch=batch)


def two_inputs(opset=17, batch="batch"):
    """An image of bytes and a vector, joined; the shape of the reshape is computed of constants."""
    net = Net(4, opset)
    image, vector = net.input("image", 3, 4, 4, kind=BYTE, batch=batch), net.input("vector", 5, batch=batch)
    x = net.node("Cast", [image], "real", to=FLOAT)
    x = net.node("Mul", [x, net.constant("unit", np.float32(1 / 255))], "scaled")
    rest = net.node("Add", [net.constant("forty", np.array([40])), net.constant("eight", np.array([8]))], "rest")
    shape = net.node("Concat", [net.constant("all", np.array([-1])), rest], "shape", axis=0)
    x = net.node("Concat", [net.node("Reshape", [x, shape], "flat"), vector], "joined", axis=1)
    return net.model(net.linear(net.relu(net.linear(x, "hidden", 32, 53)), "y", 4, 32), 4, batch=batch)


def half_input(opset=17, batch="batch"):
    net = Net(5, opset)
    x = net.node("Cast", [net.input("x", 8, kind=HALF, batch=batch)], "real", to=FLOAT)
    x = net.relu(net.linear(x, "hidden", 32, 8))
    return net.model(net.linear(x, "y", 3, 32), 3, batch=batch)


def tokens(opset=17, batch="batch"):
    """Six indices into a table; random ones cannot be drawn."""
    net = Net(6, opset)
    indices = net.input("tokens", 6, kind=LONG, batch=batch)
    x = net.node("Gather", [net.normal("table", 256, 16, scale=1), indices], "embedded")
    x = net.node("Flatten", [x], "flat")
    return net.model(net.linear(net.relu(net.linear(x, "hidden", 32, 96)), "y", 4, 32), 4, batch=batch)


def two_outputs(opset=17, batch="batch"):
    """An image to scores of classes, and to the values before them."""
    model = cnn(opset, batch)
    model.graph.output.append(helper.make_tensor_value_info("flat", FLOAT, [batch, 16]))
    return model


MODELS = {
    "mlp": mlp,
    "cnn": cnn,
    "residual": residual,
    "decoder": decoder,
    "two_inputs": two_inputs,
    "half_input": half_input,
}
TYPES = {FLOAT: "<f4", HALF: "<f2", BYTE: "u1", LONG: "<i8"}


def rows(model, count, seed=7):
    """Rows that have a field for each input of a model."""
    random = np.random.default_rng(seed)
    fields = []
    for value in model.graph.input:
        kind = value.type.tensor_type
        fields.append((value.name, TYPES[kind.elem_type], tuple(dim.dim_value for dim in kind.shape.dim[1:])))
    table = np.zeros(count, fields)
    for name, kind, shape in fields:
        whole = np.dtype(kind).kind in "ui"
        table[name] = random.integers(0, 256, (count, *shape)) if whole else random.normal(size=(count, *shape))
    return table
