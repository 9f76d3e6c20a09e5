"""PyTorch's side: `peer_torch.py NETWORK IMAGES THREADS MODE` runs a training step for each line on stdin and prints its seconds.

MODE is `eager`, `channels_last` or `compile` (with channels_last). The networks are those of `nets/benches/image_step.rs`; in the
residual ones projections where a shape changes. SGD with Nesterov momentum and weight decay.
"""

import sys
import time
from functools import partial

import torch
from torch import nn
from torch.nn import functional

STAGES = {
    "resnet20": [(16, 1, 3), (32, 2, 3), (64, 2, 3)],
    "resnet18": [(64, 1, 2), (128, 2, 2), (256, 2, 2), (512, 2, 2)],
}


def conv(inputs, outputs, kernel, stride):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.norm1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = conv(outputs, outputs, 3, 1), nn.BatchNorm2d(outputs)
        changes = inputs != outputs or stride != 1
        self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)) if changes else nn.Identity()

    def forward(self, x):
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x), inplace=True)


def network(stages):
    stem = stages[0][0]
    layers, inputs = [conv(3, stem, 3, 1), nn.BatchNorm2d(stem), nn.ReLU(inplace=True)], stem
    for channels, stride, repeat in stages:
        for i in range(repeat):
            layers.append(Block(inputs, channels, stride if i == 0 else 1))
            inputs = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def lenet5():
    def stage(inputs, outputs):
        return [nn.Conv2d(inputs, outputs, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2)]

    hidden = [nn.Linear(400, 120), nn.ReLU(inplace=True), nn.Linear(120, 84), nn.ReLU(inplace=True)]
    return nn.Sequential(*stage(3, 6), *stage(6, 16), nn.Flatten(), *hidden, nn.Linear(84, 10))


def vgg8():
    layers, inputs = [], 3
    for channels in (64, 128, 256, 512):
        for _ in range(2):
            layers += [conv(inputs, channels, 3, 1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            inputs = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


NETWORKS = {"lenet5": lenet5, "vgg8": vgg8} | {name: partial(network, stages) for name, stages in STAGES.items()}


def main():
    name, images, threads, mode = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layout = torch.contiguous_format if mode == "eager" else torch.channels_last
    model = NETWORKS[name]().to(memory_format=layout)
    forward = torch.compile(model) if mode == "compile" else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    x = torch.randn(images, 3, 32, 32).to(memory_format=layout)
    labels = torch.randint(0, 10, (images,))

    def step():
        start = time.perf_counter()
        optimizer.zero_grad()
        functional.cross_entropy(forward(x), labels).backward()
        optimizer.step()
        return time.perf_counter() - start

    step()
    step()
    for _ in sys.stdin:
        print(f"{step():.6f}", flush=True)


if __name__ == "__main__":
    main()
