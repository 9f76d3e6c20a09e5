"""From train.csv and test.csv to the score of the test rows, with scikit-learn. The target is the last column.

The settings of pipegrad.sh: a hidden layer of 100 units, batches of 32, Adam at 1e-3, everything
standardized.

Usage: peer_sklearn.py FOLDER classification|regression EPOCHS SEED
"""

import json
import sys
import warnings

import pandas
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(folder, task, epochs, seed):
    # It stops for nothing but the number of epochs, and warns of that.
    warnings.simplefilter("ignore", ConvergenceWarning)
    settings = {"hidden_layer_sizes": (100,), "batch_size": 32, "learning_rate_init": 1e-3, "alpha": 0}
    settings |= {"max_iter": epochs, "tol": 0, "n_iter_no_change": epochs + 1, "random_state": seed}
    if task == "classification":
        metric, network = "accuracy", MLPClassifier(**settings)
    else:
        metric, network = "r2", TransformedTargetRegressor(MLPRegressor(**settings), transformer=StandardScaler())
    train, test = pandas.read_csv(f"{folder}/train.csv"), pandas.read_csv(f"{folder}/test.csv")
    model = make_pipeline(StandardScaler(), network)
    model.fit(train.iloc[:, :-1], train.iloc[:, -1])
    print(json.dumps({metric: model.score(test.iloc[:, :-1], test.iloc[:, -1])}))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
