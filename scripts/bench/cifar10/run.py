"""ResNet-20 on CIFAR-10: the accuracy of each epoch, `train` against PyTorch with the same recipe.

`run.py DATA` wants a folder that `fetch-data` has written. For each seed one run of each, one after the other: the recipe is
configs/cifar10.yaml with as many epochs as asked for. Run by `make bench-cifar10 DATA=data/cifar10`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TRAIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target/release")) / "train"


def ours(data, epochs, seed):
    """Accuracy and seconds of each epoch."""
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"trainer.val_input={data}/test.npy", f"trainer.max_epochs={epochs}", f"trainer.seed={seed}"]
        command = [TRAIN, "--config-name", "cifar10", "--quiet", "-o", f"{folder}/run", f"{data}/train.npy", *settings]
        log = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    events = [json.loads(line) for line in log.splitlines()]
    accuracies = [event["metrics"]["val_accuracy"] for event in events if event["event"] == "validation"]
    # `seconds` has the validation in it; the rate has not.
    rows = json.loads((data / "dataset.json").read_text())["train"]["rows"]
    seconds = [rows / event["metrics"]["rows_per_second"] for event in events if event["event"] == "epoch"]
    return list(zip(accuracies, seconds))


def theirs(data, epochs, seed):
    command = [sys.executable, HERE / "peer_torch.py", data, epochs, seed]
    lines = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout.splitlines()
    return [tuple(map(float, line.split()[1:])) for line in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, {args.epochs} epochs, {args.seeds} seeds\n", flush=True)
    data = args.data.resolve()
    for seed in range(args.seeds):
        pair = ours(data, args.epochs, seed), theirs(data, args.epochs, seed)
        print(f"Seed {seed}:\n\n| epoch | accuracy | PyTorch's | seconds | PyTorch's |\n|---|---|---|---|---|")
        for epoch, (a, b) in enumerate(zip(*pair), 1):
            print(f"| {epoch} | {a[0]:.4f} | {b[0]:.4f} | {a[1]:.1f} | {b[1]:.1f} |")
        print(flush=True)


if __name__ == "__main__":
    main()
