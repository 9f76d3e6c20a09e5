"""The convolutions of ResNet-20 and ResNet-18 on 32 × 32 images, `kernels::conv` against PyTorch with channels_last.

Wall time of each layer and direction, packing the weights included, on one thread and on two. The
contestants take turns, round by round. GFLOP/s are those of the definition, whatever the method.
Run by `make bench-conv`; the Python is that of the environment that the target makes.
"""

import argparse
import os
import platform
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from contestant import Contestant, bench  # noqa: E402  shared by the benchmarks

HERE = Path(__file__).resolve().parent
CONTESTANTS = {
    "pipegrad": [bench("kernels", "conv")],
    "PyTorch": [sys.executable, HERE / "peer_torch.py"],
}


def flops(layer, images):
    size, inputs, outputs, kernel, stride = map(int, layer.split()[:5])
    return 2 * images * (size // stride) ** 2 * inputs * outputs * kernel**2


def measure(threads, images, rounds):
    """Milliseconds: of each layer a pair for each round."""
    pair = [Contestant([*command, threads, "-", images]) for command in CONTESTANTS.values()]
    times = {}
    for _ in range(rounds):
        ours, theirs = (contestant.round() for contestant in pair)
        for layer in ours:
            times.setdefault(layer, []).append((ours[layer], theirs[layer]))
    for contestant in pair:
        contestant.close()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="rounds of all layers")
    parser.add_argument("--images", type=int, default=128)
    args = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, n = {args.runs}, {args.images} images\n")
    print("| size | channels | kernel, stride | direction | threads | pipegrad, ms | PyTorch, ms | ratio | pipegrad, GFLOP/s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for threads in (1, 2):
        for layer, pairs in measure(threads, args.images, args.runs).items():
            size, inputs, outputs, kernel, stride, direction = layer.split()
            ours, theirs = (statistics.median(column) for column in zip(*pairs))
            ratios = [theirs / ours for ours, theirs in pairs]
            ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
            speed = flops(layer, args.images) / ours / 1e6
            cells = [size, f"{inputs} → {outputs}", f"{kernel}, {stride}", direction, threads]
            cells += [f"{ours:.3g}", f"{theirs:.3g}", ratio, f"{speed:.0f}"]
            print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
