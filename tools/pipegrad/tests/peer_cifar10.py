"""The pipeline of CIFAR-10 under the real DVC, on a few images drawn here: from an archive to the score of each class."""

import csv
import json
import os
import re
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import peers
import pytest
import yaml
from peers import IDENTITY, ROOT, copy_tracked, onnx_runtime, with_tools
from PIL import Image

CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
# A class is a color of its own, which a small network sees at once.
COLORS = np.random.default_rng(0).uniform(40, 215, (10, 3))


def draw(folder, count, seed):
    random = np.random.default_rng(seed)
    for name, color in zip(CLASSES, COLORS):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = (color + random.normal(0, 10, (32, 32, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A project in which the pipeline was run once; returns a shell in it."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "configs", folder / "configs")
    copy_tracked(folder, "pipelines/cifar10")
    draw(folder / "images" / "train", 16, 1)
    draw(folder / "images" / "test", 4, 2)
    test = folder / "images" / "test"
    shutil.copy(test / "cat" / "0.png", test / "dog" / "0.png")  # one to be wrong of
    primary = folder / "configs" / "cifar10.yaml"
    config = yaml.safe_load(primary.read_text())
    chosen = {"dataset": "cifar10_images", "model": "small_cnn"}
    groups = [entry for entry in config["defaults"] if entry != "_self_"]
    config["defaults"] = [{group: chosen.get(group, option)} for entry in groups for group, option in entry.items()] + ["_self_"]
    config["dataset"] = {"files": {"archive": {"urls": [str(folder / "images")], "sha256": None, "bytes": None}}}
    config["optimizer"] = {"learning_rate": 0.02}  # the network has no norms
    config["trainer"] |= {"max_epochs": 12, "batch_size": 16}
    primary.write_text(yaml.safe_dump(config, sort_keys=False))

    path = with_tools(Path(sys.executable).parent)
    env = os.environ | {"PATH": path, "ORT_DYLIB_PATH": str(onnx_runtime()), "DVC_NO_ANALYTICS": "1"} | IDENTITY
    job = folder / "pipelines" / "cifar10"

    def shell(command):
        return peers.shell(command, job, env)

    shell("cd ../.. && git init -q && dvc init -q")
    shell("dvc repro && git add -A && git commit -qm ran")
    shell.folder = job
    shell.configs = folder / "configs"
    return shell


def test_the_score_is_that_of_the_run_and_of_numpy(job):
    score = json.loads((job.folder / "metrics.json").read_text())
    own = json.loads((job.folder / "runs/cifar10/metrics.json").read_text())
    assert (score["rows"], score["labels"]) == (40, CLASSES)
    assert score["accuracy"] == own["val"]["accuracy"] > 0.9
    rows = np.load(job.folder / "data/cifar10-predictions.npy")
    actual, predicted = rows["label"], rows["prediction"].argmax(1)
    assert score["accuracy"] == (actual == predicted).mean()
    with open(job.folder / "classes.tsv", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    assert [row["class"] for row in table] == CLASSES
    assert [float(row["recall"]) for row in table] == [(predicted[actual == k] == k).mean() for k in range(10)]


def test_a_second_run_does_nothing_and_a_setting_runs_what_reads_it(job):
    assert "Running stage" not in job("dvc repro")
    settings = job.configs / "infer" / "default.yaml"
    settings.write_text(settings.read_text().replace("batch_size: 1024", "batch_size: 16"))
    out = job("dvc repro")
    assert [stage for stage in ["compose", "fetch-data", "train", "infer"] if f"Running stage '{stage}'" in out] == [
        "compose",
        "infer",
    ]


def test_the_gallery_shows_what_is_misclassified(job):
    rows = np.load(job.folder / "data/cifar10-predictions.npy")
    wrong = np.flatnonzero(rows["prediction"].argmax(1) != rows["label"])
    svg = ET.parse(job.folder / "gallery/misclassified.svg").getroot()
    tiles = [tile.get("data-name") for tile in svg.iter("{http://www.w3.org/2000/svg}image")]
    assert sorted(tiles) == sorted(f"row {row}" for row in wrong)
    assert "dog → cat" in [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]


def test_dvc_draws_the_run(job):
    job("dvc plots show --out drawn")
    page = (job.folder / "drawn" / "index.html").read_text()
    for title in ["Loss by epoch", "Accuracy by epoch", "F1 by class", "Test images by class"]:
        assert title in page, title
    pictures = [name for name in re.findall(r'<img src="([^"]+)"', page) if "misclassified" in name]
    assert len(pictures) == 1 and (job.folder / "drawn" / pictures[0]).exists()
    shown = json.loads(job("dvc metrics show --json"))[""]["data"]
    assert set(shown) == {"metrics.json", "runs/cifar10/metrics.json"}


def test_an_experiment_chooses_a_network_and_sets_values(job):
    assert "Running stage" not in job("dvc repro")
    fetched = (job.folder / "data/cifar10/train.npy").stat().st_mtime_ns
    job("git add -A && git commit -qm 'another batch size' && dvc exp run -S model=mlp -S trainer.max_epochs=2")
    params = yaml.safe_load((job.folder / "params.yaml").read_text())
    assert (params["model"]["name"], params["trainer"]["max_epochs"]) == ("mlp", 2)
    assert len((job.folder / "runs/cifar10/history.csv").read_text().splitlines()) == 3
    assert (job.folder / "data/cifar10/train.npy").stat().st_mtime_ns == fetched
    changed = {name for names in json.loads(job("dvc params diff --json")).values() for name in names}
    assert {"trainer.max_epochs", "model.name"} <= changed
    job("git checkout -q . && dvc repro")
    assert job("git status --porcelain .") == ""


def test_the_projects_root_says_nothing_of_it(job):
    said = job("cd ../.. && dvc metrics show 2>&1; dvc params diff 2>&1; dvc status 2>&1")
    assert "cifar10" not in said and "failed" not in said, said
