"""Composing the main job's settings, pipegrad against Hydra: whole processes, start-up included, in turn.

Prints processor and wall time: medians with the extremes. Run by `make bench-compose`; the Python is
that of the tests' environment, which has Hydra.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OVERRIDES = ["data=softmax", "data.rows=1000", "optimizer=adamw", "scheduler=cosine", "trainer.seed=3"]
HYDRA = f"""\
import sys
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
with initialize_config_dir({str(ROOT / "configs")!r}, version_base="1.3"):
    cfg = compose("entropy", overrides=sys.argv[1:])
OmegaConf.resolve(cfg)
sys.stdout.write(OmegaConf.to_yaml(cfg))
"""
OURS = [ROOT / "target/release/compose", "--resolve", *OVERRIDES]
CONTESTANTS = {"pipegrad": (OURS, 20), "Hydra": ([sys.executable, "-c", HYDRA, *OVERRIDES], 1)}


def measure(command, times):
    """Mean processor and wall time of a run in milliseconds, of so many in a row."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(times):
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"CPU": 1e3 * cpu / times, "wall": 1e3 * wall / times}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="runs of Hydra; pipegrad's are 20 for each")
    args = parser.parse_args()
    outputs = [subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout for command, _ in CONTESTANTS.values()]
    if outputs[0] != outputs[1]:
        sys.exit("the two compose different documents")
    results = {name: [] for name in CONTESTANTS}
    for _ in range(args.runs):
        for name, contestant in CONTESTANTS.items():
            results[name].append(measure(*contestant))
    machine = f"{platform.platform()}, {os.cpu_count()} cores, CPython {platform.python_version()}"
    print(f"{machine}, hydra-core {version('hydra-core')}, n = {args.runs}\n")
    print("| | CPU ms | wall ms | CPU, ratio to pipegrad |")
    print("|---|---|---|---|")
    for name, runs in results.items():
        cells = []
        for key in ["CPU", "wall"]:
            values = [run[key] for run in runs]
            cells.append(f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})")
        ratios = [run["CPU"] / own["CPU"] for run, own in zip(runs, results["pipegrad"])]
        print(f"| {name} | {' | '.join(cells)} | {statistics.median(ratios):.0f} ({min(ratios):.0f}–{max(ratios):.0f}) |")


if __name__ == "__main__":
    main()
