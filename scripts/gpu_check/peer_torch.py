"""The parts that measure PyTorch on the same GPU: the entropy, and ResNet-18 as configs/model/resnet18.yaml has it."""

import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# The recipe of configs/cifar10.yaml, in batches as large as the GPU's.
PEAK_LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, LABEL_SMOOTHING, PAD, BATCH_SIZE = 0.1, 0.9, 5e-4, 0.1, 4, 512


def synchronize(options):
    if options.device == "cuda":
        torch.cuda.synchronize()


def seconds(options, run, calls=10):
    """Seconds of a call, after as many that warm up."""
    calls = 1 if options.tiny else calls
    for _ in range(calls):
        run()
    synchronize(options)
    clock = time.perf_counter()
    for _ in range(calls):
        run()
    synchronize(options)
    return (time.perf_counter() - clock) / calls


def entropy_rates(options):
    """GB/s of the entropy, of a GiB in memory: bytes of the input and the output."""

    def entropy(p):
        return torch.special.entr(p).sum(-1)

    ways = {"eager": entropy} if options.tiny else {"eager": entropy, "compiled": torch.compile(entropy)}
    rates = {}
    for dtype in (torch.float32, torch.float64):
        for width in (8, 64, 1000):
            size = dtype.itemsize
            p = torch.rand((1 << (20 if options.tiny else 30)) // size // width, width, dtype=dtype, device=options.device)
            p /= p.sum(-1, keepdim=True)
            moved = size * (p.numel() + len(p))
            for way, run in ways.items():
                rates[f"f{size} of {width} {way}"] = moved / seconds(options, lambda run=run, p=p: run(p)) / 1e9
            del p
    return rates


class Block(nn.Module):
    """A basic residual block."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()

        def conv(i, o, kernel, stride):
            return nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False)

        self.body = nn.Sequential(
            conv(inputs, outputs, 3, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            conv(outputs, outputs, 3, 1),
            nn.BatchNorm2d(outputs),
        )
        same = stride == 1 and inputs == outputs
        self.skip = nn.Identity() if same else nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return torch.relu(self.body(x) + self.skip(x))


def resnet18():
    """ResNet-18 for images of 32 × 32 pixels."""
    widths, layers, inputs = (64, 128, 256, 512), [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for i, width in enumerate(widths):
        layers += [Block(inputs, width, 1 if i == 0 else 2), Block(width, width, 1)]
        inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def stepper(options, model, half):
    """What makes a step over a batch, and its optimizer."""
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, PEAK_LEARNING_RATE, momentum=MOMENTUM, nesterov=True)

    def step(forward, x, y):
        with torch.autocast(options.device, torch.bfloat16, enabled=half):
            loss = functional.cross_entropy(forward(x), y, label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step, optimizer


def resnet18_rates(options):
    """Images a second of steps over one batch that is on the GPU: forward, backward, SGD with momentum."""
    cases = {
        "f32 eager": (False, False, False, False),
        "f32 channels_last": (False, True, False, False),
        "tf32 channels_last": (False, True, False, True),
        "bf16 channels_last": (True, True, False, True),
        "bf16 channels_last compiled": (True, True, True, True),
    }
    if options.tiny:
        cases = {"f32 channels_last": (False, True, False, False)}
    rows = 4 if options.tiny else BATCH_SIZE
    x, y = torch.randn(rows, 3, 32, 32, device=options.device), torch.randint(0, 10, (rows,), device=options.device)
    rates = {}
    for name, (half, last, compiled, tf32) in cases.items():
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        memory = torch.channels_last if last else torch.contiguous_format
        model = resnet18().to(options.device).to(memory_format=memory)
        step, _ = stepper(options, model, half)
        forward, batch = torch.compile(model) if compiled else model, x.to(memory_format=memory)
        rates[name] = rows / seconds(options, lambda f=forward, b=batch, s=step: s(f, b, y))
    return rates


def read(options, name, tiny_rows):
    """Images `[rows, 3, 32, 32]` as bytes, and labels, on the device: those of DATA, or else random ones."""
    if options.data:
        rows = np.load(Path(options.data) / f"{name}.npy")
        images, labels = torch.from_numpy(rows["image"].copy()), torch.from_numpy(rows["label"].astype(np.int64))
    else:
        rows = tiny_rows if options.tiny else {"train": 50_000, "test": 10_000}[name]
        images, labels = torch.randint(0, 256, (rows, 3, 32, 32), dtype=torch.uint8), torch.arange(rows) % 10
    return images.to(options.device), labels.to(options.device)


def statistics(images):
    """Mean and standard deviation of each channel, `[1, 3, 1, 1]`."""
    pixels = images.float()
    return pixels.mean((0, 2, 3), keepdim=True), pixels.std((0, 2, 3), keepdim=True)


def crop(images, pad):
    """A random crop of each image, padded by reflection."""
    rows, _, height, width = images.shape
    padded = functional.pad(images, [pad] * 4, mode="reflect")
    top, left = torch.randint(0, 2 * pad + 1, (2, rows, 1), device=images.device)
    vertical = torch.arange(height, device=images.device) + top
    columns = torch.arange(width, device=images.device) + left
    index = torch.arange(rows, device=images.device)[:, None, None]
    # [rows, height, width, 3]
    return padded.permute(0, 2, 3, 1)[index, vertical[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def resnet18_by_epoch(options, epochs=3):
    """ResNet-18 by the recipe of configs/cifar10.yaml in bf16, channels_last, data on the GPU: rates and accuracies by epoch."""
    (images, labels), (test_images, test_labels) = read(options, "train", 40), read(options, "test", 20)
    mean, std = statistics(images)
    batch_size = 20 if options.tiny else BATCH_SIZE
    epochs = 1 if options.tiny else epochs

    def prepared(batch):
        return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)

    model = resnet18().to(options.device).to(memory_format=torch.channels_last)
    step, optimizer = stepper(options, model, half=True)
    steps = epochs * -(-len(images) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=steps, cycle_momentum=False)
    results = {"images_per_second": [], "val_accuracy": []}
    for _ in range(epochs):
        synchronize(options)
        clock = time.perf_counter()
        model.train()
        for rows in torch.randperm(len(images), device=options.device).split(batch_size):
            batch = crop(prepared(images[rows]), PAD)
            flipped = torch.where(torch.rand(len(rows), 1, 1, 1, device=options.device) < 0.5, batch.flip(3), batch)
            step(model, flipped.contiguous(memory_format=torch.channels_last), labels[rows])
            schedule.step()
        synchronize(options)
        results["images_per_second"].append(len(images) / (time.perf_counter() - clock))
        model.eval()
        with torch.no_grad(), torch.autocast(options.device, torch.bfloat16):
            right = sum(
                (model(prepared(x)).argmax(1) == y).sum().item() for x, y in zip(test_images.split(1000), test_labels.split(1000))
            )
        results["val_accuracy"].append(right / len(test_images) if options.data else None)
    return results
