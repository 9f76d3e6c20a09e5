"""What each tool promises under each fault, as trials that can fail.

A trial runs a real binary on real files, with one fault, and checks the promises of docs/reliability.md: a file is there
whole or not at all, an error is one line and has its exit status (75 where it may pass by itself), nothing is left over,
the next run gives the same bytes.
Faults of the kernel (a kill at the nth rename or write, a full disk, no thread) come from strace's injection.
"""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")).resolve()
LIBRARY = next(ROOT.glob(".venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*"), None)
TIMEOUT = 60
# Exit status of an error that may pass by itself.
TRANSIENT = 75
STAND_IN = tempfile.TemporaryDirectory()


@dataclass
class Job:
    """A tool's run: its arguments, what it reads, and what it leaves."""

    tool: str
    args: list[str]
    # Files that are there whole or not at all. Of a folder: the file that marks it as finished.
    outputs: list[str]
    inputs: list[str] = field(default_factory=list)
    # Its first output, on standard output in its place; None where it has no such form.
    to_stdout: list[str] | None = None
    # Arguments that go on from what a killed run left.
    resume: list[str] = field(default_factory=list)
    # Files that grow while the tool goes on, and which the next run completes.
    growing: list[str] = field(default_factory=list)
    # It needs a process beside its own.
    spawns: bool = False

    @property
    def program(self):
        """The binary; of trt-build a copy, which has a stand-in for TensorRT's process beside it."""
        return str((Path(STAND_IN.name) if self.tool == "trt-build" else BIN) / self.tool)

    @property
    def command(self):
        return [self.program, *self.args]


TRAIN = ["--quiet", "trainer.max_epochs=3", "model.hidden=[16]", "-o", "run"]
JOBS = [
    Job("gen-data", ["rows=20000", "-o", "out.npy"], ["out.npy"], [], ["rows=20000", "--to", "npy"]),
    Job("entropy", ["probs.npy", "-o", "out.npy"], ["out.npy"], ["probs.npy"], ["probs.npy"]),
    Job("relu", ["probs.npy", "--field", "probs", "-o", "out.npy"], ["out.npy"], ["probs.npy"], ["probs.npy", "--field", "probs"]),
    Job("compose", ["--resolve", "-o", "out.yaml"], ["out.yaml"], [], ["--resolve"]),
    Job("sweep", ["trainer.seed=0,1,2"], [], [], ["trainer.seed=0,1,2"]),
    Job("train", ["rows.npy", *TRAIN], ["run/metrics.json", "run/model.safetensors"], ["rows.npy"], ["rows.npy", *TRAIN], ["trainer.resume=last"]),
    Job("export", ["trained", "-o", "out.onnx"], ["out.onnx", "out.json"], ["trained"], None),
    Job("infer", ["-m", "model.onnx", "probs.npy", "-o", "out.npy"], ["out.npy"], ["model.onnx", "probs.npy"], ["-m", "model.onnx", "probs.npy"]),
    Job("score", ["predicted.npy", "-o", "out.json"], ["out.json"], ["predicted.npy"], ["predicted.npy"]),
    Job("plot", ["trained", "-o", "charts"], ["charts/loss.svg"], ["trained"], None),
    Job("profile", ["model.onnx", "-o", "out.json"], ["out.json"], ["model.onnx"], ["model.onnx", "--to", "json"]),
    Job("compare", ["trained"], [], ["trained"], ["trained"]),
    Job("track", ["--no-mlflow", "--csv", "csv", "--dvclive", "live", "trained/events.ndjson"], [], ["trained"], ["--no-mlflow", "--csv", "csv", "trained/events.ndjson"], growing=["csv/metrics.csv", "live/metrics.json"]),
    Job("trt-build", ["model.onnx", "-o", "out.engine"], ["out.engine", "out.engine.json"], ["model.onnx"], ["model.onnx", "-o", "-"], spawns=True),
    Job("fetch-data", ["dataset=image_folder", "dataset.files.archive.urls=[pictures]", "-o", "set"], ["set/dataset.json", "set/train.npy"], ["pictures"], None),
]
# trt-build is no default member of the workspace.
JOBS = [job for job in JOBS if job.tool != "trt-build" or (BIN / job.tool).exists()]


