"""The parts that run pipegrad's binaries."""

import json
import os
import subprocess
import sysconfig
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parents[1]
BIN = HERE / "bin"
# The variables that name what computing on a GPU loads, and the names of the files.
LIBRARIES = {
    "NVRTC_DYLIB_PATH": "libnvrtc.so.13*",
    "CUBLAS_DYLIB_PATH": "libcublas.so.13*",
    "CUDNN_DYLIB_PATH": "libcudnn.so.9*",
}


def libraries():
    """The libraries of PyTorch's wheels, or else of a system's CUDA, by variable."""
    packages = {Path(sysconfig.get_paths()[key]) for key in ("purelib", "platlib")}
    folders = [folder for package in packages for folder in sorted(package.glob("nvidia/*/lib"))]
    folders += [Path("/usr/local/cuda/lib64"), Path("/usr/lib/x86_64-linux-gnu")]
    found = {}
    for variable, name in LIBRARIES.items():
        paths = [path for folder in folders for path in sorted(folder.glob(name)) if ".alt." not in path.name]
        found |= {variable: str(path) for path in paths[:1]}
    return found | {variable: os.environ[variable] for variable in LIBRARIES if os.environ.get(variable)}


def tool(name, *args, **kwargs):
    env = os.environ | libraries()
    return subprocess.run([BIN / name, *map(str, args)], cwd=HERE, env=env, capture_output=True, text=True, **kwargs)


def device(options):
    return "cuda:0" if options.device == "cuda" else "cpu"


def kernels():
    """Bits and rates of the kernels of entropy and relu alone, beside a copy within the GPU's memory."""
    done = tool("gpu_check", timeout=120)
    return json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr}


def errors():
    """A GPU that is not there is one line and status 2."""
    line = '{"probs":[0.5,0.5],"entropy":0.7}\n'
    results = {}
    for name, setting in (("entropy", "entropy.device=cuda:99"), ("train", "trainer.device=cuda:99")):
        done = tool(name, setting, input=line)
        one = done.returncode == 2 and done.stderr.count("\n") == 1
        results[name] = {"status": done.returncode, "line": done.stderr, "ok": one}
    return results


def streams(options, folder):
    """`entropy` and `relu` from file to file: the CPU's bytes, and the seconds of each."""
    results = {}
    probs = np.random.default_rng(0).dirichlet(np.full(8, 0.5), 10_000 if options.tiny else 4_000_000)
    for dtype in ("f4", "f8"):
        path = folder / f"{dtype}.npy"
        np.save(path, probs.astype(dtype))
        for name in ("entropy", "relu"):
            field = "field=probs" if name == "entropy" else "field=values"
            seconds, bytes_of = {}, {}
            for chosen in ("cpu", device(options), device(options)):  # the second has compiled kernels
                out, clock = folder / "out.npy", time.perf_counter()
                done = tool(name, field, f"device={chosen}", "-o", out, path)
                seconds[chosen] = time.perf_counter() - clock
                if done.returncode:
                    return {"error": done.stderr}
                bytes_of.setdefault(chosen, set()).add(out.read_bytes())
            same = len(set.union(*bytes_of.values())) == 1
            results[f"{name} {dtype}"] = {"same_bytes": same, "seconds": seconds}
    return results


def entropy_rows(folder, rows):
    """Probabilities and their entropies, as the main job has them."""
    probs = np.random.default_rng(1).dirichlet(np.ones(8), rows)
    table = np.zeros(rows, [("probs", "<f4", 8), ("entropy", "<f8")])
    table["probs"] = probs
    table["entropy"] = -(probs * np.log(probs)).sum(-1)
    path = folder / "entropy.npy"
    np.save(path, table)
    return path


def train(chosen, out, *args, timeout=100):
    done = tool("train", *args, f"trainer.device={chosen}", "-o", out, timeout=timeout)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return [json.loads(line) for line in done.stdout.splitlines()]


def agreement(options, folder):
    """The entropy predictor on the CPU and on the GPU: its test metrics, the GPU's bytes twice, and those of a run in two parts."""
    path, chosen = entropy_rows(folder, 2000 if options.tiny else 20_000), device(options)
    epochs = "trainer.max_epochs=4"
    results, models = {}, {}
    for name, where, settings in (
        ("cpu", "cpu", [epochs]),
        ("first", chosen, [epochs]),
        ("second", chosen, [epochs]),
        ("tf32", chosen, [epochs, "trainer.precision=tf32"]),
        ("bf16", chosen, [epochs, "trainer.precision=bf16"]),
        ("parts", chosen, ["trainer.max_epochs=2"]),
        ("parts", chosen, [epochs, "trainer.resume=last"]),
    ):
        if chosen == "cpu" and "trainer.precision" in settings[-1]:
            continue
        events = train(where, folder / name, path, *settings)
        models[name] = (folder / name / "model.safetensors").read_bytes()
        results[name] = next(event["metrics"] for event in events if event["event"] == "test")
    results["same_bytes"] = models["first"] == models["second"]
    results["same_bytes_in_parts"] = models["first"] == models["parts"]
    return results


def random_images(folder, rows):
    """Random images and labels as `train` reads them."""
    random = np.random.default_rng(0)
    table = np.zeros(rows, [("image", "u1", (3, 32, 32)), ("label", "<i8")])
    table["image"] = random.integers(0, 256, table["image"].shape)
    table["label"] = np.arange(rows) % 10
    path = folder / "train.npy"
    np.save(path, table)
    return path


def training(options, folder):
    """Images a second of `train` by epoch, and accuracies where there is data; of speednet the seconds to 94 %."""
    path = Path(options.data) / "train.npy" if options.data else random_images(folder, 600 if options.tiny else 50_000)
    runs = [
        ("resnet18 f32", ["model=resnet18", "trainer.max_epochs=2"]),
        ("resnet18 tf32", ["model=resnet18", "trainer.max_epochs=2"]),
        ("resnet18 bf16", ["model=resnet18", "trainer.max_epochs=3"]),
        ("speednet f32", ["+experiment=speednet", "trainer.max_epochs=3"]),
        ("speednet bf16", ["+experiment=speednet"]),
    ]
    if options.tiny:
        runs = [("speednet f32", ["+experiment=speednet", "trainer.max_epochs=1", "trainer.batch_size=50"])]
    results = {}
    for name, settings in runs:
        settings = ["--config-name", "cifar10", *settings, f"trainer.precision={name.split()[1]}"]
        if not options.tiny:
            settings.append("trainer.batch_size=512")
        settings.append(f"trainer.val_input={options.data}/test.npy" if options.data else "trainer.split=[0.9,0.1,0]")
        try:
            clock = time.perf_counter()
            events = train(device(options), folder / name.replace(" ", "-"), path, *settings)
            results[name] = by_epoch(events) | {"process_seconds": time.perf_counter() - clock}
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            results[name] = {"error": str(error)}
    return results


def by_epoch(events):
    """What a run's events tell: rates and accuracies by epoch, and the seconds after which an accuracy of 94 % was measured."""
    epochs = [event for event in events if event["event"] == "epoch"]
    accuracies = [event["metrics"].get("val_accuracy") for event in events if event["event"] == "validation"]
    reached = [epoch["seconds"] for epoch, accuracy in zip(epochs, accuracies) if accuracy and accuracy >= 0.94]
    return {
        "images_per_second": [epoch["metrics"]["rows_per_second"] for epoch in epochs],
        "seconds": [epoch["seconds"] for epoch in epochs],
        "val_accuracy": accuracies,
        "seconds_to_94": reached[0] if reached else None,
    }
