"""Writes the data sets of scikit-learn's wheel as CSV: NAME/rows.csv, and NAME/train.csv and NAME/test.csv of them.

The target is the last column: the names of the classes for iris, wine and breast_cancer, otherwise numbers. A quarter
of the rows is for testing, of classes a quarter of each; the split is the same every time.

Usage: datasets.py FOLDER
"""

import re
import sys
from pathlib import Path

from sklearn import datasets
from sklearn.model_selection import train_test_split


def column(name):
    """`mean radius`, `sepal length (cm)`: a name that a setting can hold without quotes."""
    return re.sub(r"\W+", "_", re.sub(r" \(.*\)", "", name))


def frame(bunch, target):
    rows = bunch.frame.drop(columns="target").rename(columns=column)
    numbers = bunch.frame["target"]
    names = getattr(bunch, "target_names", None)
    return rows.assign(**{target: numbers if names is None or names[0] == 0 else names[numbers]})


def frames():
    """The tables by name, each with whether its target is a class."""
    yield "diabetes", frame(datasets.load_diabetes(as_frame=True, scaled=False), "progression"), False
    yield "wine", frame(datasets.load_wine(as_frame=True), "cultivar"), True
    yield "iris", frame(datasets.load_iris(as_frame=True), "species"), True
    yield "breast_cancer", frame(datasets.load_breast_cancer(as_frame=True), "diagnosis"), True
    yield "digits", frame(datasets.load_digits(as_frame=True), "digit"), True


def main(folder):
    for name, rows, has_classes in frames():
        path = folder / name
        path.mkdir(parents=True, exist_ok=True)
        strata = rows.iloc[:, -1] if has_classes else None
        train, test = train_test_split(rows, test_size=0.25, random_state=0, stratify=strata)
        for part, file in [(rows, "rows.csv"), (train, "train.csv"), (test, "test.csv")]:
            part.to_csv(path / file, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