class Failed(Exception):
    """A promise that was not kept."""


def check(kept, what):
    if not kept:
        raise Failed(what)


class Fixtures:
    """Inputs of all jobs, and what each job gives without a fault."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {**os.environ, "ORT_DYLIB_PATH": str(LIBRARY or ""), "RUST_BACKTRACE": "0"}
        self.environment.pop("CI", None)
        run = lambda tool, *args: subprocess.run([BIN / tool, *args], cwd=folder, check=True, env=self.environment, capture_output=True)  # noqa: E731
        run("gen-data", "rows=3000", "-o", "probs.npy")
        run("entropy", "probs.npy", "-o", "rows.npy")
        run("train", "rows.npy", "-o", "trained", "--quiet", "trainer.max_epochs=2")
        run("export", "trained", "-o", "model.onnx")
        run("infer", "-m", "model.onnx", "rows.npy", "-o", "predicted.npy")
        self.pictures()
        if (BIN / "trt-build").exists():
            stand_in_for_tensorrt(Path(STAND_IN.name))
        self.expected = {}

    def pictures(self):
        from PIL import Image

        for split, count in (("train", 6), ("test", 2)):
            for name in ("cat", "dog"):
                folder = self.folder / "pictures" / split / name
                folder.mkdir(parents=True)
                for i in range(count):
                    Image.new("RGB", (8, 8), (i * 20, 40, 90)).save(folder / f"{i}.png")

    def place(self, job, folder):
        for name in job.inputs:
            source = self.folder / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)

    def of(self, job):
        """Bytes of each output, and of standard output, of a run without a fault."""
        if job.tool not in self.expected:
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                self.place(job, folder)
                done = run(job.command, folder, self)
                check(done.returncode == 0, f"without a fault: {done.stderr[-300:]}")
                found = {name: (folder / name).read_bytes() for name in [*job.outputs, *job.growing]}
                self.expected[job.tool] = found, done.stdout
        return self.expected[job.tool]


def stand_in_for_tensorrt(folder):
    """trt-build, and beside it a trt-run that answers with an engine at once and reads what it is asked."""
    tensor = {"name": "x", "dtype": "float32", "shape": [-1, 8]}
    layer = {"name": "gemm", "kind": "gemm", "onnx_nodes": [], "inputs": [tensor], "outputs": [tensor]}
    built = {"library": "TensorRT-RTX", "version": "1.7.1", "layers": [layer], "inputs": [tensor], "outputs": [tensor]}
    engine = bytes(range(256)) * 2000
    answers = frame({"answer": "ready", "protocol": 1}, b"") + frame({"answer": "built", **built}, engine)
    (folder / "answers").write_bytes(answers)
    shutil.copy(BIN / "trt-build", folder)
    program = folder / "trt-run"
    program.write_text(f"#!/bin/sh\ncat {folder}/answers\ncat > /dev/null\n")
    program.chmod(0o755)


def frame(head, payload):
    """As docs/design/tensorrt.md has it."""
    head = json.dumps(head).encode()
    return b"PGT1" + len(head).to_bytes(4, "little") + len(payload).to_bytes(8, "little") + head + payload


def run(command, folder, fixtures, **more):
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run(command, cwd=folder, env=fixtures.environment, timeout=TIMEOUT, **more)


def strace(inject, command, calls):
    return ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:{inject}", *command]


RENAMES = "rename,renameat,renameat2"
WRITES = "write,pwrite64,writev"


def is_whole(job, folder, fixtures):
    """Each output is absent or as it would be without a fault."""
    expected, _ = fixtures.of(job)
    for name in job.outputs:
        path, data = folder / name, expected[name]
        check(not path.exists() or path.read_bytes() == data, f"{name} is neither whole nor absent")


def leftovers(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.endswith(".tmp"))


def recovers(job, folder, fixtures):
    """The next run gives the same bytes, and leaves nothing over."""
    done = run([*job.command, *job.resume], folder, fixtures)
    check(done.returncode == 0, f"the next run: {done.stderr[-300:]}")
    expected, _ = fixtures.of(job)
    for name, data in expected.items():
        check((folder / name).read_bytes() == data, f"the next run: {name} differs")
    check(not leftovers(folder), f"left over: {leftovers(folder)}")


def is_one_line(job, done, status=2):
    """This status, and a line for the error; for each, where several files fail."""
    text = done.stderr.decode(errors="replace")
    check(done.returncode == status, f"exit status {done.returncode}: {text[-300:]}")
    lines = text.splitlines()
    each = lines and all(line.startswith(f"{job.tool}: ") for line in lines) and text.endswith("\n")
    check(each and (len(lines) == 1 or job.growing), f"not one line: {text[-300:]}")


def fresh(job, fixtures):
    folder = tempfile.TemporaryDirectory()
    fixtures.place(job, Path(folder.name))
    return folder


def kill_at(calls, job, fixtures, whole):
    """Killed at the nth call, for each n; for a few of them where not all are to be tried."""
    expected, _ = fixtures.of(job)
    number, trials = 1, 0
    while True:
        with fresh(job, fixtures) as name:
            folder = Path(name)
            done = run(strace(f"signal=KILL:when={number}", job.command, calls), folder, fixtures)
            is_whole(job, folder, fixtures)
            recovers(job, folder, fixtures)
        trials += 1
        if done.returncode == 0:
            return trials
        number += 1 if whole and number < 30 else max(1, number)


def kill_at_renames(job, fixtures, whole):
    return kill_at(RENAMES, job, fixtures, whole)


def kill_at_writes(job, fixtures, whole):
    return kill_at(WRITES, job, fixtures, whole)


def ended_by(number):
    def trial(job, fixtures, whole):
        delays = [0.001, 0.003, 0.006, 0.01, 0.015, 0.02, 0.04, 0.08] if whole else [0.004, 0.015]
        for delay in delays:
            with fresh(job, fixtures) as name:
                folder = Path(name)
                # Whoever runs this may have had the signal ignored, as nohup does.
                heed = lambda: signal.signal(number, signal.SIG_DFL)  # noqa: E731
                process = subprocess.Popen(
                    job.command, cwd=folder, env=fixtures.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=heed
                )
                time.sleep(delay)
                process.send_signal(number)
                _, error = process.communicate(timeout=TIMEOUT)
                check(process.returncode in (0, -number, 128 + number), f"exit status {process.returncode}: {error[-300:]}")
                check(b"panicked" not in error, error[-300:])
                is_whole(job, folder, fixtures)
                check(not leftovers(folder), f"left over: {leftovers(folder)}")
                recovers(job, folder, fixtures)
        return len(delays)

    return trial


def closed_pipe(job, fixtures, whole):
    if job.to_stdout is None:
        return 0
    with fresh(job, fixtures) as name:
        reader, writer = os.pipe()
        os.close(reader)
        done = run([job.program, *job.to_stdout], Path(name), fixtures, stdout=writer)
        os.close(writer)
        check(done.returncode == 0 and not done.stderr, f"exit status {done.returncode}: {done.stderr[-300:]}")
        is_whole(job, Path(name), fixtures)
    return 1


def full_disk(job, fixtures, whole):
    trials = 0
    if job.to_stdout is not None:
        with fresh(job, fixtures) as name, open("/dev/full", "wb") as full:
            done = run([job.program, *job.to_stdout], Path(name), fixtures, stdout=full)
            is_one_line(job, done, TRANSIENT)
            trials += 1
    if not (job.outputs or job.growing):
        return trials
    for number in (1, 2, 3, 5, 9, 17, 33) if whole else (2,):
        with fresh(job, fixtures) as name:
            folder = Path(name)
            # Standard error is a file descriptor like any other: from the nth write on, those to files fail alone.
            command = strace(f"error=ENOSPC:when={number}+", job.command, "fsync,fdatasync")
            done = run(command, folder, fixtures, stdout=subprocess.DEVNULL)
            if done.returncode != 0:
                is_one_line(job, done, TRANSIENT)
            is_whole(job, folder, fixtures)
            recovers(job, folder, fixtures)
        trials += 1
    return trials


def read_only_folder(job, fixtures, whole):
    """/sys takes no new files, not even root's."""
    if not (job.outputs or job.growing):
        return 0
    flags = {"-o", "--csv", "--dvclive"}
    args = ["/sys/" + arg if before in flags else arg for before, arg in zip(["", *job.args], job.args)]
    with fresh(job, fixtures) as name:
        done = run([job.program, *args], Path(name), fixtures)
        is_one_line(job, done)
        check("/sys/" in done.stderr.decode(), done.stderr[-300:])
        check(not leftovers(Path(name)), f"left over: {leftovers(Path(name))}")
    return 1


