"""Data-parallel training on two cores, and a model of its scaling to 64 ranks.

Of two networks, the rows a second of: one process with one thread, one process with two, and two ranks of one thread each
over TCP and, if `make train-mpi` has built it, over MPI. All compute the same bytes from the same global batch. In turn, one run each a round;
of a run, the fastest epoch, without validation. On a machine that others load, times say little of speed-up: the CPU time of all
ranks, whole processes, says what the division costs. Then the time of an exchange on the loopback interface, the model

    T(n) = (A / n) · batch + update + 2 · (n - 1) · latency + 2 · (n - 1) / n · bytes / bandwidth

with its parameters as measured here, its prediction for two ranks beside the measured time, and its speed-up to 64 ranks for
several networks. Run by `make bench-data-parallel`.
"""

import argparse
import json
import os
import platform
import resource
import socket
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")).resolve()
MPI = ROOT / "target" / "mpi" / "train"
# Under mpirun as root, which containers are; by default it refuses.
ROOT_ALLOWED = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

COMMON = ["--quiet", "trainer.split=[1,0,0]", "callbacks.checkpoint.save_last=false", "callbacks.checkpoint.save_top_k=0"]
IMAGES = ["--config-name=images", "model=resnet20", "scheduler=constant", "callbacks.checkpoint.monitor=train_loss"]
# Links of the model, as what they carry in each direction: bytes a second, and seconds a message.
LINKS = {"10 Gbit/s, 30 µs": (1.25e9, 30e-6), "100 Gbit/s, 5 µs": (12.5e9, 5e-6)}
# Batches of a step in the model, which the ranks divide.
BATCHES = 64
RANKS = [1, 2, 4, 8, 16, 32, 64]


@dataclass
class Job:
    rows: str
    settings: list
    batch: int
    batches: int
    epochs: int


JOBS = {
    "MLP 8-64-64-1": Job("entropy.npy", [], 128, 2, 12),
    "MLP 8-512-512-1": Job("entropy.npy", ["model.hidden=[512,512]"], 128, 2, 4),
    "ResNet-20, 32 × 32": Job("images.npy", [*IMAGES, "callbacks.checkpoint.filename='{epoch}'"], 64, 2, 3),
}


def write_rows(folder, count, images):
    import numpy as np

    shell = f"{BIN}/gen-data rows={count} --to npy | {BIN}/entropy > entropy.npy"
    subprocess.run(["bash", "-o", "pipefail", "-c", shell], cwd=folder, check=True)
    random = np.random.default_rng(0)
    rows = np.zeros(images, [("image", "u1", (3, 32, 32)), ("label", "u1")])
    rows["image"] = random.integers(0, 256, rows["image"].shape)
    rows["label"] = random.integers(0, 10, images)
    np.save(Path(folder, "images.npy"), rows)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def over_tcp(command, ranks, folder):
    """Starts `command` as so many ranks; what rank 0 writes."""
    port = str(free_port())
    master = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks)}
    start = lambda rank: subprocess.Popen(  # noqa: E731
        command, cwd=folder, env=os.environ | master | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True
    )
    processes = [start(rank) for rank in range(ranks)]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"{command}: failed")
    return outputs[0]


def alone(command, folder):
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout


def over_mpi(command, ranks, folder):
    command = ["mpirun", "--oversubscribe", "-n", str(ranks), *command]
    return subprocess.run(command, cwd=folder, env=os.environ | ROOT_ALLOWED, stdout=subprocess.PIPE, text=True, check=True).stdout


def events(folder, run):
    """From the file: mpirun gives ranks a terminal, where no events are printed."""
    return [json.loads(line) for line in Path(folder, run, "events.ndjson").read_text().splitlines()]


def rows_per_second(folder, run):
    """Of the fastest epoch."""
    return max(event["metrics"]["rows_per_second"] for event in events(folder, run) if event["event"] == "epoch")


def train(job, run, threads, batches, program=BIN / "train"):
    settings = [f"trainer.batch_size={job.batch}", f"trainer.accumulate_batches={batches}", f"trainer.max_epochs={job.epochs}"]
    return [program, job.rows, "-o", run, f"--threads={threads}", *COMMON, *job.settings, *settings]


