"""A run of many short epochs: what checkpoints cost, beside scikit-learn's fit of the same network.

350 rows of 10 inputs, 500 epochs, two layers of 64 units, Adam, batches of 128. pipegrad's are whole processes that leave a
run folder: with checkpoints as they are due, after each epoch, and with none; of scikit-learn the call of `fit` alone,
with one thread, which is its best here. In turn, one seed a round. Run by `make bench-small-run`; the Python is that of the tests' environment.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[3]
TRAIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")).resolve() / "train"
ROWS, INPUTS, EPOCHS = 350, 10, 500
SETTINGS = ["--quiet", "trainer.input_field=x", "trainer.target_field=y", f"trainer.max_epochs={EPOCHS}", "trainer.split=[1,0,0]"]
OURS = {
    "pipegrad": [],
    "pipegrad, a checkpoint after each epoch": ["callbacks.checkpoint.max_overhead=null"],
    "pipegrad, no checkpoints": ["callbacks.checkpoint.save_last=false", "callbacks.checkpoint.save_top_k=0"],
}


def train(folder, seed, settings):
    command = [TRAIN, "rows.ndjson", "-o", f"run{seed}", f"trainer.seed={seed}", *SETTINGS, *settings]
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def fit(inputs, targets, seed):
    model = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=EPOCHS, n_iter_no_change=EPOCHS, tol=0, batch_size=128, alpha=0, random_state=seed)
    start = time.perf_counter()
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, targets)
    assert model.n_iter_ == EPOCHS
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    random = np.random.default_rng(0)
    inputs = random.random((ROWS, INPUTS))
    targets = inputs.sum(1) ** 2
    targets = (targets - targets.mean()) / targets.std()
    times = {name: [] for name in [*OURS, "scikit-learn"]}
    for seed in range(rounds):
        with tempfile.TemporaryDirectory(dir=ROOT / "target") as folder:
            rows = (json.dumps({"x": list(x), "y": y}) for x, y in zip(inputs, targets))
            Path(folder, "rows.ndjson").write_text("".join(row + "\n" for row in rows))
            for name, settings in OURS.items():
                times[name].append(train(folder, seed * len(OURS) + list(OURS).index(name), settings))
        times["scikit-learn"].append(fit(inputs, targets, seed))
    print(f"{platform.processor() or platform.machine()}, scikit-learn {version('scikit-learn')}, NumPy {version('numpy')}; n = {rounds}\n")
    print("|  | wall s | ratio to pipegrad |\n|---|---|---|")
    spread = lambda values, form: f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"  # noqa: E731
    for name, values in times.items():
        ratios = [value / own for value, own in zip(values, times["pipegrad"])]
        print(f"| {name} | {spread(values, '.3f')} | {spread(ratios, '.1f')} |")


if __name__ == "__main__":
    main()
