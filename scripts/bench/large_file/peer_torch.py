"""PyTorch's side: `peer_torch.py FILE STEPS BATCH WIDTH` trains on a map of an NPY file.

NumPy maps the file, a DataLoader shuffles its rows; the network and the optimizer are those of run.py. A line before the
first step and a line after each.
"""

import sys

import numpy as np
import torch
from torch import nn


class Rows(torch.utils.data.Dataset):
    def __init__(self, path):
        self.table = np.load(path, mmap_mode="r")

    def __len__(self):
        return len(self.table)

    # A batch at once, which is faster than row by row.
    def __getitems__(self, indices):
        rows = self.table[np.sort(indices)]
        return torch.from_numpy(rows["x"].copy()), torch.from_numpy(rows["y"].copy())[:, None]


def main():
    path, steps, batch, width = sys.argv[1], *map(int, sys.argv[2:])
    torch.manual_seed(0)
    rows = Rows(path)
    model = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    loss = nn.MSELoss()
    print("start", flush=True)
    done = 0
    while done < steps:
        for x, y in torch.utils.data.DataLoader(rows, batch_size=batch, shuffle=True, collate_fn=lambda rows: rows):
            optimizer.zero_grad(set_to_none=True)
            loss(model(x), y).backward()
            optimizer.step()
            done += 1
            print(done, flush=True)
            if done == steps:
                break


if __name__ == "__main__":
    main()
