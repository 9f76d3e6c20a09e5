"""A training step of perceptrons with Adam, the fused engine against PyTorch with fused Adam.

Wall time of a step in one process, start-up left out, on one thread and on two. The contestants live at the same time and take
short turns, each after a pause, as threads of the one before may still spin. The ratio is that of the better of one thread and
two. On a machine with other load most turns are disturbed, and two threads that wait for each other more than one: the times
are the first quartiles of the turns, the spread those of each quarter of the rounds. The share is that of the best that a core can do on
registers alone. Run by `make bench-mlp-step`; the Python is that of the environment that the target makes.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from contestant import Contestant, bench  # noqa: E402  shared by the benchmarks

HERE = Path(__file__).resolve().parent
SHAPES = [
    ("8-64-64-1", 128),
    ("256-64-64-1", 128),
    ("8-64-64-1", 1024),
    ("256-64-64-1", 1024),
]
SHAPES += [(f"784-{width}-{width}-10", batch) for width in (512, 1024) for batch in (64, 128, 512)]
THREADS = [1, 2]
PAUSE = 0.05  # seconds: PyTorch's threads spin for some milliseconds


def flops(widths, batch):
    """Of a step: a multiplication and an addition a weight, three times over but for the gradient of the input."""
    weights = [inputs * outputs for inputs, outputs in zip(widths, widths[1:])]
    return batch * (6 * sum(weights) - 2 * weights[0])


def measure(layers, batch, seconds, rounds, ours):
    """Seconds a step of each round, by contestant and number of threads."""
    commands = {"pipegrad": [ours], "PyTorch": [sys.executable, HERE / "peer_torch.py"]}
    contestants = {
        (name, threads): Contestant([*command, layers, batch, threads, seconds]) for threads in THREADS for name, command in commands.items()
    }
    # Nobody's turn comes while another still starts up.
    for contestant in contestants.values():
        contestant.step()
    times = {key: [] for key in contestants}
    for _ in range(rounds):
        for key, contestant in contestants.items():
            time.sleep(PAUSE)
            times[key].append(contestant.step())
    for contestant in contestants.values():
        contestant.close()
    return times


def quartile(times):
    return statistics.quantiles(times, n=4, method="inclusive")[0]


def best(times, name, turns=slice(None)):
    """Seconds on the better number of threads."""
    return min(quartile(times[name, threads][turns]) for threads in THREADS)


def row(layers, batch, times, peak):
    """A line of the table; `peak` is of a core, a second."""
    cells = [f"{layers} × {batch}"]
    for name in ("pipegrad", "PyTorch"):
        cells.append(" / ".join(f"{1e6 * quartile(times[name, threads]):.0f}" for threads in THREADS))
    ratios = [best(times, "PyTorch", slice(i, None, 4)) / best(times, "pipegrad", slice(i, None, 4)) for i in range(4)]
    cells.append(f"{best(times, 'PyTorch') / best(times, 'pipegrad'):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")
    rate = flops([int(width) for width in layers.split("-")], batch) / quartile(times["pipegrad", 1])
    cells.append(f"{rate / 1e9:.0f} GFLOP/s, {rate / peak:.0%}")
    return f"| {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.1, help="time of a turn")
    parser.add_argument("--only", default="", help="only networks whose name contains it: 784-512")
    args = parser.parse_args()
    peak = float(
        subprocess.run(
            [bench("kernels", "fma_peak"), "1"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    print(f"{platform.platform()}, {os.cpu_count()} cores of {peak:.0f} GFLOP/s, n = {args.runs}\n")
    print(
        "| layers × batch | pipegrad, µs, 1 / 2 threads | PyTorch, µs, 1 / 2 threads | PyTorch's better / ours | one thread, share of a core's peak |"
    )
    print("|---|---|---|---|---|")
    ours = bench("nets", "mlp_step")
    for layers, batch in SHAPES:
        if args.only in layers:
            times = measure(layers, batch, args.seconds, args.runs, ours)
            print(row(layers, batch, times, 1e9 * peak), flush=True)


if __name__ == "__main__":
    main()
