"""What the documentation says is run: every `sh` block of docs/, every example of --help, every flag."""

import os
import re
import subprocess
from pathlib import Path

import onnxruntime
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")).resolve()
CAPI = Path(onnxruntime.__file__).parent / "capi"
ENV = os.environ | {
    "PATH": f"{BIN}:{os.environ['PATH']}",
    "ORT_DYLIB_PATH": str(min(CAPI.glob("libonnxruntime.*"))),
}
PAGES = sorted((ROOT / "docs").glob("*.md"))
TOOLS = "compose sweep gen-data fetch-data entropy relu train track plot compare export infer score".split()


def shell(command, folder):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(page, tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    assert blocks or page.stem == "README"
    for block in blocks:
        shell(block, tmp_path)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A folder in which the main job left a run folder and a model."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "models").mkdir()
    shell("gen-data rows=2000 --to npy | entropy | train trainer.max_epochs=1 > events.ndjson", folder)
    shell("pipegrad export runs/entropy -o models/entropy.onnx", folder)
    return folder


@pytest.mark.parametrize("tool", TOOLS)
def test_the_example_of_help_runs(tool, job):
    text = shell(f"pipegrad {tool} --help", job)
    (example,) = re.search(r"^Examples:\n(.*?)^Notes:", text, re.DOTALL | re.MULTILINE).groups()
    # The tool's own name is a builtin of the shell in one case.
    shell(re.sub(r"^  export ", "pipegrad export ", example, flags=re.MULTILINE), job)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_closed_standard_output_is_an_error(tool, tmp_path):
    for command in (tool, f"pipegrad {tool}"):
        if command == "export":  # a builtin of the shell
            continue
        done = subprocess.run(["bash", "-c", f"{command} --help >&-"], env=ENV, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (2, f"{tool}: stdout: standard output is closed\n")


@pytest.mark.parametrize("tool", TOOLS)
def test_every_flag_and_setting_is_on_the_page(tool, tmp_path):
    page = (ROOT / "docs" / f"{tool}.md").read_text() + (ROOT / "docs" / "README.md").read_text()
    options = shell(f"pipegrad {tool} --help", tmp_path).split("\nOptions:\n")[1].split("\n\n")[0]
    for flag in re.findall(r"--[a-z-]+", options):
        assert f"`{flag}`" in page, flag
    if tool in ("compose", "sweep"):
        return
    for group, settings in yaml.safe_load(shell(f"pipegrad {tool} --cfg", tmp_path)).items():
        # `train` and `infer` read one key of `data`, which is gen-data's.
        for key in ["pull"] if group == "data" and tool != "gen-data" else settings:
            assert f"`{key}`" in page or f"`{group}.{key}`" in page, f"{group}.{key}"
