"""What the documentation says is run: every `sh` block of docs/, every example of --help, every flag."""

import os
import re
import subprocess

import peers
import pytest
import usage
import yaml
from peers import ROOT, onnx_runtime, tensorrt, with_tools

ENV = os.environ | {"PATH": with_tools(), "ORT_DYLIB_PATH": str(onnx_runtime()), "TENSORRT_DYLIB_PATH": tensorrt() or ""}
DOCS = ROOT / "docs"
# Pages that are of no tool have nothing to run here.
OVERVIEWS = ["README", "SUMMARY", "architecture", "containers", "reliability", "security"]
# Tools outside the default build, which run where TensorRT is.
OPTIONAL = ["trt-build"]
ABSENT = [] if tensorrt() else OPTIONAL
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if page.stem not in ABSENT]
TOOLS = "compose sweep gen-data fetch-data entropy relu train track plot compare export profile infer serve score".split()
TOOLS += [tool for tool in OPTIONAL if tool not in ABSENT]


def test_the_lists_of_tools_are_complete():
    """A new tool is one in the tests here, and in the tables of the documentation."""
    tools = {path.parent.name for path in (ROOT / "tools").glob("*/Cargo.toml")} - {"pipegrad"}
    assert {*TOOLS, *OPTIONAL} == tools
    for page, link in [("README.md", "](docs/{}.md)"), ("docs/README.md", "]({}.md)")]:
        text = (ROOT / page).read_text()
        assert [tool for tool in sorted(tools) if link.format(tool) not in text] == []


def shell(command, folder):
    return peers.shell(command, folder, ENV)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS).with_suffix("")))
def test_the_examples_of_a_page_run(page, tmp_path):
    # A block in a list is indented, all its lines alike.
    blocks = re.findall(r"^( *)```sh\n(.*?)^\1```", page.read_text(), re.DOTALL | re.MULTILINE)
    assert blocks or page.stem in OVERVIEWS or page.parent.name == "design"
    for indentation, block in blocks:
        shell(re.sub(f"^{indentation}", "", block, flags=re.MULTILINE), tmp_path)


@pytest.mark.parametrize("tool", [*TOOLS, "pipegrad"])
def test_the_usage_on_the_page_is_what_help_prints(tool, tmp_path):
    (command, text) = usage.block((DOCS / f"{tool}.md").read_text())
    assert command == f"{tool} --help"
    assert text == shell(f"pipegrad {tool.removeprefix('pipegrad')} --help", tmp_path), "run `make docs`"


@pytest.mark.parametrize("tool", TOOLS)
def test_the_example_of_help_runs_as_it_is_pasted(tool, tmp_path):
    text = shell(f"pipegrad {tool} --help", tmp_path)
    (example,) = re.search(r"^Examples:\n(.*?)^Notes:", text, re.DOTALL | re.MULTILINE).groups()
    shell(example, tmp_path)


@pytest.mark.parametrize("tool", TOOLS)
def test_help_is_read_in_a_terminal(tool, tmp_path):
    long, short = (shell(f"pipegrad {tool} {flag}", tmp_path) for flag in ("--help", "-h"))
    examples = re.search(r"^Examples:\n(.*?)\n\n", long, re.DOTALL | re.MULTILINE).group(1).splitlines()
    assert [line for line in long.splitlines() if len(line) > 100 and line not in examples] == []
    assert short.splitlines()[0] == long.splitlines()[0] and len(short) < len(long) and "Options:" in short
    # Wherever it stands, and beside what else is wrong.
    assert shell(f"pipegrad {tool} x=1 -h", tmp_path) == short
    assert shell(f"pipegrad {tool} --nonsense --help", tmp_path) == long


@pytest.mark.parametrize("tool", TOOLS)
def test_help_lists_every_setting_with_its_default(tool, tmp_path):
    text = shell(f"pipegrad {tool} --help", tmp_path)
    if tool in ("compose", "sweep"):
        assert re.search(r"^  optimizer=adam +adam\|adamw\|", text, re.MULTILINE)
        return
    composed = yaml.safe_load(shell(f"pipegrad {tool} --cfg", tmp_path))
    for group, settings in composed.items():
        for key, value in settings.items():
            if group == "data" and tool != "gen-data" and key != "pull":
                continue
            (shown,) = re.findall(rf"^    {group}\.{key}(?:=(.*?)|:)(?:  .*)?$", text, re.MULTILINE)
            if not isinstance(value, (dict, list)) and "${" not in shown:
                assert yaml.safe_load(shown) == value or float(shown) == value, f"{group}.{key}={shown}, not {value}"


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
