"""PyTorch's side: trains ResNet-20 on the records of `fetch-data` by the recipe of configs/cifar10.yaml.

`peer_torch.py DATA EPOCHS SEED` prints a line for each epoch: its number, the accuracy on the test images, and the seconds of its
training. The network, its initial distribution, the augmentation, the schedule and the loss are those of `train`; the draws are
PyTorch's own. channels_last, all cores.
"""

import sys
import time
from pathlib import Path

import numpy
import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "image_step"))
from peer_torch import STAGES, network  # noqa: E402  the same network

BATCH_SIZE = 128
PEAK_LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 5e-4
LABEL_SMOOTHING = 0.1
PAD = 4


def read(path):
    """Images `[rows, 3, 32, 32]` as bytes, and labels."""
    rows = numpy.load(path)
    return torch.from_numpy(rows["image"].copy()), torch.from_numpy(rows["label"].astype(numpy.int64))


def initialize(model):
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")
            nn.init.zeros_(module.bias)


def augment(images):
    """A random crop of each padded image, mirrored half of the time."""
    rows, _, height, width = images.shape
    padded = functional.pad(images, [PAD] * 4, mode="reflect")
    top, left = torch.randint(0, 2 * PAD + 1, (2, rows, 1))
    columns = torch.arange(width).expand(rows, width)
    columns = torch.where(torch.rand(rows, 1) < 0.5, columns, width - 1 - columns) + left
    vertical = torch.arange(height).expand(rows, height) + top
    # [rows, 3, height, width]
    picked = padded[torch.arange(rows)[:, None, None], :, vertical[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def main():
    data, epochs, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.manual_seed(seed)
    (images, labels), (test_images, test_labels) = read(data / "train.npy"), read(data / "test.npy")
    pixels = images.float()
    mean, std = pixels.mean((0, 2, 3), keepdim=True), pixels.std((0, 2, 3), keepdim=True)
    del pixels

    def prepared(batch):
        return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)

    model = network(STAGES["resnet20"]).to(memory_format=torch.channels_last)
    initialize(model)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=PEAK_LEARNING_RATE, momentum=MOMENTUM, nesterov=True)
    steps = epochs * -(-len(images) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=steps, cycle_momentum=False)
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        model.train()
        for rows in torch.randperm(len(images)).split(BATCH_SIZE):
            optimizer.zero_grad()
            logits = model(prepared(augment(images[rows].float())))
            functional.cross_entropy(logits, labels[rows], label_smoothing=LABEL_SMOOTHING).backward()
            optimizer.step()
            schedule.step()
        seconds = time.perf_counter() - began
        model.eval()
        with torch.no_grad():
            logits = torch.cat([model(prepared(part.float())) for part in test_images.split(1000)])
        accuracy = (logits.argmax(1) == test_labels).float().mean().item()
        print(epoch, f"{accuracy:.4f} {seconds:.1f}", flush=True)


if __name__ == "__main__":
    main()
