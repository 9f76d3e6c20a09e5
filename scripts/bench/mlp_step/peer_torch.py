"""PyTorch's side: `peer_torch.py <batch> <inputs> <threads> <seconds>` prints seconds a step."""

import sys
import time

import torch
from torch import nn

batch, inputs, threads = map(int, sys.argv[1:4])
seconds = float(sys.argv[4])
torch.set_num_threads(threads)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
rows, targets = torch.randn(batch, inputs), torch.randn(batch, 1)
loss = nn.MSELoss()


def run(limit):
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < limit:
        for _ in range(10):
            optimizer.zero_grad(set_to_none=True)
            loss(model(rows), targets).backward()
            optimizer.step()
        steps += 10
    return (time.perf_counter() - start) / steps


run(seconds / 5)
print(run(seconds))
