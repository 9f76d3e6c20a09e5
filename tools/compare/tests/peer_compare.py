"""Intervals and gates against SciPy, tables read back by pandas and json, runs made by train."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from peers import shell
from scipy import stats

SEEDS = [0, 1, 2]


def make(folder, value, seed=0, metric="val", **settings):
    """A finished run as train leaves it."""
    folder.mkdir(parents=True)
    lines = [f"{key}: {json.dumps(setting)}\n" for key, setting in settings.items()]
    (folder / "config.yaml").write_text("".join(lines) + f"trainer: {{seed: {seed}}}\n")
    (folder / "metrics.json").write_text(json.dumps({metric: {"loss": value}}))


def seeds(folder, values, **settings):
    for seed, value in enumerate(values):
        make(folder / str(seed), float(value), seed, **settings)


def rows(run, *args):
    return json.loads(run("compare", *args, "--to", "json"))["rows"]


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("n", [2, 3, 5, 10, 200])
def test_intervals_are_students(run, tmp_path, n, confidence):
    values = np.random.default_rng(n).lognormal(size=n)
    seeds(tmp_path / "runs", values)
    (row,) = rows(run, "runs", f"confidence={confidence}")
    interval = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    loss = row["metrics"]["val_loss"]
    assert (row["n"], loss["n"]) == (n, n)
    assert sorted(loss["values"]) == sorted(values)
    assert loss["mean"] == pytest.approx(values.mean(), rel=1e-12)
    assert loss["half_width"] == pytest.approx((interval.high - interval.low) / 2, rel=1e-9)


def gate(tmp_path, run, candidate, baseline, comparison, factor, constant, fails):
    """Whether the gate said what SciPy's interval of the difference says."""
    bound = factor * np.array(baseline) + constant
    interval = stats.ttest_ind(candidate, bound, equal_var=False).confidence_interval(0.95)
    expected = interval.low > 0 if comparison == ">" else interval.high < 0
    assert expected == fails, "the test's own numbers"
    condition = f"val_loss {comparison} {factor!r} * baseline + ({constant!r})"
    args = [tmp_path / "new", "--baseline", tmp_path / "old", "--fail-if", condition]
    if not fails:
        run("compare", *args)
        return
    message = run("compare", *args, fails=1)
    assert message.startswith(f"compare: {condition}: ") and message.count("\n") == 1


@pytest.mark.parametrize("seed", range(12))
def test_gates_are_welchs(run, tmp_path, seed):
    random = np.random.default_rng(seed)
    candidate = random.normal(1.0, 0.1, random.integers(2, 6))
    baseline = random.normal(1.0, 0.3, random.integers(2, 9))
    seeds(tmp_path / "new", candidate, model="new")
    seeds(tmp_path / "old", baseline, model="old")
    for factor in (0.5, 1.0, -1.0):
        # The constants at which the interval just includes 0, or just does not.
        interval = stats.ttest_ind(candidate, factor * baseline, equal_var=False).confidence_interval(0.95)
        tiny = 1e-6
        for comparison, edge, inward in ((">", interval.low, -tiny), ("<", interval.high, tiny)):
            gate(tmp_path, run, candidate, baseline, comparison, factor, float(edge + inward), True)
            gate(tmp_path, run, candidate, baseline, comparison, factor, float(edge - inward), False)


def test_a_bound_without_a_baseline_is_compared_with_students_interval(run, tmp_path):
    values = [1.0, 1.1, 1.3, 0.9]
    seeds(tmp_path / "new", values)
    low = stats.ttest_1samp(values, 0).confidence_interval(0.95).low
    run("compare", "new", "--fail-if", f"val_loss>{low + 1e-6}")
    run("compare", "new", "--fail-if", f"val_loss>{low - 1e-6}", fails=1)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Runs of train: two optimizers, three seeds."""
    folder = tmp_path_factory.mktemp("sweep")
    shell("gen-data rows=500 --to npy | entropy > rows.npy", folder)
    for optimizer in ("adam", "sgd"):
        for seed in SEEDS:
            shell(
                f"train rows.npy --quiet -o 'runs/{optimizer}|{seed}' trainer.seed={seed} trainer.max_epochs=2 "
                f"optimizer={optimizer} > /dev/null",
                folder,
            )
    return folder


def losses(sweep, optimizer, part="val"):
    folders = [sweep / "runs" / f"{optimizer}|{seed}" for seed in SEEDS]
    return [json.loads((folder / "metrics.json").read_text())[part]["loss"] for folder in folders]


def test_csv_reads_back(run, sweep):
    frame = pd.read_csv(io.BytesIO(run("compare", sweep / "runs", "--to", "csv")))
    best = sorted(["adam", "sgd"], key=lambda name: np.mean(losses(sweep, name)))
    assert list(frame["optimizer.name"]) == best
    assert "trainer.seed" not in frame and "trainer.run_dir" not in frame
    for _, row in frame.iterrows():
        values = losses(sweep, row["optimizer.name"])
        interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (row["n"], row["status"], row["baseline"]) == (3, "finished", False)
        assert row["val_loss"] == pytest.approx(np.mean(values), rel=1e-12)
        assert row["val_loss_half_width"] == pytest.approx((interval.high - interval.low) / 2, rel=1e-9)
        assert row["test_loss"] == pytest.approx(np.mean(losses(sweep, row["optimizer.name"], "test")), rel=1e-12)
        name = row["optimizer.name"]
        assert row["run"] == str(sweep / "runs" / f"{name}|{np.argmin(values)}")


def test_json_reads_back(run, sweep):
    document = json.loads(run("compare", sweep / "runs", "--to", "json"))
    assert (document["metric"], document["mode"], document["confidence"]) == ("val_loss", "min", 0.95)
    frame = pd.json_normalize(document["rows"])
    assert set(frame["settings.optimizer.name"]) == {"adam", "sgd"}
    for row in document["rows"]:
        assert row["metrics"]["val_loss"]["values"] == losses(sweep, row["settings"]["optimizer.name"])
        assert [folder[-1] for folder in row["runs"]] == ["0", "1", "2"]


def test_markdown_has_the_same_cells(run, sweep):
    lines = run("compare", sweep / "runs", "--to", "md").decode().splitlines()
    # A bar within a cell is escaped.
    cells = [[cell.strip() for cell in line.replace("\\|", "\0").strip("|").split("|")] for line in lines]
    assert set(cells[1]) <= {"-" * len(cell) for cell in cells[1]}
    assert len({len(row) for row in cells}) == 1
    table = run("compare", sweep / "runs").decode().splitlines()
    words = lambda row: " ".join(row).replace("\0", "|").split()  # noqa: E731
    assert [words(cells[0]), *map(words, cells[2:])] == [line.split() for line in table]


def test_the_best_is_an_argument(run, sweep):
    everything = {f"{name}|{seed}": losses(sweep, name)[seed] for name in ("adam", "sgd") for seed in SEEDS}
    path = run("compare", sweep / "runs", "--best", "seeds=[]").decode()
    assert path == f"{sweep / 'runs'}/{min(everything, key=everything.get)}\n"


def test_output_is_deterministic_and_has_no_time(run, sweep):
    for encoding in ("table", "md", "csv", "json"):
        first, second = (run("compare", sweep / "runs", "--to", encoding) for _ in range(2))
        assert first == second and b"time" not in first and b"second" not in first
