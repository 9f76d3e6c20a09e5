"""A training step of networks on 32 × 32 images, the fused engine against PyTorch: LeNet-5, a VGG with eight convolutions, ResNets.

Wall time of a step (forward, backward, SGD with momentum), start-up left out, on one thread and on two. The contestants live
at the same time and take turns. A turn begins with a pause, as threads of the one before may still spin, and a step that does
not count, as the caches are another's; then come the steps whose mean counts. PyTorch runs eager, eager with channels_last,
and compiled with channels_last; the ratio is that of its fastest mode, round by round, and so is that of one thread and two.
The share is that of the best that a core can do on registers alone, with the operations of the definition: Winograd's method
needs fewer. Run by `make bench-image-step`; the Python is that of the environment that the target makes.
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
MODES = ["eager", "channels_last", "compile"]
THREADS = [1, 2]
PAUSE = 0.5  # seconds
STEPS = 3  # of a turn that count
# Multiplications of a forward pass for one image: convolutions and linear layers.
MULTIPLICATIONS = {"lenet5": 651_720, "vgg8": 209_392_640, "resnet20": 40_813_184, "resnet18": 555_422_720}
# Those of the first convolution: the gradient of the images themselves is not computed.
FIRST = {"lenet5": 352_800, "vgg8": 1_769_472, "resnet20": 442_368, "resnet18": 1_769_472}


def turn(contestant):
    """Seconds of a step."""
    time.sleep(PAUSE)
    contestant.step()
    return statistics.mean(contestant.step() for _ in range(STEPS))


def measure(network, images, rounds, modes):
    """Seconds of each round, and MB at the peak, by contestant and number of threads."""
    ours, theirs = [bench("nets", "image_step")], [sys.executable, HERE / "peer_torch.py"]
    commands = {"pipegrad": [*ours, network, images]} | {mode: [*theirs, network, images] for mode in modes}
    # One thread and two follow each other: the machine is the same for both.
    contestants = {
        (name, threads): Contestant([*command, threads, *([name] if name in modes else [])])
        for name, command in commands.items()
        for threads in THREADS
    }
    # Nobody's turn comes while another still starts up, or compiles.
    for contestant in contestants.values():
        contestant.step()
    times = {key: [] for key in contestants}
    for _ in range(rounds):
        for key, contestant in contestants.items():
            times[key].append(turn(contestant))
    return times, {key: contestant.close() for key, contestant in contestants.items()}


def spread(ratios):
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def row(network, threads, times, memory, flops, peak):
    """A line of the table. `flops` are those of a step; `peak` is of a core, a second."""
    median = {name: statistics.median(times[name, threads]) for name in ["pipegrad", *MODES]}
    best = min(MODES, key=median.get)
    cells = [network, str(threads), f"{1e3 * median['pipegrad']:.3g}"]
    cells.append(" / ".join(f"{1e3 * median[mode]:.3g}" for mode in MODES))
    cells.append(spread([theirs / ours for ours, theirs in zip(times["pipegrad", threads], times[best, threads])]))
    cells.append(f"{flops / median['pipegrad'] / peak / threads:.0%}")
    cells.append(f"{memory['pipegrad', threads]:.0f}, PyTorch {min(memory[mode, threads] for mode in MODES):.0f}")
    return f"| {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--networks", nargs="+", choices=MULTIPLICATIONS, default=list(MULTIPLICATIONS))
    parser.add_argument("--alone", action="store_true", help="without PyTorch: what the second thread is worth")
    args = parser.parse_args()
    modes = [] if args.alone else MODES
    peak = float(subprocess.run([bench("kernels", "fma_peak"), "1"], capture_output=True, text=True, check=True).stdout)
    print(f"{platform.platform()}, {os.cpu_count()} cores of {peak:.0f} GFLOP/s, n = {args.runs}, {args.images} images\n")
    if modes:
        print(
            "| network | threads | pipegrad, ms | PyTorch, ms: eager / channels_last / compiled | PyTorch's best / ours | share of peak | memory, MB |"
        )
        print("|---|---|---|---|---|---|---|")
    second = []
    for network in args.networks:
        times, memory = measure(network, args.images, args.runs, modes)
        flops = 2 * args.images * (3 * MULTIPLICATIONS[network] - FIRST[network])
        for threads in THREADS if modes else []:
            print(row(network, threads, times, memory, flops, 1e9 * peak), flush=True)
        for name in ["pipegrad", *modes]:
            rounds = zip(*(times[name, threads] for threads in THREADS))
            second.append(f"{network}, {name}: {spread([one / two for one, two in rounds])}")
    print("\nTime on one thread / on two:\n")
    print("\n".join(f"- {line}" for line in second))


if __name__ == "__main__":
    main()
