"""The main job under the real DVC, in a copy of the repository."""

import json
import os
import sys
from pathlib import Path

import peers
import pytest
import yaml
from peers import IDENTITY, copy_tracked, onnx_runtime, with_tools

# What is built and installed already is taken for new enough.
MAKE = "make -o build -o .venv/.run.stamp"
MAKE_EXP = f'{MAKE} exp SET="data=softmax data.rows=5000"'


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A clone with the working tree's files, in which the job was run once; returns a shell in it."""
    folder = tmp_path_factory.mktemp("clone")
    copy_tracked(folder)
    path = with_tools(Path(sys.executable).parent)
    env = os.environ | IDENTITY | {"PATH": path, "ORT_DYLIB_PATH": str(onnx_runtime()), "DVC_NO_ANALYTICS": "1"}

    def shell(command, status=0):
        return peers.shell(command, folder, env, status)

    shell.fresh = {}
    shell("git init -q && git add -A && git commit -qm start")
    # In a fresh clone nothing is said of a job that was never run, such as that of pipelines/cifar10.
    for command in ["metrics show", "metrics diff", "params diff", "plots show -o ../plots"]:
        shell.fresh[command] = shell(f"dvc {command} 2>&1")
    shell("rm -f dvc.lock && dvc repro && git add -A && git commit -q --allow-empty -m ran")
    shell.folder = folder
    return shell


def test_a_second_run_does_nothing(job):
    out = job("dvc repro")
    assert "Running stage" not in out and "up to date" in out
    assert job("git status --porcelain") == ""


def test_a_forced_run_gives_the_same_bytes(job):
    lock = (job.folder / "dvc.lock").read_bytes()
    assert job("dvc repro --force").count("Running stage") == 7
    assert (job.folder / "dvc.lock").read_bytes() == lock


def test_the_score_is_the_runs_own_test_score(job):
    score = json.loads((job.folder / "metrics.json").read_text())
    own = json.loads((job.folder / "runs/entropy/metrics.json").read_text())["test"]
    assert score["mse"] == pytest.approx(own["mse"], rel=1e-5)
    assert score["mse"] < 8.5e-4


def test_metrics_params_and_plots_are_shown(job):
    assert "mse" in job("dvc metrics show")
    job("sed -i 's/^learning_rate: .*/learning_rate: 0.002/' configs/optimizer/adam.yaml")
    ran = job("dvc repro")
    stages = [line.split("'")[1] for line in ran.splitlines() if line.startswith("Running stage")]
    assert stages == ["compose", "train", "export", "infer", "score"], "only what depends on it"
    assert "optimizer.learning_rate" in job("dvc params diff")
    assert "mse" in job("dvc metrics diff")
    job("dvc plots show -o plots")
    page = (job.folder / "plots" / "index.html").read_text()
    assert "val_loss" in page and "train_loss" in page
    job("rm -r plots && git checkout -q . && dvc repro")


def params(job):
    return yaml.safe_load((job.folder / "params.yaml").read_text())


def changed(job):
    """The parameters that `dvc params diff` shows, with their values."""
    lists = json.loads(job("dvc params diff --json")).values()
    return {name: values["new"] for parameters in lists for name, values in parameters.items()}


def restore(job):
    job("git checkout -q . && dvc repro")
    assert job("git status --porcelain") == ""


def test_an_experiment_takes_overrides(job):
    composed = (job.folder / "params.yaml").read_bytes()
    job("dvc exp run -S data.rows=5000 -S optimizer.learning_rate=0.02")
    assert changed(job) == {"data.rows": 5000, "optimizer.learning_rate": 0.02}
    assert "learning_rate: 0.02" in (job.folder / "runs/entropy/config.yaml").read_text()
    assert json.loads((job.folder / "metrics.json").read_text())["rows"] == 500
    # The workspace is up to date with what the experiment left; an edit of configs/ composes anew.
    assert "up to date" in job("dvc repro")
    job("sed -i 's/^batch_size: .*/batch_size: 64/' configs/infer/default.yaml && dvc repro")
    assert changed(job) == {"infer.batch_size": 64}
    job("git checkout -q . && dvc repro --force compose")
    assert (job.folder / "params.yaml").read_bytes() == composed
    restore(job)


def test_an_experiment_without_overrides_is_the_job(job):
    job("dvc exp run -S data.rows=5000 && dvc exp run")
    assert job("git status --porcelain") == ""


@pytest.mark.parametrize("command", ["dvc exp run -S data=softmax -S data.rows=5000", MAKE_EXP])
def test_an_experiment_chooses_groups(job, command):
    job(command)
    data = params(job)["data"]
    assert (data["kind"], data["rows"]) == ("softmax", 5000)
    assert job("pipegrad compose --resolve data=softmax data.rows=5000") == (job.folder / "params.yaml").read_text()
    # The job itself is another target: overrides of an experiment are no part of it.
    job(f"{MAKE} repro")
    assert job("git status --porcelain") == ""


def test_experiments_wait_in_a_queue_for_a_worker(job):
    job("dvc exp run --queue -S data.rows=2000 -S trainer.max_epochs=1 -S optimizer.learning_rate=0.01,0.03")
    assert job("git status --porcelain") == ""
    job("dvc exp run --run-all")
    shown = json.loads(job("dvc exp show --json"))
    done = [rev["data"] for base in shown for exp in base["experiments"] or [] for rev in exp["revs"]]
    queued = [data for data in done if data["params"]["params.yaml"]["data"]["data"]["rows"] == 2000]
    rates = [data["params"]["params.yaml"]["data"]["optimizer"]["learning_rate"] for data in queued]
    assert sorted(rates) == [0.01, 0.03]
    assert len({data["metrics"]["metrics.json"]["data"]["mse"] for data in queued}) == 2
    assert job("git status --porcelain") == ""


def test_a_fresh_clone_has_no_warnings(job):
    assert "mse" in job.fresh["metrics show"]
    for command, said in job.fresh.items():
        assert "failed" not in said and "cifar10" not in said, (command, said)


def test_outputs_go_to_the_remote_and_come_back(job):
    assert "pushed" in job("dvc push")
    job("rm -rf .dvc/cache data/*.npy models/*.onnx")
    assert "fetched" in job("dvc pull dvc.yaml")
    assert "up to date" in job("dvc status dvc.yaml")


def test_a_missing_tracked_input_is_pulled(job):
    job("dvc push && rm -rf .dvc/cache data/entropy.npy runs/entropy/test.npy")
    missing = job("train data/entropy.npy -o /tmp/never 2>&1 || true")
    assert missing == "train: data/entropy.npy: No such file or directory (os error 2)\n"
    job("train data/entropy.npy data.pull=true trainer.max_epochs=1 -o out | tail -n 1 && test -f data/entropy.npy")
    job("infer -m models/entropy.onnx runs/entropy/test.npy data.pull=true | score --expect-rows 10000")
    job("rm -r out && dvc checkout dvc.yaml")
    error = job("train data/unknown.npy data.pull=true 2>&1 || true")
    assert error.startswith("train: data/unknown.npy: missing, and not pulled: ERROR") and error.count("\n") == 1
