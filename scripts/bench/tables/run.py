"""Jobs on tables, from CSV to the score of the test rows: pipegrad against scikit-learn and PyTorch.

Whole processes, imports included, in turn, one seed a round. Each peer runs with one thread and with its default, and
each of its figures is the better of the two. Prints Markdown: medians with the extremes. Run by `make bench-tables`;
the Python is that of the environment that the target makes.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")).resolve()
ENV = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}

# Task and epochs: the peers' R² on diabetes falls from the tenth epoch on.
JOBS = {
    "diabetes": ("regression", 10),
    "wine": ("classification", 100),
    "iris": ("classification", 100),
    "breast_cancer": ("classification", 100),
    "digits": ("classification", 100),
}
METRICS = {"regression": ("r2", "R²"), "classification": ("accuracy", "accuracy")}
# CPU s, wall s and peak MB: how each is printed.
FIGURES = {"cpu": ".3f", "wall": ".3f", "memory": ".0f"}
COMMANDS = {
    "pipegrad": [HERE / "pipegrad.sh"],
    "scikit-learn": [sys.executable, HERE / "peer_sklearn.py"],
    "PyTorch": [sys.executable, HERE / "peer_torch.py"],
}
PEERS = ("scikit-learn", "PyTorch")
# Beside its default, each peer runs with this.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
VARIANTS = [("pipegrad", {}), *((peer, threads) for peer in PEERS for threads in ({}, ONE_THREAD))]


def measure(command, env):
    """Runs a command in an empty folder: its score, and the CPU s, wall s and peak MB of all that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with subprocess.Popen(command, cwd=folder, env=ENV | env, stdout=subprocess.PIPE, text=True) as process:
            output = process.stdout.read()
            # The usage includes that of the children that were waited for; memory is that of the largest.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: ended with status {process.returncode}")
    return {
        "score": json.loads(output),
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": wall,
        "memory": usage.ru_maxrss / 1024,
    }


def rounds(folder, job, settings, count):
    """By contestant, for each of its variants: what was measured, round by round. Each round begins with another."""
    runs = [[] for _ in VARIANTS]
    for seed in range(-1, count):
        for turn in range(len(VARIANTS)):
            index = (seed + turn) % len(VARIANTS)
            contestant, env = VARIANTS[index]
            own = settings if contestant == "pipegrad" else []
            command = [*COMMANDS[contestant], folder, *job, max(seed, 0), *own]
            run = measure([*map(str, command)], env)
            if seed >= 0:  # before that: files into the page cache
                runs[index].append(run)
    by_contestant = {contestant: [] for contestant in COMMANDS}
    for (contestant, _), runs_of_variant in zip(VARIANTS, runs):
        by_contestant[contestant].append(runs_of_variant)
    return by_contestant


def spread(values, form):
    values = list(values)
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def better(variants, figure):
    """The figures of the variant whose median is the least."""
    return min(([run[figure] for run in runs] for runs in variants), key=statistics.median)


def header(*columns):
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def quality_row(name, rows, inputs, by_contestant):
    task, epochs = JOBS[name]
    key, label = METRICS[task]
    cells = [name, rows, inputs, epochs, label]
    for variants in by_contestant.values():
        # Threads change nothing but rounding: the first variant is the contestant's default.
        scores = [run["score"][key] for run in variants[0]]
        cells.append(f"{statistics.mean(scores):.3f} ({min(scores):.3f}–{max(scores):.3f})")
    return f"| {' | '.join(map(str, cells))} |"


def cost_row(name, by_contestant):
    (own,) = by_contestant["pipegrad"]
    cells = [name, *(spread([run[figure] for run in own], form) for figure, form in FIGURES.items())]
    for peer in PEERS:
        for figure in FIGURES:
            ratios = [value / run[figure] for value, run in zip(better(by_contestant[peer], figure), own)]
            cells.append(spread(ratios, ".1f"))
    return f"| {' | '.join(cells)} |"


def shape(file):
    """Rows under the header, and columns before the target."""
    header, *rows = file.read_text().splitlines()
    return len(rows), header.count(",")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="seeds, one run of each contestant a seed")
    parser.add_argument("--set", nargs="+", default=[], help="settings for pipegrad's train beside those of the peers")
    parser.add_argument("--data", nargs="+", choices=JOBS, default=list(JOBS), help="data sets")
    args = parser.parse_args()
    quality, cost = [], []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, HERE / "datasets.py", folder], check=True)
        for name in args.data:
            by_contestant = rounds(Path(folder, name), JOBS[name], args.set, args.rounds)
            size = shape(Path(folder, name, "rows.csv"))
            quality.append(quality_row(name, *size, by_contestant))
            cost.append(cost_row(name, by_contestant))
            print(f"{name}: measured", file=sys.stderr)
    print(f"{platform.platform()}, {os.cpu_count()} cores, CPython {platform.python_version()}, n = {args.rounds}\n")
    print(header("data set", "rows", "inputs", "epochs", "metric", *COMMANDS), *quality, "", sep="\n")
    ratios = [f"{peer}, {figure} ratio" for peer in PEERS for figure in ("CPU", "wall", "memory")]
    print(header("data set", "pipegrad, CPU s", "wall s", "peak MB", *ratios), *cost, sep="\n")


if __name__ == "__main__":
    main()
