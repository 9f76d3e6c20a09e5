"""MACs of the networks of nets.py as fvcore counts them (it calls them flops), by kind of layer: writes fvcore_macs.json.

pip install torch fvcore
python tools/profile/tests/reference/fvcore_macs.py
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as f
from fvcore.nn import FlopCountAnalysis

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from nets import NETS

KINDS = {"conv": "conv", "linear": "linear", "addmm": "linear", "matmul": "matmul", "bmm": "matmul", "einsum": "matmul"}


class Builder(torch.nn.Module):
    """The network in PyTorch; weights are zeros."""

    def __init__(self, net, classes):
        super().__init__()
        self.net, self.classes = net, classes

    def forward(self, x):
        return self.net(self, x)

    def conv(self, x, inputs, outputs, kernel, stride=1, padding=0, groups=1):
        weight, bias = (torch.zeros(outputs, inputs // groups, kernel, kernel), torch.zeros(outputs))
        return f.conv2d(x, weight, bias, stride, padding, groups=groups)

    def transposed(self, x, inputs, outputs, kernel, stride):
        return f.conv_transpose2d(x, torch.zeros(inputs, outputs, kernel, kernel), torch.zeros(outputs), stride)

    def linear(self, x, inputs, outputs):
        return f.linear(x, torch.zeros(outputs, inputs), torch.zeros(outputs))

    def heads(self, x, positions, heads, size):
        return x.reshape(-1, positions, heads, size).transpose(1, 2)

    def merge(self, x, positions, size):
        return x.transpose(1, 2).reshape(-1, positions, size)

    def max_pool(self, x, kernel, stride, padding):
        return f.max_pool2d(x, kernel, stride, padding)

    def average(self, x):
        return x.mean((2, 3))

    def transpose(self, x):
        return x.transpose(-1, -2)

    def softmax(self, x):
        return torch.softmax(x, -1)

    matmul, relu, add = (staticmethod(torch.matmul), staticmethod(torch.relu), staticmethod(torch.add))


def macs(net, shape, classes, batch=1):
    counts = FlopCountAnalysis(Builder(net, classes).eval(), torch.zeros(batch, *shape)).by_operator()
    kinds = {}
    for operator, count in counts.items():
        if operator in KINDS:
            kinds[KINDS[operator]] = kinds.get(KINDS[operator], 0) + int(count)
    return kinds


if __name__ == "__main__":
    counts = {name: macs(*net) for name, net in NETS.items()}
    (HERE / "fvcore_macs.json").write_text(json.dumps(counts, indent=2) + "\n")
