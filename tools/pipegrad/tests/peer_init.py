"""`pipegrad init` under the real DVC: each template in a folder outside the repository, run by the commands that init prints."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import peers
import pytest
import yaml
from peers import IDENTITY, onnx_runtime, with_tools
from PIL import Image

ENV = (
    os.environ
    | IDENTITY
    | {"PATH": with_tools(Path(sys.executable).parent), "ORT_DYLIB_PATH": str(onnx_runtime()), "DVC_NO_ANALYTICS": "1"}
)
# The metric of each template, and the least that its example must reach.
TEMPLATES = {"table": ("r2", 0.9), "images": ("accuracy", 0.7), "entropy": ("r2", 0.8)}


def shell(command, folder, status=0):
    return peers.shell(command, folder, ENV, status)


def init(folder, *args, status=0):
    """Runs the command in a folder; returns what it printed, by lines, and what it said."""
    command = [peers.BIN / "pipegrad", "init", *map(str, args)]
    done = subprocess.run(command, cwd=folder, env=ENV, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stdout.splitlines(), done.stderr


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def ran(out):
    """The stages that ran."""
    return re.findall(r"^Running stage '(\w+)'", out, re.MULTILINE)


@pytest.fixture(scope="module", params=TEMPLATES)
def project(request, tmp_path_factory):
    """A new project in which the printed commands were run, but for the last one, the experiment."""
    outside = tmp_path_factory.mktemp("outside")
    name = f"my {request.param}"
    commands, _ = init(outside, name, "--template", request.param)
    folder = outside / name
    written = files(folder)
    assert commands[:2] == [f"cd {shlex.quote(name)}", "git init -q && dvc init -q"]
    assert all("#" not in command for command in commands)
    out = shell("\n".join(commands[:-1]), outside)
    return SimpleNamespace(template=request.param, folder=folder, written=written, experiment=commands[-1], out=out)


def test_the_job_runs_from_data_to_plots(project):
    run = ran(project.out)
    assert run[0] == "compose" and {"train", "export", "infer", "score", "plot"} < set(run)
    assert ("data" in run) == (project.template != "table")
    for path in ["model.onnx", "model.json", "metrics.json", "runs/model/history.csv", "plots/loss.svg", "settings.yaml"]:
        assert (project.folder / path).stat().st_size > 0, path
    metric, least = TEMPLATES[project.template]
    assert json.loads((project.folder / "metrics.json").read_text())[metric] > least
    assert metric in project.out, "dvc metrics show"


def test_a_second_run_does_nothing(project):
    out = shell("dvc repro", project.folder)
    assert ran(out) == [] and "up to date" in out


def test_git_has_the_figures_and_dvc_the_rest(project):
    shell("git add . && git commit -qm ran --allow-empty", project.folder)
    assert shell("git status --porcelain", project.folder) == ""
    tracked = set(shell("git ls-files -z", project.folder).split("\0"))
    made = {"dvc.lock", "metrics.json", "runs/model/history.csv", "runs/model/metrics.json", "settings.yaml"}
    own = {path for path in tracked if path and not path.startswith(".dvc/")}
    assert own == project.written | made
    # What the ignored rest is, DVC has.
    shell("rm -rf model.onnx plots && dvc checkout -q", project.folder)
    assert (project.folder / "model.onnx").exists()


def test_no_file_names_a_place_of_this_machine(project):
    for path in project.written:
        content = (project.folder / path).read_bytes()
        assert str(project.folder.parent).encode() not in content, path
        if path.endswith((".md", "dvc.yaml", "params.yaml", "job.yaml", ".gitignore")):
            left = re.findall(r"\$[a-z_]+\$|^\s*#(?:if|end)\b", content.decode(), re.MULTILINE)
            assert left == [], path


def test_every_value_has_a_comment(project):
    text = (project.folder / "params.yaml").read_text()
    leaves = [line for line in text.splitlines() if re.match(r" *(- )?\w+: ?\S", line)]
    assert leaves and [line for line in leaves if " # " not in line] == []


def test_plots_are_drawn(project):
    shell("dvc plots show -o page", project.folder)
    page = (project.folder / "page" / "index.html").read_text()
    assert "val_loss" in page and "loss.svg" in page
    assert ("confusion" in page) == (project.template == "images")
    shutil.rmtree(project.folder / "page")


def test_an_experiment_changes_a_value_and_runs_what_depends_on_it(project):
    shell("git add . && git commit -qm ran --allow-empty", project.folder)
    before = (project.folder / "params.yaml").read_text()
    setting, value = project.experiment.removeprefix("dvc exp run -S ").split("=")
    out = shell(project.experiment, project.folder)
    assert "train" in ran(out) and "data" not in ran(out)
    diff = json.loads(shell("dvc params diff --json", project.folder))
    assert {key: str(change["new"]) for key, change in diff["settings.yaml"].items()} == {setting: value}
    group, key = setting.split(".")
    assert str(yaml.safe_load((project.folder / "runs/model/config.yaml").read_text())[group][key]) == value
    # An edit of a config counts beside it, also without a commit.
    job = project.folder / "configs" / "job.yaml"
    job.write_text(re.sub(r"- optimizer: \w+", "- optimizer: rmsprop", job.read_text()))
    shell(f"dvc exp run -S {setting}={value}", project.folder)
    assert yaml.safe_load((project.folder / "runs/model/config.yaml").read_text())["optimizer"]["name"] == "rmsprop"
    shell("git checkout -q . && dvc checkout -q && dvc repro -q", project.folder)
    assert (project.folder / "params.yaml").read_text() == before
    assert shell("git status --porcelain", project.folder) == ""


def test_the_readme_predicts(project):
    (command,) = re.search(r"^## Predict\n.*?```sh\n(.*?)```", (project.folder / "README.md").read_text(), re.DOTALL | re.M).groups()
    if project.template == "images":
        (project.folder / "new").mkdir()
        Image.new("RGB", (50, 40), "red").save(project.folder / "new" / "photo.jpg")
    assert "prediction" in shell(command, project.folder)


def test_the_makefile_lists_and_runs(project):
    assert "repro" in shell("make", project.folder)
    assert "up to date" in shell("make repro", project.folder)


def test_without_git(tmp_path):
    init(tmp_path, "plain", "--template", "entropy")
    params = tmp_path / "plain" / "params.yaml"
    params.write_text(params.read_text().replace("rows: 20000", "rows: 2000"))
    shell("dvc init -q --no-scm && dvc repro && dvc metrics show", tmp_path / "plain")
    assert (tmp_path / "plain" / "model.onnx").exists()


def test_a_project_in_a_larger_repository(tmp_path):
    shell("git init -q && mkdir inner && touch other && git add other", tmp_path)
    commands, _ = init(tmp_path, "inner/job", "--template", "entropy")
    assert commands[1] == "dvc init -q --subdir"
    shell("\n".join(commands[:4]), tmp_path)
    assert shell("git status --porcelain", tmp_path) == "A  other\n", "what was staged beside it is not committed"


def write_table(path, rows, delimiter=","):
    lines = [delimiter.join(map(str, row)) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def flowers(count=300):
    """A name for each row, numbers with gaps, and a class."""
    random = np.random.default_rng(0)
    for i in range(count):
        length, width = random.uniform(0, 7), random.uniform(0, 3)
        kind = "small" if length + width < 4 else "long" if length > 2 * width else "round"
        yield f"plant {i}", "" if i % 11 == 0 else round(length, 3), round(width, 3), kind


@pytest.mark.parametrize("delimiter, flags", [(",", []), (";", ["--delimiter", ";"])])
def test_a_table_of_ones_own_with_classes(tmp_path, delimiter, flags):
    write_table(tmp_path / "my flowers.csv", [("plant name", "length", "yes", "kind"), *flowers()], delimiter)
    commands, said = init(tmp_path, "job", "--template", "table", "--data", "my flowers.csv", "--target", "kind", *flags)
    left_out = 'params.yaml leaves out "plant name" (too many different texts)'
    assert said == f"pipegrad: {left_out}; to keep a column, remove the # before it there\n"
    folder = tmp_path / "job"
    assert (folder / "data/my_flowers.csv").read_bytes() == (tmp_path / "my flowers.csv").read_bytes()
    params = yaml.safe_load((folder / "params.yaml").read_text())
    assert params["trainer"]["input_field"] == ["length", "yes"] and params["features"]["missing"] == "median"
    shell("\n".join(commands[:-1]), tmp_path)
    score = json.loads((folder / "metrics.json").read_text())
    assert score["labels"] == ["long", "round", "small"] and score["accuracy"] > 0.8
    assert {"classes.tsv", "confusion.csv", "predictions.ndjson", "model.onnx"} < files(folder)


def test_a_table_of_numbers_with_a_target_of_0_and_1(tmp_path):
    random = np.random.default_rng(0)
    points = random.normal(size=(300, 2))
    (tmp_path / "job").mkdir()
    write_table(tmp_path / "job" / "points.tsv", [("x", "y", "inside"), *((x, y, int(x * x + y * y < 1)) for x, y in points)], "\t")
    # A table that is in the folder already stays where it is.
    commands, said = init(tmp_path / "job", ".", "--template", "table", "--data", "points.tsv", "--target", "inside")
    assert said == "" and commands[0] == "git init -q && dvc init -q"
    shell("\n".join(commands[:-1]), tmp_path / "job")
    score = json.loads((tmp_path / "job" / "metrics.json").read_text())
    assert score["accuracy"] > 0.8
    assert not (tmp_path / "job" / "data").exists()


def draw(folder, colors, count):
    random = np.random.default_rng(0)
    for name, color in colors.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            height, width = random.integers(40, 90, 2)
            pixels = (np.array(color) + random.normal(0, 20, (height, width, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.jpg")


@pytest.mark.parametrize("test", [None, "test"])
def test_images_of_ones_own(tmp_path, test):
    colors = {"grass": (60, 160, 60), "sea": (40, 80, 170), "sand": (200, 180, 120)}
    photos = tmp_path / "my photos"
    draw(photos / "train" if test else photos, colors, 20)
    if test:
        draw(photos / "test", colors, 4)
    commands, said = init(tmp_path, "job", "--template", "images", "--data", "my photos")
    assert said == "pipegrad: the images stay in ../my photos, outside the project; move them into it to share it\n"
    shell("\n".join(commands[:-1]), tmp_path)
    score = json.loads((tmp_path / "job" / "metrics.json").read_text())
    assert score["labels"] == sorted(colors) and score["accuracy"] > 0.8
    assert score["rows"] == (12 if test else 6)
    assert ran(shell("dvc repro", tmp_path / "job")) == []
