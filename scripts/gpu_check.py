"""What gpu-check.sh runs on a machine with a GPU: each part's results, or its error, as one object in gpu-check.json."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
BIN = HERE / "bin"
# Seconds, of 290 that gpu-check.sh gives, after which no part is begun.
BUDGET = 240
START = time.monotonic()


def tool(name, *args, **kwargs):
    return subprocess.run([BIN / name, *map(str, args)], cwd=HERE, capture_output=True, text=True, **kwargs)


def kernels():
    """Bits and rates of the kernels alone."""
    done = tool("gpu_check", timeout=120)
    return json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr}


def errors():
    """A GPU that is not there is one line and status 2."""
    done = tool("entropy", "device=cuda:99", input='{"probs":[0.5,0.5]}\n')
    return {"status": done.returncode, "line": done.stderr, "ok": done.returncode == 2 and done.stderr.count("\n") == 1}


def tools():
    """`entropy` and `relu` from file to file: the CPU's bytes, and the seconds of each."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        probs = np.random.default_rng(0).dirichlet(np.full(8, 0.5), 4_000_000)
        for dtype in ("f4", "f8"):
            path = Path(folder) / f"{dtype}.npy"
            np.save(path, probs.astype(dtype))
            for name in ("entropy", "relu"):
                field = "field=probs" if name == "entropy" else "field=values"
                outputs = {}
                for device in ("cpu", "cuda:0", "cuda:0"):  # the second has compiled kernels
                    out, clock = Path(folder) / f"{device[:4]}.npy", time.perf_counter()
                    done = tool(name, field, f"device={device}", "-o", out, path)
                    outputs[device] = time.perf_counter() - clock
                    if done.returncode:
                        return {"error": done.stderr}
                same = (Path(folder) / "cpu.npy").read_bytes() == (Path(folder) / "cuda.npy").read_bytes()
                results[f"{name} {dtype}"] = {"same_bytes": same, "seconds": outputs}
    return results


def seconds(run, calls=10):
    """Seconds of a call on the GPU, after as many that warm up."""
    for _ in range(calls):
        run()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(calls):
        run()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1e3 / calls


def torch_entropy():
    """GB/s of the entropy in PyTorch, of a GiB in memory: bytes of the input and the output."""
    def entropy(p):
        return torch.special.entr(p).sum(-1)

    rates = {}
    for dtype in (torch.float32, torch.float64):
        for width in (8, 64, 1000):
            size = dtype.itemsize
            p = torch.rand((1 << 30) // size // width, width, dtype=dtype, device="cuda")
            p /= p.sum(-1, keepdim=True)
            moved = size * (p.numel() + len(p))
            for how, run in (("eager", entropy), ("compiled", torch.compile(entropy))):
                rates[f"f{size} of {width} {how}"] = moved / seconds(lambda run=run: run(p)) / 1e9
            del p
    return rates


def images(folder, rows):
    """Random images and labels as `train` reads them."""
    random = np.random.default_rng(0)
    table = np.zeros(rows, [("image", "u1", (3, 32, 32)), ("label", "<i8")])
    table["image"] = random.integers(0, 256, table["image"].shape)
    table["label"] = random.integers(0, 10, rows)
    path = Path(folder) / "train.npy"
    np.save(path, table)
    return path


def training(data):
    """Images a second of `train`, and accuracies where there is data."""
    if not (BIN / "train").exists():
        return {"skipped": "no bin/train: make cuda"}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(data) / "train.npy" if data else images(folder, 10_000)
        for model, precision in (("resnet18", "f32"), ("resnet18", "bf16"), ("speednet", "f32"), ("speednet", "bf16")):
            name = f"{model} {precision}"
            settings = ["--config-name", "cifar10", f"model={model}", "trainer.device=cuda:0", f"trainer.precision={precision}"]
            settings += ["trainer.max_epochs=2", "trainer.batch_size=512", "-o", Path(folder) / name.replace(" ", "-"), path]
            if data:
                settings.append(f"trainer.val_input={data}/test.npy")
            try:
                done = tool("train", *settings, timeout=60)
            except subprocess.TimeoutExpired:
                results[name] = {"error": "60 seconds"}
                continue
            if done.returncode:
                results[name] = {"error": done.stderr}
                continue
            events = [json.loads(line) for line in done.stdout.splitlines()]
            rates = [e["metrics"]["rows_per_second"] for e in events if e["event"] == "epoch"]
            accuracies = [e["metrics"].get("val_accuracy") for e in events if e["event"] == "validation"]
            results[name] = {"images_per_second": rates, "val_accuracy": accuracies}
    return results


def block(inputs, outputs, stride):
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            conv = lambda i, o, k, s: nn.Conv2d(i, o, k, s, k // 2, bias=False)  # noqa: E731
            self.body = nn.Sequential(
                conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), nn.ReLU(), conv(outputs, outputs, 3, 1), nn.BatchNorm2d(outputs)
            )
            same = stride == 1 and inputs == outputs
            self.skip = nn.Identity() if same else nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

        def forward(self, x):
            return torch.relu(self.body(x) + self.skip(x))

    return Block()


def resnet18():
    """ResNet-18 for 32 x 32 pixels, as configs/model/resnet18.yaml."""
    from torch import nn

    widths, layers, inputs = (64, 128, 256, 512), [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for i, width in enumerate(widths):
        layers += [block(inputs, width, 1 if i == 0 else 2), block(width, width, 1)]
        inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def torch_training():
    """Images a second of PyTorch's ResNet-18, batches of 512 on the GPU: forward, backward, SGD with momentum."""
    rates = {}
    x = torch.randn(512, 3, 32, 32, device="cuda")
    y = torch.randint(0, 10, (512,), device="cuda")
    cases = {
        "f32 eager": (False, False, False),
        "f32 channels_last": (False, True, False),
        "bf16 channels_last": (True, True, False),
        "bf16 channels_last compiled": (True, True, True),
    }
    for name, (half, last, compiled) in cases.items():
        model = resnet18().cuda()
        memory = torch.channels_last if last else torch.contiguous_format
        model, batch = model.to(memory_format=memory), x.to(memory_format=memory)
        forward = torch.compile(model) if compiled else model
        optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True)

        def step(forward=forward, batch=batch, half=half, optimizer=optimizer):
            with torch.autocast("cuda", torch.bfloat16, enabled=half):
                loss = torch.nn.functional.cross_entropy(forward(batch), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        rates[name] = 512 / seconds(step)
    return rates


def main():
    data = sys.argv[1] if len(sys.argv) > 1 else None
    parts = {
        "kernels": kernels,
        "errors": errors,
        "tools": tools,
        "torch_entropy_gb_s": torch_entropy,
        "torch_images_per_second": torch_training,
        "train": lambda: training(data),
    }
    results = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda}
    for name, part in parts.items():
        begin = time.monotonic()
        if begin - START > BUDGET:
            results[name] = {"skipped": "no time left"}
            continue
        try:
            results[name] = part()
        except Exception as error:  # noqa: BLE001  the other parts are still of use
            results[name] = {"error": f"{type(error).__name__}: {error}"}
        results[f"{name}_seconds"] = round(time.monotonic() - begin, 1)
        Path("gpu-check.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
