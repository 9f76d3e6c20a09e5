"""Metrics against scikit-learn, and NumPy, which counts rows by masks; what is written against DVC."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn import metrics

NAMES = ["airplane", 'a "quoted" bird', "cat, black", "dog", "frog", "truck\t"]


@pytest.fixture
def rows(tmp_path):
    """Rows of six classes, of which the fifth never occurs and the last is never predicted."""
    random = np.random.default_rng(0)
    table = np.zeros(500, [("label", "u1"), ("prediction", "<f4", (6,))])
    table["label"] = random.choice([0, 1, 2, 3, 5], 500, p=[0.4, 0.3, 0.2, 0.05, 0.05])
    logits = random.normal(size=(500, 6))
    logits[np.arange(500), table["label"]] += 1.5
    logits[:, 5] = -20
    table["prediction"] = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.save(tmp_path / "rows.npy", table)
    (tmp_path / "dataset.json").write_text(json.dumps({"name": "x", "classes": {"label": NAMES, "other": ["a"]}}))
    return table["label"], table["prediction"].argmax(1)


def expected(actual, predicted, k):
    """By masks: precision, recall, F1 (None where a share is of nothing) and support."""
    chosen, meant = predicted == k, actual == k
    precision = meant[chosen].mean() if chosen.any() else None
    recall = chosen[meant].mean() if meant.any() else None
    if precision is None and recall is None:
        return None, None, None, 0
    both = (precision or 0) + (recall or 0)
    return precision, recall, 2 * (precision or 0) * (recall or 0) / both if both else 0.0, int(meant.sum())


def test_metrics_are_numpys(run, rows, tmp_path):
    actual, predicted = rows
    out = json.loads(run("score", "score=classification", "rows.npy", "--per-class", "classes.json"))
    table = json.loads((tmp_path / "classes.json").read_text())
    assert list(table) == ["0", "1", "2", "3", "4", "5"]
    scores = [expected(actual, predicted, k) for k in range(6)]
    for k, (precision, recall, f1, support) in enumerate(scores):
        ours = table[str(k)]
        assert (ours["precision"], ours["recall"], ours["f1"]) == pytest.approx((precision, recall, f1)), k
        assert ours["support"] == support
    occur = [score for k, score in enumerate(scores) if (actual == k).any() or (predicted == k).any()]
    for i, name in enumerate(["macro_precision", "macro_recall", "macro_f1"]):
        assert out[name] == pytest.approx(np.mean([score[i] or 0 for score in occur])), name
    counts = np.zeros((6, 6), int)
    np.add.at(counts, (actual, predicted), 1)
    assert out["confusion_matrix"] == counts.tolist()
    assert "labels" not in out


@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_tables_with_names_are_read_by_pythons_csv(run, rows, tmp_path, kind):
    actual, predicted = rows
    files = ["--per-class", f"classes.{kind}", "--confusion", "pairs.csv", "--classes", "dataset.json"]
    out = json.loads(run("score", "score=classification", "rows.npy", *files))
    assert out["labels"] == NAMES
    with open(tmp_path / f"classes.{kind}", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t" if kind == "tsv" else ","))
    assert [row["class"] for row in table] == NAMES
    for k, row in enumerate(table):
        *shares, support = expected(actual, predicted, k)
        ours = [float(row[name]) if row[name] else None for name in ["precision", "recall", "f1"]]
        assert ours == pytest.approx(shares) and int(row["support"]) == support
    with open(tmp_path / "pairs.csv", newline="") as file:
        pairs = [(row["actual"], row["predicted"]) for row in csv.DictReader(file)]
    assert pairs == [(NAMES[a], NAMES[p]) for a, p in zip(actual, predicted)]
    run("plot", "pairs.csv", "-o", "plots")


def test_dvc_reads_what_is_written(run, rows, tmp_path):
    files = ["--per-class", "classes.tsv", "--confusion", "pairs.csv", "--classes", "dataset.json"]
    run("score", "score=classification", "rows.npy", "-o", "metrics.json", *files)
    run("score", "score=classification", "rows.npy", "--per-class", "classes.json", "--classes", "dataset.json")
    (tmp_path / "dvc.yaml").write_text(
        "metrics: [metrics.json, classes.json]\n"
        "plots:\n"
        "  - pairs.csv: {template: confusion, x: actual, y: predicted}\n"
        "  - classes.tsv: {template: bar_horizontal, x: f1, y: class}\n"
    )

    def dvc(*args):
        command = [sys.executable, "-m", "dvc", *args]
        env = os.environ | {"DVC_NO_ANALYTICS": "1"}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    dvc("init", "--no-scm", "--quiet")
    shown = json.loads(dvc("metrics", "show", "--json"))[""]["data"]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert shown["metrics.json"]["data"]["macro_f1"] == metrics["macro_f1"]
    assert shown["classes.json"]["data"]["airplane"]["support"] == (rows[0] == 0).sum()
    dvc("plots", "show", "--out", "drawn")
    page = (tmp_path / "drawn" / "index.html").read_text()
    assert "cat, black" in page and '"f1"' in page


def test_bad_names_are_refused_in_one_line(run, rows, tmp_path):
    (tmp_path / "few.json").write_text('{"classes": {"label": ["a", "b"]}}')
    (tmp_path / "twice.json").write_text('{"classes": {"label": ["a", "b", "c", "d", "e", "a"]}}')
    (tmp_path / "other.json").write_text('{"classes": {"coarse": ["a"]}}')
    (tmp_path / "none.json").write_text("[]")
    cases = [
        (["--classes", "few.json"], '--classes: 2 names of field "label", but the predictions are of 6 classes'),
        (["--classes", "twice.json"], 'two classes are called "a"'),
        (["--classes", "other.json"], 'no classes of field "label"; there are those of coarse'),
        (["--classes", "none.json"], "none.json: expected the dataset.json that fetch-data writes"),
        (["--classes", "missing.json"], "missing.json: No such file"),
        (["--per-class", "table.txt"], "expected a name that ends in .tsv, .csv or .json"),
        (["--per-class", "nowhere/table.tsv"], "nowhere/table.tsv"),
        (["score=regression", "--per-class", "table.tsv"], "only classification has classes"),
        (["score=regression", "--classes", "dataset.json"], "only classification has classes"),
    ]
    for args, message in cases:
        error = run("score", "score=classification", "rows.npy", *args, fails=2)
        assert message in error and error.count("\n") == 1, (args, error)


def scored(run, tmp_path, target, prediction, *args):
    """What score says of rows of these arrays."""
    shape = [("label", target.dtype, target.shape[1:]), ("prediction", prediction.dtype, prediction.shape[1:])]
    table = np.zeros(len(target), shape)
    table["label"], table["prediction"] = target, prediction
    np.save(tmp_path / "table.npy", table)
    return json.loads(run("score", "score=classification", "table.npy", *args))


def is_near(ours, expected):
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value, rel=1e-12, abs=1e-12), name


def ranking(truth, scores, **how):
    return {
        "auc": metrics.roc_auc_score(truth, scores, **how),
        "average_precision": metrics.average_precision_score(truth, scores),
    }


# Scores in steps tie; probabilities of 0 and 1 are clipped.
STEPS = [None, 20, 4, 1]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("seed", range(5))
def test_binary_metrics_are_scikit_learns(run, tmp_path, seed, steps):
    random = np.random.default_rng(seed)
    scores = random.uniform(size=int(random.integers(20, 2000)))
    scores = scores if steps is None else (scores * steps).round() / steps
    truth = random.random(len(scores)) < 0.1 + 0.5 * scores
    truth[:2] = [False, True]
    predicted = scores > 0.5
    ours = scored(run, tmp_path, truth, scores)
    is_near(
        ours,
        {
            "accuracy": metrics.accuracy_score(truth, predicted),
            "cross_entropy": metrics.log_loss(truth, scores),
            "recall": metrics.recall_score(truth, predicted),
            "f1": metrics.f1_score(truth, predicted),
            "macro_f1": metrics.f1_score(truth, predicted, average="macro", zero_division=0),
            **ranking(truth, scores),
        },
    )
    assert ours["precision"] == (pytest.approx(truth[predicted].mean()) if predicted.any() else None)
    assert ours["confusion_matrix"] == metrics.confusion_matrix(truth, predicted).tolist()


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(3))
def test_multi_class_metrics_are_scikit_learns(run, tmp_path, seed, classes, steps):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(int(random.integers(50, 1000)), classes)) * 3
    logits = logits if steps is None else (logits * steps).round() / steps
    labels = (logits + random.normal(size=logits.shape) * 3).argmax(1)
    labels[:classes] = np.arange(classes)
    probabilities = softmax(logits, axis=1)
    predicted = probabilities.argmax(1)
    scores = probabilities[:, 1] if classes == 2 else probabilities
    is_near(
        scored(run, tmp_path, labels, probabilities),
        {
            "accuracy": metrics.accuracy_score(labels, predicted),
            "cross_entropy": metrics.log_loss(labels, probabilities),
            "macro_precision": metrics.precision_score(labels, predicted, average="macro", zero_division=0),
            "macro_recall": metrics.recall_score(labels, predicted, average="macro"),
            **ranking(labels, scores, multi_class="ovr", average="macro"),
        },
    )
    # Of logits only those without ties: where a softmax rounds, equal ones may come apart.
    if steps is None:
        ours = scored(run, tmp_path, labels, logits, "prediction=logits")
        is_near(ours, ranking(labels, scores, multi_class="ovr", average="macro"))
        is_near(ours, {"cross_entropy": metrics.log_loss(labels, probabilities)})


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("labels", [2, 5])
def test_multi_label_metrics_are_scikit_learns(run, tmp_path, labels, steps):
    random = np.random.default_rng(labels)
    logits = random.normal(size=(300, labels)) * 2
    logits = logits if steps is None else (logits * steps).round() / steps
    truth = random.random(logits.shape) < expit(logits - 1)
    expected = {
        "accuracy": ((logits > 0) == truth).mean(),
        "subset_accuracy": metrics.accuracy_score(truth, logits > 0),
        "cross_entropy": np.mean([metrics.log_loss(truth[:, i], expit(logits[:, i])) for i in range(labels)]),
        "macro_precision": metrics.precision_score(truth, logits > 0, average="macro"),
        "macro_recall": metrics.recall_score(truth, logits > 0, average="macro"),
        "macro_f1": metrics.f1_score(truth, logits > 0, average="macro"),
        **ranking(truth, logits),
    }
    is_near(scored(run, tmp_path, truth.astype("u1"), logits, "prediction=logits"), expected)
    is_near(scored(run, tmp_path, truth.astype("u1"), expit(logits)), expected)


def test_certain_mistakes_cost_the_same_in_every_encoding(run, tmp_path):
    labels = np.array([0, 1, 1, 0])
    probabilities = np.eye(2, dtype="<f4")[[0, 1, 0, 1]]
    expected = metrics.log_loss(labels, probabilities.astype("f8"))
    ours = scored(run, tmp_path, labels, probabilities)
    assert ours["cross_entropy"] == pytest.approx(expected, rel=1e-6)


def test_the_table_ranks_each_class(run, tmp_path):
    random = np.random.default_rng(3)
    scores = random.integers(0, 9, 200) / 8
    truth = random.random(200) < 0.2 + 0.6 * scores
    scored(run, tmp_path, truth, scores, "--per-class", "classes.json")
    table = json.loads((tmp_path / "classes.json").read_text())
    for name, expected in [("0", ranking(~truth, 1 - scores)), ("1", ranking(truth, scores))]:
        is_near(table[name], expected)


@pytest.mark.parametrize("targets", [1, 2, 6])
def test_r2_is_scikit_learns(run, tmp_path, targets):
    random = np.random.default_rng(targets)
    shift = 1000 * np.arange(targets)
    table = np.zeros(500, [("y", "<f8", (targets,)), ("prediction", "<f8", (targets,))])
    table["y"] = random.normal(size=(500, targets)) + shift
    table["prediction"] = table["y"] * 0.5 + shift / 2 + random.normal(size=(500, targets))
    np.save(tmp_path / "table.npy", table)
    ours = json.loads(run("score", "table.npy", "target_field=y"))
    pair = table["y"], table["prediction"]
    assert ours["r2"] == pytest.approx(metrics.r2_score(*pair), rel=1e-12)
    assert ours["mse"] == pytest.approx(metrics.mean_squared_error(*pair), rel=1e-12)
    assert ours["mae"] == pytest.approx(metrics.mean_absolute_error(*pair), rel=1e-12)
    each = metrics.r2_score(*pair, multioutput="raw_values").tolist()
    assert ours.get("r2_per_target") == (pytest.approx(each, rel=1e-12) if targets > 1 else None)
