"""MACs against fvcore's, and shapes and parameters against ONNX and ONNX Runtime, on the networks of nets.py."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from nets import NETS
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference

REFERENCE = json.loads((Path(__file__).parent / "reference" / "fvcore_macs.json").read_text())
KINDS = {"Conv": "conv", "ConvTranspose": "conv", "Gemm": "linear", "MatMul": "matmul"}


class Builder:
    """The network as an ONNX graph; weights are alike, which is quick."""

    def __init__(self, classes):
        self.classes, self.nodes, self.weights = classes, [], []

    def node(self, kind, inputs, **attributes):
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, array):
        name = f"constant{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape):
        return self.constant(np.full(shape, 0.01, np.float32))

    def conv(self, x, inputs, outputs, kernel, stride=1, padding=0, groups=1):
        weights = [self.weight(outputs, inputs // groups, kernel, kernel), self.weight(outputs)]
        return self.node("Conv", [x, *weights], strides=[stride] * 2, pads=[padding] * 4, group=groups)

    def transposed(self, x, inputs, outputs, kernel, stride):
        weights = [self.weight(inputs, outputs, kernel, kernel), self.weight(outputs)]
        return self.node("ConvTranspose", [x, *weights], strides=[stride] * 2)

    def linear(self, x, inputs, outputs):
        """As PyTorch exports it: a MatMul and an Add where x has more than two axes."""
        if self.sequence:
            product = self.node("MatMul", [x, self.weight(inputs, outputs)])
            return self.node("Add", [product, self.weight(outputs)])
        return self.node("Gemm", [x, self.weight(outputs, inputs), self.weight(outputs)], transB=1)

    def heads(self, x, positions, heads, size):
        shaped = self.node("Reshape", [x, self.constant(np.array([-1, positions, heads, size]))])
        return self.node("Transpose", [shaped], perm=[0, 2, 1, 3])

    def merge(self, x, positions, size):
        merged = self.node("Transpose", [x], perm=[0, 2, 1, 3])
        return self.node("Reshape", [merged, self.constant(np.array([-1, positions, size]))])

    def transpose(self, x):
        return self.node("Transpose", [x], perm=[0, 1, 3, 2])

    def matmul(self, x, y):
        return self.node("MatMul", [x, y])

    def relu(self, x):
        return self.node("Relu", [x])

    def softmax(self, x):
        return self.node("Softmax", [x], axis=-1)

    def add(self, x, y):
        return self.node("Add", [x, y])

    def max_pool(self, x, kernel, stride, padding):
        return self.node("MaxPool", [x], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[padding] * 4)

    def average(self, x):
        return self.node("Flatten", [self.node("GlobalAveragePool", [x])])

    @classmethod
    def model(cls, name):
        net, shape, classes = NETS[name]
        self = cls(classes)
        self.sequence = name == "attention"
        output = net(self, "x")
        value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, name, [value("x", ["batch", *shape])], [value(output, None)], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        model = shape_inference.infer_shapes(model, strict_mode=True)
        # The output has its shape; those between are to be inferred.
        del model.graph.value_info[:]
        checker.check_model(model)
        return model


@pytest.fixture
def profile(run, tmp_path):
    """Profiles a network of nets.py, or a model; returns its part of the document."""

    def profile(model, *args):
        model = Builder.model(model) if isinstance(model, str) else model
        onnx.save(model, tmp_path / "m.onnx")
        return model, json.loads(run("profile", "m.onnx", "--to", "json", *args))["models"][0]

    return profile


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", sorted(NETS))
def test_macs_are_those_of_fvcore(profile, name, batch):
    _, told = profile(name, "--nodes", f"profile.batch_size={batch}")
    kinds = {}
    for layer in told["layers"]:
        if layer["macs"]:
            kind = KINDS[layer["operators"][0]]
            # A linear layer with weights is a linear layer, whichever operator computes it.
            kind = "linear" if kind == "matmul" and layer["parameters"] else kind
            kinds[kind] = kinds.get(kind, 0) + layer["macs"]
    assert kinds == {kind: batch * macs for kind, macs in REFERENCE[name].items()}
    assert told["total"]["unknown_layers"] == 0


def test_resnet_18_has_the_macs_and_parameters_of_the_literature(profile):
    _, told = profile("resnet18-224")
    # 1.82 G by the paper's table, which has convolutions and the linear layer. torchvision's 11 689 512 parameters have
    # 9600 of batch norm, in whose place 4800 biases of folded convolutions stand here.
    assert (told["total"]["macs"], told["total"]["parameters"]) == (1_814_073_344, 11_689_512 - 4800)


@pytest.mark.parametrize("name", sorted(NETS))
def test_layers_sum_to_their_nodes(profile, name):
    _, layers = profile(name)
    _, nodes = profile(name, "--nodes")
    for key in ["parameters", "macs", "flops", "bytes_weights"]:
        assert layers["total"][key] == nodes["total"][key], key
    # What lies between the nodes of a layer is neither written nor read.
    assert layers["total"]["bytes_written"] <= nodes["total"]["bytes_written"]
    assert len(layers["layers"]) <= len(nodes["layers"])


@pytest.mark.parametrize("name", sorted(NETS))
def test_bytes_are_those_of_the_inferred_shapes(profile, name):
    model, told = profile(name, "--nodes", "profile.batch_size=2")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    values = {value.name: value for value in [*inferred.value_info, *inferred.input, *inferred.output]}
    size = lambda name: 4 * np.prod([dim.dim_value for dim in values[name].type.tensor_type.shape.dim], dtype=int)
    weights = {weight.name: numpy_helper.to_array(weight).nbytes for weight in model.graph.initializer}
    for node, layer in zip(model.graph.node, told["layers"], strict=True):
        if node.op_type in ("Reshape", "Flatten"):
            assert layer["bytes_read"] == layer["bytes_written"] == 0
            continue
        read = sum(size(name) for name in dict.fromkeys(node.input) if name not in weights)
        constant = sum(weights[name] for name in node.input if name in weights)
        assert (layer["bytes_read"], layer["bytes_weights"], layer["bytes_written"]) == (read, constant, size(node.output[0]))


def test_a_quantized_network_moves_a_quarter_of_the_bytes(profile, tmp_path):
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Rows(CalibrationDataReader):
        rows = iter([{"x": np.random.default_rng(1).random((1, 3, 32, 32), dtype=np.float32)}])

        def get_next(self):
            return next(self.rows, None)

    model, plain = profile("resnet18-32")
    onnx.save(model, tmp_path / "plain.onnx")
    kinds = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    quantize_static(
        tmp_path / "plain.onnx", tmp_path / "q.onnx", Rows(), quant_format=QuantFormat.QDQ, per_channel=True, **kinds
    )
    _, told = profile(onnx.load(tmp_path / "q.onnx"))
    assert (told["total"]["macs"], told["total"]["parameters"]) == (plain["total"]["macs"], plain["total"]["parameters"])
    convs = [layer for layer in told["layers"] if "Conv" in layer["operators"]]
    assert len(convs) == 20 and all(layer["type"] == "int8" for layer in convs)
    # Weights in a byte each, besides biases in four and scales.
    assert 0.25 < told["total"]["bytes_weights"] / plain["total"]["bytes_weights"] < 0.26
    assert sum(layer["bytes_written"] for layer in convs) * 4 <= plain["total"]["bytes_written"] * 1.05
