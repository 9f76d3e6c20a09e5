"""Training on a file larger than memory: pipegrad, which reads rows as they are needed, beside PyTorch on NumPy's map.

Writes a file of rows of 256 f4 and a target (20 GB), trains a few hundred steps on it, and deletes it. Then a file of
200 MB: held in memory against read as needed, whole runs in turn. Prints Markdown. Run by `make bench-large-file`; the
Python is that of the environment that the target makes.
"""

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")).resolve()

WIDTH, BATCH = 256, 128
ROW = np.dtype([("x", "<f4", (WIDTH,)), ("y", "<f4")])
SMALL_MB, EPOCHS = 200, 3
SETTINGS = ["trainer.input_field=x", "trainer.target_field=y", f"trainer.batch_size={BATCH}", "--quiet"]
CHUNK = 1 << 16


def write(path, megabytes):
    """Random rows; the target is a sum of some inputs. Returns their number."""
    rows = int(megabytes * 1e6) // ROW.itemsize
    # In a process of its own: the peak memory of a child begins with that of its parent.
    process = multiprocessing.Process(target=write_rows, args=(path, rows))
    process.start()
    process.join()
    if process.exitcode != 0:
        sys.exit(f"{path}: not written")
    return rows


def write_rows(path, rows):
    random = np.random.default_rng(0)
    header = np.lib.format.header_data_from_array_1_0(np.zeros(1, ROW)) | {"shape": (rows,)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, rows, CHUNK):
            table = np.empty(min(CHUNK, rows - first), ROW)
            table["x"] = random.standard_normal((len(table), WIDTH), dtype="f4")
            table["y"] = table["x"][:, :8].sum(axis=1) / 4
            table.tofile(file)
        file.flush()
        os.fsync(file.fileno())


def forget(path):
    """Drops the file from the page cache: what is read then comes from the disk."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(command, steps_of):
    """Runs a command: seconds to the first step, seconds of each later one, CPU s, wall s, and peak MB.

    `steps_of` gives the steps done by a line of output; None for other lines.
    """
    began, marks = time.perf_counter(), []
    with subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if (steps := steps_of(line)) is not None:
                marks.append((steps, time.perf_counter() - began))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode != 0:
        sys.exit(f"{command[0]}: ended with status {process.returncode}")
    (first, start), (last, end) = marks[0], marks[-1]
    return {
        "start": start,
        "step": (end - start) / max(last - first, 1),
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": wall,
        "memory": usage.ru_maxrss / 1024,
    }


def pipegrad(path, folder, *settings):
    shutil.rmtree(folder, ignore_errors=True)
    def steps_of(line):
        event = json.loads(line)
        return {"start": 0, "step": event.get("step")}.get(event["event"])

    return measure([BIN / "train", path, "-o", folder, *SETTINGS, *settings], steps_of)


def torch(path, steps):
    command = [sys.executable, HERE / "peer_torch.py", path, steps, BATCH, WIDTH]
    return measure(command, lambda line: 0 if line == "start\n" else int(line))


def large(folder, megabytes, steps):
    path = folder / "large.npy"
    try:
        rows = write(path, megabytes)
        print(f"{path.stat().st_size / 1e9:.1f} GB, {rows} rows; {steps} steps from a cold page cache\n")
        print("| | seconds before the first step | ms a step | peak memory, MB |\n|---|---|---|---|")
        # Few rows for validation and test: the steps are what is measured.
        settings = [f"trainer.max_steps={steps}", "trainer.log_every_steps=1", "trainer.split=[0.9998,0.0001,0.0001]"]
        for name, contestant in [
            ("pipegrad", lambda: pipegrad(path, folder / "run", *settings)),
            ("PyTorch, NumPy's map", lambda: torch(path, steps)),
        ]:
            forget(path)
            run = contestant()
            print(f"| {name} | {run['start']:.1f} | {run['step'] * 1e3:.2f} | {run['memory']:.0f} |", flush=True)
    finally:
        path.unlink(missing_ok=True)


def spread(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def small(folder, count):
    path = folder / "small.npy"
    rows = write(path, SMALL_MB)
    variants = {"in memory": [], "from the file": ["trainer.memory_bytes=0"]}
    runs = {name: [] for name in variants}
    for turn in range(count + 1):
        for name, own in variants.items():
            run = pipegrad(path, folder / "run", f"trainer.max_epochs={EPOCHS}", "trainer.log_every_steps=1000000", *own)
            if turn > 0:  # before that: the file into the page cache
                runs[name].append(run)
    print(f"\n{SMALL_MB} MB, {rows} rows; {EPOCHS} epochs, n = {count}\n")
    print("| | CPU s | wall s | peak memory, MB |\n|---|---|---|---|")
    for name, of_variant in runs.items():
        cells = [spread([run[key] for run in of_variant], form) for key, form in [("cpu", ".2f"), ("wall", ".2f"), ("memory", ".0f")]]
        print(f"| {name} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=20_000, help="size of the large file; 0 leaves it out")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--runs", type=int, default=5, help="runs of each variant on the small file; 0 leaves it out")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the files are written")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}\n")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.megabytes:
            large(Path(folder), arguments.megabytes, arguments.steps)
        if arguments.runs:
            small(Path(folder), arguments.runs)


if __name__ == "__main__":
    main()
