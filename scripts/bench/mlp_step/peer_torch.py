"""PyTorch's side: `peer_torch.py LAYERS BATCH THREADS SECONDS` trains for SECONDS for each line on stdin and prints seconds a step.

The networks and losses are those of `nets/benches/mlp_step.rs`; Adam is the fused one.
"""

import sys
import time

import torch
from torch import nn


def network(widths):
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def main():
    widths = [int(width) for width in sys.argv[1].split("-")]
    batch, threads, seconds = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = network(widths)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    outputs = widths[-1]
    loss = nn.MSELoss() if outputs == 1 else nn.CrossEntropyLoss()
    rows = torch.randn(batch, widths[0])
    targets = torch.randn(batch, 1) if outputs == 1 else torch.randint(0, outputs, (batch,))

    def round_of(limit):
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < limit:
            optimizer.zero_grad(set_to_none=True)
            loss(model(rows), targets).backward()
            optimizer.step()
            steps += 1
        return (time.perf_counter() - start) / steps

    round_of(seconds / 5)
    for _ in sys.stdin:
        print(f"{round_of(seconds):e}", flush=True)


if __name__ == "__main__":
    main()
