"""ONNX Runtime's float32, its Python quantizer and lib onnx's side by side: accuracy, size, latency, time of quantizing.

    python scripts/bench/quantize/run.py model.onnx --calibration calibration.npy --rows test.npy --labels labels.npy

Rows are of the type and shape that the model's one input takes, labels are class indices. Both quantizers get the same batches; latencies are of
one thread, models take turns. The program of lib onnx is built by `cargo build --release -p onnx --example quantize`.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools/lib/onnx/tests"))
import quantize_peer  # noqa: E402

# The peer's method, what its calibrator is told, and ours.
METHODS = {
    "min-max": ("MinMax", {}, "min-max"),
    "percentile": ("Percentile", {}, "percentile"),
    "entropy, 128 bins": ("Entropy", {}, "entropy:128:128"),
    "entropy, 256 bins": ("Entropy", {"num_bins": 256}, "entropy"),
    "entropy, 2048 bins": ("Entropy", {"num_bins": 2048}, "entropy:2048:128"),
}


def split(rows, size):
    return [rows[start : start + size] for start in range(0, len(rows), size)]


class Measured:
    """A model in ONNX Runtime."""

    def __init__(self, path, rows, batch, threads):
        self.bytes = path.stat().st_size
        self.session = quantize_peer.session(path, threads=threads)
        self.input = self.session.get_inputs()[0].name
        self.scores = np.concatenate([self.run(part) for part in split(rows, batch)])
        self.times = []

    def run(self, rows):
        return self.session.run(None, {self.input: rows})[0]

    def time(self, rows):
        start = time.perf_counter()
        self.run(rows)
        self.times.append(time.perf_counter() - start)


def quantize(source, batches, folder, program):
    """Files by name, each with the seconds that it took to make."""
    made = {"float32": (source, 0.0)}
    for method, (name, calibration, own) in METHODS.items():
        for who in ["Python", "ours"]:
            out = folder / f"{who}-{name}-{len(made)}.onnx"
            start = time.perf_counter()
            if who == "Python":
                quantize_peer.peer(source, out, batches, name, calibration=calibration)
            else:
                quantize_peer.ours(program, source, out, batches, own)
            made[f"{method}: {who}"] = (out, time.perf_counter() - start)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibration", required=True, help="NPY of rows")
    parser.add_argument("--rows", required=True, help="NPY of test rows")
    parser.add_argument("--labels", required=True, help="NPY of class indices")
    parser.add_argument("--batch", type=int, default=50, help="rows a calibration batch, and a test batch")
    parser.add_argument("--latency-batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--program", default=ROOT / "target/release/examples/quantize")
    args = parser.parse_args()
    rows, labels = np.load(args.rows), np.load(args.labels)
    with tempfile.TemporaryDirectory() as folder:
        name = quantize_peer.session(args.model).get_inputs()[0].name
        batches = [{name: part} for part in split(np.load(args.calibration), args.batch)]
        made = quantize(args.model, batches, Path(folder), args.program)
        models = {who: Measured(path, rows, args.batch, args.threads) for who, (path, _) in made.items()}
        for _ in range(args.rounds):
            for model in models.values():
                model.time(rows[: args.latency_batch])
    reference = models["float32"].scores.argmax(axis=1)
    print("| model | accuracy % | top-1 as float32 % | KB | median ms | × float32 | quantized in s |")
    print("|---|---|---|---|---|---|---|")
    base = statistics.median(models["float32"].times)
    for who, model in models.items():
        classes = model.scores.argmax(axis=1)
        accuracy, agreement = 100 * (classes == labels).mean(), 100 * (classes == reference).mean()
        median = statistics.median(model.times)
        print(
            f"| {who} | {accuracy:.2f} | {agreement:.2f} | {model.bytes / 1e3:.0f} | {1e3 * median:.3f} | "
            f"{base / median:.2f} | {made[who][1]:.1f} |"
        )


if __name__ == "__main__":
    main()
