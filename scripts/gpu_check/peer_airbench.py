"""The 94 % recipe of Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024 (arXiv 2404.00498), written from the paper:
whitening of patches, partial-identity initialization, scaled biases, label smoothing, Lookahead, alternating flip, Nesterov SGD
with weight decay that is decoupled from the learning rate, and test-time augmentation.

It is the peer of `train --config-name cifar10 +experiment=speednet`, which has the network, the flip and the schedule, and keeps a
moving average in the place of Lookahead.
"""

import time

import torch
from peer_torch import crop, read, statistics, synchronize
from torch import nn
from torch.nn import functional

EPOCHS, BATCH_SIZE = 9.9, 1024
# Per 1024 images of a summed loss; the momentum's sum is taken out of both.
LEARNING_RATE, WEIGHT_DECAY, MOMENTUM, BIAS_SCALER = 11.5, 0.0153, 0.85, 64.0
LABEL_SMOOTHING, TRANSLATE, WHITEN_BIAS_EPOCHS = 0.2, 2, 3
WHITEN_IMAGES, WHITEN_EPS = 5000, 5e-4
WIDTHS = (64, 256, 256)
# Fractions of the peak at the start and the end, and where the peak is.
START, END, PEAK_AT = 0.2, 0.07, 0.23
LOOKAHEAD_STEPS, LOOKAHEAD_DECAY = 5, 0.95


def norm(channels):
    """A batch norm whose scale stays 1."""
    layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad = False
    return layer


def conv(inputs, outputs):
    """A 3 × 3 convolution that passes its first channels on unchanged at first."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight.data[:inputs])
    return layer


class Scale(nn.Module):
    def forward(self, x):
        return x / 9


def network():
    """Whitening, three groups of two convolutions, and a linear layer without bias."""
    inputs = 2 * 3 * 2 * 2
    layers = [nn.Conv2d(3, inputs, 2, bias=True), nn.GELU()]
    for width in WIDTHS:
        layers += [conv(inputs, width), nn.MaxPool2d(2), norm(width), nn.GELU(), conv(width, width), norm(width), nn.GELU()]
        inputs = width
    return nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(inputs, 10, bias=False), Scale())


def whiten(layer, images):
    """Filters are the eigenvectors of the covariance of 2 × 2 patches over the roots of their eigenvalues, with either sign."""
    patches = images.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12).float()
    patches = patches - patches.mean(0)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / (values + WHITEN_EPS).sqrt()).T.reshape(12, 3, 2, 2).flip(0)
    layer.weight.data.copy_(torch.cat([filters, -filters]))
    layer.weight.requires_grad = False
    nn.init.zeros_(layer.bias)


def optimizer_of(model, batch_size):
    """SGD: biases of norms learn faster, and weight decay does not depend on the learning rate."""
    scale = 1024 * (1 + 1 / (1 - MOMENTUM))
    rate, decay = LEARNING_RATE / scale, WEIGHT_DECAY * batch_size / scale
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    biases = [p for name, p in named if name.endswith("bias") and not name.startswith("0.")]
    others = [p for name, p in named if not (name.endswith("bias") and not name.startswith("0."))]
    groups = [
        {"params": biases, "lr": rate * BIAS_SCALER, "weight_decay": decay / (rate * BIAS_SCALER)},
        {"params": others, "lr": rate, "weight_decay": decay / rate},
    ]
    return torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True)


def triangle(step, steps):
    """The learning rate of a step over the peak: up, then down, linearly."""
    at = step / steps
    if at < PEAK_AT:
        return START + (1 - START) * at / PEAK_AT
    return 1 + (END - 1) * (at - PEAK_AT) / (1 - PEAK_AT)


class Lookahead:
    """Slow weights, to which the network's own are drawn every few steps."""

    def __init__(self, model):
        self.slow = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model, decay):
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.slow[name].lerp_(tensor, 1 - decay)
                tensor.copy_(self.slow[name])