def cpu_seconds():
    """Of the processes that have ended, those that mpirun has started too."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def contestants(job, folder):
    """By name, what gives seconds of a step, and of CPU time in all."""

    def timed(launch, run, *threads_and_program, ranks=()):
        threads, *program = threads_and_program
        before = cpu_seconds()
        launch(train(job, run, threads, job.batches, *program), *ranks, folder)
        return job.batch * job.batches / rows_per_second(folder, run), cpu_seconds() - before

    ours = {
        "1 process, 1 thread": lambda: timed(alone, "one", 1),
        "1 process, 2 threads": lambda: timed(alone, "two", 2),
        "2 ranks, TCP": lambda: timed(over_tcp, "tcp", 1, ranks=[2]),
    }
    if MPI.exists():
        ours["2 ranks, MPI"] = lambda: timed(over_mpi, "mpi", 1, MPI, ranks=[2])
    return ours


def spread(values, scale=1.0, form=".2f"):
    values = [value * scale for value in values]
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def table(title, values, first, scale, form):
    """A line for each contestant, and its ratio to the first."""
    print(f"| {title} | " + " | ".join(JOBS) + " |\n|---|" + "---|" * len(JOBS))
    for name in values[next(iter(JOBS))]:
        print(f"| {name} | " + " | ".join(spread(values[job][name], scale, form) for job in JOBS) + " |")
        if name != first:
            ratios = ([own / base for base, own in zip(values[job][first], values[job][name])] for job in JOBS)
            print("| … of one thread's | " + " | ".join(spread(ratio) for ratio in ratios) + " |")
    print()


def measure(folder, rounds):
    """Prints the tables of the contestants; returns their median step times by job."""
    runs = {name: contestants(job, folder) for name, job in JOBS.items()}
    steps, cpu = ({job: {name: [] for name in ours} for job, ours in runs.items()} for _ in range(2))
    for _ in range(rounds):
        for job, ours in runs.items():
            for name, run in ours.items():
                step, used = run()
                steps[job][name].append(step)
                cpu[job][name].append(used)
    first = "1 process, 1 thread"
    table("ms a step", steps, first, 1e3, ".3f")
    table("CPU s, all ranks", cpu, first, 1, ".2f")
    models = {path.read_bytes() for path in Path(folder).glob("*/model.safetensors")}
    assert len(models) == 1, "the runs of the last job differ"
    return {job: {name: statistics.median(values) for name, values in ours.items()} for job, ours in steps.items()}


def link(folder):
    """Seconds a message and bytes a second, each way, between two processes of this machine over TCP."""
    program = ROOT / "target" / "release" / "examples" / "exchange"
    points = [tuple(map(float, line.split())) for line in over_tcp([program], 2, folder).splitlines()]
    latency = points[0][1]
    bandwidth = max(size / (seconds - latency) for size, seconds in points if size >= 1 << 20)
    return latency, bandwidth


def batch_and_update(job, folder):
    """Seconds of a batch and of an update, from steps of one batch and of several, with one thread."""
    step = {1: float("inf"), 8: float("inf")}
    for batches in [*step] * 3:
        run = f"batches{batches}"
        alone(train(job, run, 1, batches), folder)
        step[batches] = min(step[batches], job.batch * batches / rows_per_second(folder, run))
    batch = (step[8] - step[1]) / 7
    return batch, max(step[1] - batch, 0.0)


def parameters(folder):
    """Of the network that was trained last."""
    return events(folder, "batches8")[0]["parameters"]


def step_time(ranks, batches, batch, update, bytes, latency, bandwidth):
    exchange = 2 * (ranks - 1) * latency + 2 * (ranks - 1) / ranks * bytes / bandwidth
    return batches / ranks * batch + update + exchange


def model(folder, measured):
    latency, bandwidth = link(folder)
    print(f"Loopback, two processes: {latency * 1e6:.0f} µs an exchange, {bandwidth / 1e9:.2f} GB/s each way\n")
    links = {"this loopback": (bandwidth, latency), **LINKS}
    print("| network | parameters | ms a batch | ms an update | 2 ranks, model / measured ms |\n|---|---|---|---|---|")
    parts = {}
    for name, job in JOBS.items():
        batch, update = batch_and_update(job, folder)
        count = parameters(folder)
        parts[name] = (batch, update, 4 * count)
        two = step_time(2, job.batches, batch, update, 4 * count, latency, bandwidth)
        tcp = measured[name]["2 ranks, TCP"]
        print(f"| {name} | {count} | {batch * 1e3:.3f} | {update * 1e3:.3f} | {two * 1e3:.3f} / {tcp * 1e3:.3f} |")
    # Not trained here, as a step takes seconds: 11.2 million parameters; 2.3 s a batch of 128 with one thread (BENCHMARKS.md).
    parts["ResNet-18, 32 × 32"] = (2.331, 0.03, 4 * 11_173_962)
    print(f"\nSpeed-up with {BATCHES} batches a step, by the model:\n")
    print("| network, link | " + " | ".join(f"{n} ranks" for n in RANKS[1:]) + " |\n|---|" + "---|" * (len(RANKS) - 1))
    for name, (batch, update, bytes) in parts.items():
        for label, (bandwidth, latency) in links.items():
            times = [step_time(n, BATCHES, batch, update, bytes, latency, bandwidth) for n in RANKS]
            print(f"| {name}; {label} | " + " | ".join(f"{times[0] / time:.1f}" for time in times[1:]) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--images", type=int, default=1024)
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; n = {arguments.rounds}\n")
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as folder:
        write_rows(folder, arguments.rows, arguments.images)
        model(folder, measure(folder, arguments.rounds))


if __name__ == "__main__":
    main()
