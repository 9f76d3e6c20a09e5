"""PyTorch's side: `peer_torch.py THREADS - IMAGES` measures all layers once for each line on stdin.

Prints what `kernels/benches/conv.rs` prints: height, inputs, outputs, kernel, stride, direction, milliseconds; an empty line ends a round.
"""

import sys
import time

import torch
from torch.nn import functional

LAYERS = [
    (32, 3, 16, 3, 1),
    (32, 16, 16, 3, 1),
    (32, 16, 32, 3, 2),
    (16, 32, 32, 3, 1),
    (16, 32, 64, 3, 2),
    (8, 64, 64, 3, 1),
    (32, 3, 64, 3, 1),
    (32, 64, 64, 3, 1),
    (32, 64, 128, 3, 2),
    (32, 64, 128, 1, 2),
    (16, 128, 128, 3, 1),
    (16, 128, 256, 3, 2),
    (8, 256, 256, 3, 1),
    (8, 256, 512, 3, 2),
    (8, 256, 512, 1, 2),
    (4, 512, 512, 3, 1),
]
MASKS = {"input": [True, False, False], "weights": [False, True, False]}


def layer(images, size, inputs, outputs, kernel, stride):
    """What to time, by direction."""
    place = {"stride": [stride, stride], "padding": [kernel // 2, kernel // 2]}
    x = torch.randn(images, inputs, size, size).to(memory_format=torch.channels_last)
    w = torch.randn(outputs, inputs, kernel, kernel).to(memory_format=torch.channels_last)
    y = torch.randn(functional.conv2d(x, w, **place).shape).to(memory_format=torch.channels_last)
    rest = {"bias_sizes": None, "dilation": [1, 1], "transposed": False, "output_padding": [0, 0], "groups": 1}

    def backward(mask):
        return lambda: torch.ops.aten.convolution_backward(y, x, w, **place, **rest, output_mask=mask)

    return {"forward": lambda: functional.conv2d(x, w, **place)} | {name: backward(mask) for name, mask in MASKS.items()}


def milliseconds(work):
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(0)
    layers = {sizes: layer(int(sys.argv[3]), *sizes) for sizes in LAYERS}
    works = {" ".join(map(str, [*sizes, name])): work for sizes, named in layers.items() for name, work in named.items()}
    with torch.no_grad():
        for work in works.values():
            work()
        for _ in sys.stdin:
            for name, work in works.items():
                print(name, f"{milliseconds(work):.3f}")
            print(flush=True)


if __name__ == "__main__":
    main()