def predict(model, images):
    """The mean of an image's and its mirror image's outputs, at three places."""

    def mirrored(x):
        return 0.5 * (model(x) + model(x.flip(3)))

    padded = functional.pad(images, [1] * 4, mode="reflect")
    moved = mirrored(padded[:, :, 0:32, 0:32]) + mirrored(padded[:, :, 2:34, 2:34])
    return 0.5 * mirrored(images) + 0.25 * moved


@torch.no_grad()
def accuracy(model, images, labels):
    model.eval()
    right = [(predict(model, x).argmax(1) == y).sum() for x, y in zip(images.split(1000), labels.split(1000))]
    model.train()
    return torch.stack(right).sum().item() / len(images)


def fit(options, precision, compiled):
    """One training: seconds, images a second, accuracies by epoch, and the seconds after which one reached 94 %.

    Accuracies of epochs before the last are without the time that they take.
    """
    (images, labels), (test_images, test_labels) = read(options, "train", 60), read(options, "test", 20)
    batch_size, epochs = (20, 1) if options.tiny else (BATCH_SIZE, EPOCHS)
    mean, std = statistics(images)
    images, test_images = (((x - mean) / std).to(precision) for x in (images, test_images))
    last = {"memory_format": torch.channels_last}
    images, test_images = images.contiguous(**last), test_images.contiguous(**last)
    model = network().to(options.device)
    whiten(model[0], images[:WHITEN_IMAGES])
    model = model.to(precision).to(**last)
    for layer in model:
        if isinstance(layer, nn.BatchNorm2d):
            layer.float()
    forward = torch.compile(model) if compiled else model
    optimizer, lookahead = optimizer_of(model, batch_size), Lookahead(model)
    per_epoch = len(images) // batch_size
    steps = int(epochs * per_epoch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: triangle(step, steps))
    flipped = torch.rand(len(images), device=options.device) < 0.5
    done, spent, results = 0, 0.0, {"val_accuracy": [], "seconds": []}
    epoch = 0
    while done < steps:
        synchronize(options)
        clock = time.perf_counter()
        model[0].bias.requires_grad = epoch < WHITEN_BIAS_EPOCHS
        model.train()
        mirrored = flipped ^ bool(epoch % 2)
        for rows in torch.randperm(len(images), device=options.device).split(batch_size)[:per_epoch]:
            if done == steps:
                break
            batch = crop(images[rows], TRANSLATE)
            batch = torch.where(mirrored[rows][:, None, None, None], batch.flip(3), batch).contiguous(**last)
            losses = functional.cross_entropy(
                forward(batch), labels[rows], label_smoothing=LABEL_SMOOTHING, reduction="none"
            )
            losses.sum().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            done += 1
            if done % LOOKAHEAD_STEPS == 0 or done == steps:
                decay = LOOKAHEAD_DECAY**LOOKAHEAD_STEPS * (done / steps) ** 3
                lookahead.update(model, 1.0 if done == steps else decay)
        synchronize(options)
        spent += time.perf_counter() - clock
        results["seconds"].append(spent)
        results["val_accuracy"].append(accuracy(model, test_images, test_labels) if options.data else None)
        epoch += 1
    reached = [s for s, a in zip(results["seconds"], results["val_accuracy"]) if a and a >= 0.94]
    return results | {
        "images_per_second": done * batch_size / spent,
        "seconds_to_94": reached[0] if reached else None,
    }


def airbench(options):
    """Trainings eager, and compiled after one that warms up."""
    if options.tiny:
        return {"f32 eager": fit(options, torch.float32, compiled=False)}
    # As the paper: weights and activations of f16, norms of f32.
    torch.backends.cudnn.benchmark = True
    results = {}
    for name, compiled in (("f16 eager", False), ("f16 compiled", True)):
        fit(options, torch.float16, compiled)
        results[name] = fit(options, torch.float16, compiled)
    return results
