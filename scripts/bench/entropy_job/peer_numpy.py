"""The main job in hand-written NumPy: data, entropy, training by backpropagation, test metrics.

The same settings as configs/: 8 classes, 100 000 rows, hidden layers 64 and 64, batch 128,
10 epochs, Adam 1e-3, 80/10/10 split, best epoch by validation loss.
"""

import json
import sys

import numpy as np

ROWS, CLASSES, HIDDEN, BATCH, EPOCHS, RATE = 100_000, 8, (64, 64), 128, 10, 1e-3


def forward(x, layers):
    activations = [x]
    for i, (weight, bias) in enumerate(layers):
        x = x @ weight + bias
        if i + 1 < len(layers):
            np.maximum(x, 0, out=x)
        activations.append(x)
    return activations


def gradients(activations, targets, layers):
    delta = (2 / targets.size) * (activations[-1] - targets)
    grads = []
    for i in reversed(range(len(layers))):
        grads[:0] = [activations[i].T @ delta, delta.sum(0)]
        if i:
            delta = (delta @ layers[i][0].T) * (activations[i] > 0)
    return grads


def main(seed):
    random = np.random.default_rng(seed)
    probs = random.dirichlet(np.ones(CLASSES), ROWS).astype(np.float32)
    entropy = -np.einsum("ij,ij->i", probs, np.log(np.maximum(probs, 1e-38)))[:, None]
    order = random.permutation(ROWS)
    train, val, test = np.split(order, [ROWS * 8 // 10, ROWS * 9 // 10])

    widths = (CLASSES, *HIDDEN, 1)
    layers = []
    for i, (fan_in, fan_out) in enumerate(zip(widths, widths[1:])):
        bound = np.sqrt((6 if i < len(HIDDEN) else 3) / fan_in)
        layers.append((random.uniform(-bound, bound, (fan_in, fan_out)).astype(np.float32), np.zeros(fan_out, np.float32)))
    parameters = [array for layer in layers for array in layer]
    first = [np.zeros_like(p) for p in parameters]
    second = [np.zeros_like(p) for p in parameters]

    step, best = 0, (np.inf, None)
    for _ in range(EPOCHS):
        shuffled = random.permutation(train)
        for start in range(0, len(train), BATCH):
            rows = shuffled[start : start + BATCH]
            step += 1
            rate = RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            for p, g, m, v in zip(parameters, gradients(forward(probs[rows], layers), entropy[rows], layers), first, second):
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                p -= rate * m / (np.sqrt(v) + 1e-8)
        loss = float(((forward(probs[val], layers)[-1] - entropy[val]) ** 2).mean())
        if loss < best[0]:
            best = (loss, [p.copy() for p in parameters])
    kept = list(zip(best[1][::2], best[1][1::2]))
    errors = forward(probs[test], kept)[-1] - entropy[test]
    mse = float((errors**2).mean())
    print(json.dumps({"mse": mse, "r2": 1 - mse / float(entropy[test].var())}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
