"""The CI files: against the schemas of GitHub and GitLab, and their steps in bash on a project of `pipegrad init`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target/release")).resolve()
DVC = ROOT / ".venv/bin"
IDENTITY = {f"GIT_{who}_{what}": "test@localhost" for who in ["AUTHOR", "COMMITTER"] for what in ["NAME", "EMAIL"]}
FILES = {"github": HERE / "github.yml", "gitlab": HERE / "gitlab.yml"}


def load(name):
    # YAML 1.1 reads GitHub's key `on` as true; the steps do not need it.
    return yaml.safe_load(FILES[name].read_text())


def check(name, path):
    schema = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}[name]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, path]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("name", FILES)
def test_is_valid(name):
    done = check(name, FILES[name])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "good", "bad"), [("github", "runs-on:", "run-on:"), ("gitlab", "  script:", "  scripts:")])
def test_a_broken_copy_is_refused(name, good, bad, tmp_path):
    text = FILES[name].read_text()
    assert good in text
    (tmp_path / FILES[name].name).write_text(text.replace(good, bad))
    assert check(name, tmp_path / FILES[name].name).returncode != 0


@pytest.fixture
def project(tmp_path):
    """A project whose branch `main` is also that of its remote, and which is on a branch of its own; and a shell in it."""
    env = os.environ | IDENTITY | {"PATH": f"{BIN}:{DVC}:{os.environ['PATH']}", "VIRTUAL_ENV": str(ROOT / ".venv")}
    folder = tmp_path / "project"

    def sh(command, **variables):
        command = ["bash", "-eo", "pipefail", "-c", command]
        return subprocess.run(command, cwd=folder, env=env | variables, capture_output=True, text=True)

    def done(command, **variables):
        result = sh(command, **variables)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    subprocess.run([BIN / "pipegrad", "init", folder, "--template", "entropy"], env=env, check=True, capture_output=True)
    done("sed -i 's/^  rows: .*/  rows: 4000/; s/max_epochs: .*/max_epochs: 3/' params.yaml")
    done("git init -q -b main && dvc init -q && git add . && git commit -qm first && dvc repro -q && git add . && git commit -qm run")
    done("git clone -q --bare . ../origin.git && git remote add origin ../origin.git && git fetch -q && git switch -qc change")
    return folder, sh, done


def steps(name):
    """The scripts of a file, by the order in which they run, and their variables; without what installs programs."""
    if name == "github":
        job = load(name)["jobs"]["model"]
        named = [(step["run"], step.get("if", "")) for step in job["steps"] if "name" in step and "run" in step]
        return [script for script, _ in named], job["env"]
    document = load(name)
    return document["model"]["script"], document["variables"]


def variables(name, folder):
    own = steps(name)[1]
    if name == "github":
        return own | {"GITHUB_WORKSPACE": str(folder), "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "BASE": "origin/main"}
    return own | {"CI_PROJECT_DIR": str(folder), "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}


def table(name, folder):
    return (folder / {"github": "summary.md", "gitlab": "compare.md"}[name]).read_text()


@pytest.mark.parametrize("name", FILES)
def test_a_change_that_is_no_worse_passes(name, project):
    folder, _, done = project
    done("sed -i 's/max_epochs: .*/max_epochs: 4/' params.yaml")
    output = "".join(done(script, **variables(name, folder)) for script in steps(name)[0])
    assert "Running stage 'train'" in output
    # The baseline is as the cache has it.
    assert output.count("Running stage 'train'") == 1
    assert "|" in table(name, folder) and "max_epochs" in table(name, folder)


@pytest.mark.parametrize("name", FILES)
def test_a_change_that_is_worse_fails_and_is_posted(name, project):
    folder, sh, done = project
    done("sed -i 's/max_epochs: .*/max_epochs: 1/' params.yaml")
    results = [sh(script, **variables(name, folder)) for script in steps(name)[0]]
    assert sorted({result.returncode for result in results}) == [0, 1], [result.stderr for result in results]
    assert any("baseline" in result.stderr for result in results)
    assert "max_epochs" in table(name, folder)
