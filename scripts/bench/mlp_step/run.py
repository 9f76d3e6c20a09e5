"""A training step of a 64 × 64 network with Adam, the fused engine against PyTorch with fused Adam.

Wall time of steps in one process, start-up left out; both on one thread and on two, each with the better
of its two compared, in turn. The share is that of the best that a core can do on registers alone. Run by `make bench-mlp-step`; the Python is that of the environment that the target makes.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from contestant import bench  # noqa: E402  shared by the benchmarks

HERE = Path(__file__).resolve().parent
SHAPES = [(128, 8), (128, 256), (1024, 8), (1024, 256)]
CONTESTANTS = {
    "pipegrad": [bench("nets", "mlp_step")],
    "PyTorch": [sys.executable, HERE / "peer_torch.py"],
}


def flops(batch, inputs):
    """Of a step: a multiplication and an addition a weight, three times over but for the gradient of the input."""
    weights = [inputs * 64, 64 * 64, 64]
    return batch * (6 * sum(weights) - 2 * weights[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="time of one measurement")
    args = parser.parse_args()
    peak = float(subprocess.run([bench("kernels", "fma_peak"), "1"], capture_output=True, text=True, check=True).stdout)
    print(f"{platform.platform()}, {os.cpu_count()} cores of {peak:.0f} GFLOP/s, n = {args.runs}\n")
    print("| batch × inputs | pipegrad, µs, 1 / 2 threads | PyTorch, µs, 1 / 2 threads | PyTorch's better / ours | share of a core's peak |")
    print("|---|---|---|---|---|")
    for batch, inputs in SHAPES:
        times = {(name, threads): [] for name in CONTESTANTS for threads in (1, 2)}
        for _ in range(args.runs):
            for name, command in CONTESTANTS.items():
                for threads in (1, 2):
                    numbers = map(str, [batch, inputs, threads, args.seconds])
                    done = subprocess.run([*command, *numbers], capture_output=True, text=True, check=True)
                    times[name, threads].append(float(done.stdout))
        best = {name: [min(pair) for pair in zip(times[name, 1], times[name, 2])] for name in CONTESTANTS}
        ratios = [theirs / ours for ours, theirs in zip(best["pipegrad"], best["PyTorch"])]
        cells = [" / ".join(f"{1e6 * statistics.median(times[name, n]):.0f}" for n in (1, 2)) for name in CONTESTANTS]
        cells.append(f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})")
        rate = flops(batch, inputs) / statistics.median(times["pipegrad", 1]) / 1e9
        cells.append(f"{rate:.0f} GFLOP/s, {rate / peak:.0%}")
        print(f"| {batch} × {inputs} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
