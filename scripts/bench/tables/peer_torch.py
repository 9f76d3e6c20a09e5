"""From train.csv and test.csv to the score of the test rows, with PyTorch and pandas. The target is the last column.

The settings of pipegrad.sh: a hidden layer of 100 units, batches of 32, Adam at 1e-3, everything
standardized. Written for speed: tensors in memory, fused Adam, no data loader.

Usage: peer_torch.py FOLDER classification|regression EPOCHS SEED
"""

import json
import sys

import pandas
import torch
from torch import nn

HIDDEN, BATCH, RATE = 100, 32, 1e-3


def scaling(x):
    """Mean and standard deviation of each column; 1 for a column that never varies."""
    mean, deviation = x.mean(0), x.std(0, correction=0)
    return mean, torch.where(deviation > 0, deviation, 1)


def read(path):
    rows = pandas.read_csv(path)
    return torch.tensor(rows.iloc[:, :-1].to_numpy(), dtype=torch.float32), rows.iloc[:, -1]


def fit(x, y, outputs, loss_fn, epochs):
    model = nn.Sequential(nn.Linear(x.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss_fn(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return model


def main(folder, task, epochs, seed):
    torch.manual_seed(seed)
    x, y = read(f"{folder}/train.csv")
    test_x, test_y = read(f"{folder}/test.csv")
    mean, deviation = scaling(x)
    x, test_x = (x - mean) / deviation, (test_x - mean) / deviation
    if task == "classification":
        labels, classes = pandas.factorize(y, sort=True)
        model = fit(x, torch.tensor(labels), len(classes), nn.functional.cross_entropy, epochs)
        with torch.no_grad():
            predictions = classes[model(test_x).argmax(1).numpy()]
        score = {"accuracy": float((predictions == test_y).mean())}
    else:
        y, test_y = (torch.tensor(column.to_numpy(), dtype=torch.float32).unsqueeze(1) for column in (y, test_y))
        mean, deviation = scaling(y)
        model = fit(x, (y - mean) / deviation, 1, nn.functional.mse_loss, epochs)
        with torch.no_grad():
            mse = nn.functional.mse_loss(model(test_x) * deviation + mean, test_y)
        score = {"r2": 1 - (mse / test_y.var(correction=0)).item()}
    print(json.dumps(score))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