def damaged(data, kind, chance):
    if kind == "torn":
        return data[: chance.randrange(len(data))]
    if kind == "empty":
        return b""
    if kind == "random":
        return chance.randbytes(len(data) // 2 + 1)
    flipped = bytearray(data)
    for _ in range(8):
        flipped[chance.randrange(min(len(flipped), 400))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def garbage_input(job, fixtures, whole):
    chance = random.Random(job.tool)
    files = [path for name in job.inputs for path in [fixtures.folder / name, *(fixtures.folder / name).rglob("*")] if path.is_file()]
    trials = 0
    for path in files if whole else files[:2]:
        for kind in ("torn", "empty", "random", "flipped") if whole else ("torn", "random"):
            with fresh(job, fixtures) as name:
                folder = Path(name)
                target = folder / path.relative_to(fixtures.folder)
                target.write_bytes(damaged(path.read_bytes(), kind, chance))
                done = run(job.command, folder, fixtures)
                text = done.stderr.decode(errors="replace")
                check("panicked" not in text and done.returncode in (0, 1, 2), f"{path.name} {kind}: {done.returncode} {text[-300:]}")
                if done.returncode == 2:
                    is_one_line(job, done)
                check(not leftovers(folder), f"{path.name} {kind}: left over: {leftovers(folder)}")
            trials += 1
    return trials


def memory_limit(job, fixtures, whole):
    """A process that cannot have its memory ends; what it was writing is whole or absent."""
    sizes = [20, 40, 80, 160, 320] if whole else [60]
    for megabytes in sizes:
        with fresh(job, fixtures) as name:
            folder = Path(name)
            limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20,) * 2)  # noqa: B023, E731
            done = run(job.command, folder, fixtures, preexec_fn=limit)
            check(b"panicked" not in done.stderr, done.stderr[-300:])
            is_whole(job, folder, fixtures)
            recovers(job, folder, fixtures)
    return len(sizes)


