"""The wheel, installed into an environment of its own outside the repository: `make test-wheel` builds it and names it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from peers import ROOT

WHEEL = os.environ.get("PIPEGRAD_WHEEL")
pytestmark = pytest.mark.skipif(not WHEEL, reason="PIPEGRAD_WHEEL names no wheel: make test-wheel")

TABLE = "".join(f"{i % 7},{'ab'[i % 2]},{3 * (i % 7) + (i % 2)}\n" for i in range(400))


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """An environment with the wheel and its extras, at the versions that the repository pins."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    # Without hashes, with markers: pip takes no constraints by hash for a file.
    pins = re.findall(r"^\S+==[^\\\n]+", (ROOT / "requirements/run.txt").read_text(), re.M)
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pins))
    wheel = f"pipegrad[onnxruntime,dvc] @ {Path(WHEEL).resolve().as_uri()}"
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", constraints, wheel], check=True)
    return folder


@pytest.fixture
def sh(venv, tmp_path):
    """Runs bash in a temporary folder with the environment's commands alone; returns its standard output."""

    def sh(command, status=0):
        # No variable of this process leads to the repository's tools or libraries.
        env = {"PATH": f"{venv}/bin:/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return sh


def test_each_tool_is_a_command(sh):
    tools = sh("pipegrad --list").split()
    assert len(tools) == 15
    version = sh("pipegrad --version").split()[1]
    for tool in tools:
        assert sh(f"env {tool} --version") == f"{tool} {version}\n"


def test_a_command_works_through_a_link_too(sh, venv, tmp_path):
    (tmp_path / "adder").symlink_to(venv / "bin/entropy")
    assert json.loads(sh("""echo '{"probs":[0.5,0.5]}' | ./adder --base 2"""))["entropy"] == 1


def test_pages_and_completions_are_installed(sh, venv):
    for tool in sh("pipegrad --list").split():
        page = (venv / f"share/man/man1/pipegrad-{tool}.1").read_text()
        # Each flag that --help lists.
        flags = re.findall(r"^  (?:-\w, )?(--[\w-]+)", sh(f"env {tool} -h"), re.M)
        assert flags and all(flag.replace("-", r"\-") in page for flag in flags), tool
        # bash completes its own export.
        assert (venv / f"share/bash-completion/completions/{tool}").is_file() == (tool != "export")
    assert (venv / "share/zsh/site-functions/_pipegrad").read_text().startswith("#compdef pipegrad ")
    assert "train" in sh("pipegrad --complete 'pipegrad tr'")


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_pages_have_no_warning(sh, venv):
    # In lines that hold the longest setting, which cannot be broken.
    env = os.environ | {"MANWIDTH": "200"}
    for page in sorted((venv / "share/man/man1").iterdir()):
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", page], env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), page.name


def test_the_commands_of_its_page_run(sh):
    page = (ROOT / "tools/pipegrad/README.md").read_text()
    commands = [line.removeprefix("$ ") for line in page.splitlines() if line.startswith("$ ")]
    assert len(commands) == 4 and commands[0].startswith("pip install ")
    rows = sh(" && ".join(commands[1:])).splitlines()
    assert "prediction" in json.loads(rows[-1])


def test_a_pipe_ends_in_predictions_by_the_library_of_the_environment(sh, venv):
    sh("gen-data rows=2000 | entropy | train --quiet trainer.max_epochs=2 > /dev/null")
    sh("pipegrad export runs/entropy -o model.onnx")
    rows = sh("gen-data rows=3 seed=1 | entropy | infer --model model.onnx").splitlines()
    assert all({"probs", "entropy", "prediction"} == set(json.loads(row)) for row in rows) and len(rows) == 3


def test_a_table_is_learned(sh, tmp_path):
    (tmp_path / "table.csv").write_text("x,kind,y\n" + TABLE)
    sh("train table.csv 'trainer.input_field=[x,kind]' trainer.target_field=y trainer.max_epochs=3 --quiet -o run > /dev/null")
    sh("pipegrad export run -o run/model.onnx && infer -m run/model.onnx table.csv > predictions.csv")
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert lines[0] == "x,kind,y,prediction" and len(lines) == 401


def test_doctor_finds_what_the_extras_bring(sh):
    checks = {check["name"]: check for check in json.loads(sh("pipegrad doctor --to json onnxruntime dvc tools"))["checks"]}
    assert all(check["state"] == "ok" for check in checks.values()), checks


def test_a_project_runs(sh):
    # The wheel has no trt-build.
    sh("pipegrad doctor tools")
    sh("pipegrad init houses --template table && cd houses && dvc init -q --no-scm && dvc repro -q && dvc metrics show")
    assert "up to date" in sh("cd houses && dvc repro")
