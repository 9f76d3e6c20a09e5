"""Convolutions as candle's users call them: `candle_ops::conv2d` against candle's own `conv2d`.

Wall time of the forward pass and of `backward` into input and weight, for the layers of ResNet-20, on one thread and on two;
transposing, planning and allocating are in it. The contestants take turns, round by round. Run by `make bench-candle-ops`.
"""

import argparse
import os
import platform
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from contestant import Contestant, bench  # noqa: E402  shared by the benchmarks

CONTESTANTS = ["kernels", "candle"]


def measure(threads, images, rounds):
    """Milliseconds: of each layer a pair for each round, after one to warm up."""
    program = bench("candle-ops", "conv2d")
    pair = [Contestant([program, name, images], RAYON_NUM_THREADS=str(threads)) for name in CONTESTANTS]
    times = {}
    for number in range(rounds + 1):
        ours, theirs = (contestant.round() for contestant in pair)
        for layer in ours if number else []:
            times.setdefault(layer, []).append((ours[layer], theirs[layer]))
    for contestant in pair:
        contestant.close()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="rounds of all layers")
    parser.add_argument("--images", type=int, default=32)
    args = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, n = {args.runs}, {args.images} images\n")
    print("| size | channels | kernel, stride | direction | threads | kernels, ms | candle, ms | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for threads in (1, 2):
        for layer, pairs in measure(threads, args.images, args.runs).items():
            size, inputs, outputs, kernel, stride, direction = layer.split()
            ours, theirs = (statistics.median(column) for column in zip(*pairs))
            ratios = [theirs / ours for ours, theirs in pairs]
            ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
            cells = [size, f"{inputs} → {outputs}", f"{kernel}, {stride}", direction, threads]
            print(f"| {' | '.join(map(str, [*cells, f'{ours:.3g}', f'{theirs:.3g}', ratio]))} |")


if __name__ == "__main__":
    main()