def no_threads(job, fixtures, whole):
    """Where no thread can be had, the one that there is does the work, with the same result; a process cannot be had either."""
    with fresh(job, fixtures) as name:
        folder = Path(name)
        done = run(strace("error=EAGAIN", job.command, "clone,clone3,vfork"), folder, fixtures)
        check(b"panicked" not in done.stderr, done.stderr[-300:])
        if job.spawns:
            is_one_line(job, done, TRANSIENT)
        else:
            check(done.returncode == 0, f"exit status {done.returncode}: {done.stderr[-300:]}")
        is_whole(job, folder, fixtures)
        recovers(job, folder, fixtures)
    return 1


def two_writers(job, fixtures, whole):
    if not job.outputs:
        return 0
    trials = 5 if whole else 1
    for _ in range(trials):
        with fresh(job, fixtures) as name:
            folder = Path(name)
            start = lambda: subprocess.Popen(job.command, cwd=folder, env=fixtures.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: B023, E731
            for process in [start(), start()]:
                _, error = process.communicate(timeout=TIMEOUT)
                check(process.returncode in (0, TRANSIENT) and b"panicked" not in error, f"{process.returncode}: {error[-300:]}")
                # Which of two takes the folder is chance; the other is refused in one line.
                check(process.returncode == 0 or error.count(b"\n") == 1, error[-300:])
            is_whole(job, folder, fixtures)
            recovers(job, folder, fixtures)
    return trials


FAULTS = {
    "kill -9 at renames": kill_at_renames,
    "kill -9 at writes": kill_at_writes,
    "SIGTERM": ended_by(signal.SIGTERM),
    "SIGINT": ended_by(signal.SIGINT),
    "SIGHUP": ended_by(signal.SIGHUP),
    "closed pipe": closed_pipe,
    "full disk": full_disk,
    "read-only folder": read_only_folder,
    "torn or garbage input": garbage_input,
    "memory limit": memory_limit,
    "no threads": no_threads,
    "two writers": two_writers,
}
