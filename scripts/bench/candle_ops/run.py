"""Convolutions as candle's users call them: `nets::candle_ops::conv2d` against candle's own `conv2d`.

Wall time of the forward pass and of `backward` into input and weight, for the layers of ResNet-20, on one thread and on two;
transposing, planning and allocating are in it. The contestants take turns, round by round. Run by `make bench-candle-ops`.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = Path(os.environ.get("EXAMPLES", ROOT / "target/release/examples"))
CONTESTANTS = ["kernels", "candle"]


class Contestant:
    """A process that measures all layers once for each line that it reads."""

    def __init__(self, name, threads, images):
        self.process = subprocess.Popen(
            [EXAMPLES / "candle_ops_speed", name, str(images)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"RAYON_NUM_THREADS": str(threads)},
        )

    def round(self):
        """Milliseconds of each layer and direction."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        times = dict(line.rsplit(maxsplit=1) for line in iter(self.process.stdout.readline, "\n") if line)
        if self.process.poll() is not None:
            sys.exit(f"{self.process.args}: ended with status {self.process.returncode}")
        return {layer: float(time) for layer, time in times.items()}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(threads, images, rounds):
    """Milliseconds: of each layer a pair for each round, after one to warm up."""
    pair = [Contestant(name, threads, images) for name in CONTESTANTS]
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
