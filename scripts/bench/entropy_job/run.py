"""The main job, pipegrad against PyTorch and NumPy: the whole processes, in turn, over several seeds.

Prints processor time, wall time, peak memory and test MSE: medians with the extremes. Run by
`make bench-entropy-job`; the Python is that of the environment that the target makes.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def commands(threads):
    """The contestants: a name, and for a seed the command."""
    python = sys.executable
    yield "pipegrad", lambda seed: [ROOT / "pipelines" / "entropy.sh", "run", str(seed)]
    yield "NumPy", lambda seed: [python, HERE / "peer_numpy.py", str(seed)]
    for n in threads:
        yield f"PyTorch, {n} thread{'s' * (n > 1)}", lambda seed, n=n: [python, HERE / "peer_torch.py", str(seed), str(n)]


def measure(command, env):
    """Runs one command in an empty folder; everything it starts is counted."""
    folder = tempfile.mkdtemp()
    reader, writer = os.pipe()
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        # A process of its own, so that the children's usage is this command's alone.
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = {
            "cpu": usage.ru_utime + usage.ru_stime,
            "memory": usage.ru_maxrss / 1024,
            "mse": json.loads(done.stdout)["mse"] if done.returncode == 0 else None,
            "error": done.stderr if done.returncode else None,
        }
        os.write(writer, json.dumps(result).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        result = json.loads(pipe.read())
    os.waitpid(child, 0)
    result["wall"] = time.perf_counter() - start
    shutil.rmtree(folder)
    if result["error"] is not None:
        sys.exit(f"{command}: {result['error']}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="seeds, one run of each contestant a seed")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2], help="thread counts for PyTorch")
    args = parser.parse_args()
    env = os.environ | {"PATH": f"{ROOT / 'target' / 'release'}:{os.environ['PATH']}"}
    # NumPy's BLAS loses on these sizes with more threads than one.
    env |= {"OPENBLAS_NUM_THREADS": "1"}
    contestants = list(commands(args.threads))
    results = {name: [] for name, _ in contestants}
    for name, command in contestants:
        measure(command(0), env)  # warm-up: files into the page cache
    for seed in range(args.runs):
        for name, command in contestants:
            results[name].append(measure(command(seed), env))
    ours = [run["cpu"] for run in results["pipegrad"]]
    print(f"{platform.platform()}, {os.cpu_count()} cores, CPython {platform.python_version()}, n = {args.runs}\n")
    print("| | CPU s | wall s | peak memory of a process, MB | test MSE, mean | CPU, ratio to pipegrad |")
    print("|---|---|---|---|---|---|")
    for name, runs in results.items():
        cells = []
        for key, form in [("cpu", ".2f"), ("wall", ".2f"), ("memory", ".0f")]:
            values = [run[key] for run in runs]
            cells.append(f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})")
        mse = [run["mse"] for run in runs]
        cells.append(f"{statistics.mean(mse):.2e} ({min(mse):.1e}–{max(mse):.1e})")
        ratios = [run["cpu"] / own for run, own in zip(runs, ours)]
        cells.append(f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
