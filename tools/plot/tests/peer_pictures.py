"""The pictures of the documentation are what the tools draw today, but for what depends on the processor and the clock."""

import os
import re
import subprocess
import sys

import pytest
from peers import ROOT, onnx_runtime, with_tools

PICTURES = ROOT / "docs/pictures"
ENV = os.environ | {"PATH": with_tools(), "ORT_DYLIB_PATH": str(onnx_runtime())}
NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")
PLACE = re.compile(r'\b(points|d|cx|cy)="[^"]*"')
BRAILLE = re.compile("[\u2800-\u28ff]")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    subprocess.run([ROOT / "scripts/plot-pictures.sh", folder], env=ENV, check=True)
    subprocess.run([sys.executable, ROOT / "scripts/session-picture.py", folder / "session.svg"], env=ENV, check=True)
    return folder


def frame(svg):
    """A chart but for where its curves run, which differs in the last digits between processors."""
    return PLACE.sub(r'\1=""', svg).splitlines()


@pytest.mark.parametrize("name", ["plot-sweep", "plot-smoothing", "plot-finder", "plot-roofline"])
def test_a_chart_is_what_plot_draws(drawn, name):
    assert frame((PICTURES / f"{name}.svg").read_text()) == frame((drawn / f"{name}.svg").read_text())


def words(svg):
    """What the terminal shows, without numbers and drawn curves: times and losses differ."""
    lines = re.findall(r"<text[^>]*>(.*?)</text>", svg)
    return [NUMBER.sub("0", line) for line in lines if not BRAILLE.search(line)]


def test_the_terminal_is_what_the_tools_print(drawn):
    assert words((PICTURES / "session.svg").read_text()) == words((drawn / "session.svg").read_text())
