"""Pictures read back by other programs: SVG by an XML parser, PNG by zlib, the live chart through a pseudo-terminal."""

import json
import os
import pty
import re
import struct
import subprocess
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")).resolve()

SVG = "{http://www.w3.org/2000/svg}"
START = {
    "event": "start",
    "name": "run",
    "run_dir": "run",
    "config": {},
    "seed": 0,
    "device": "cpu",
    "threads": 1,
    "rows": {"train": 1, "val": 1, "test": 0},
    "data_sha256": "",
    "parameters": 1,
    "git": None,
    "resumed": None,
    "version": "0",
    "time": 0,
}
END = {"event": "end", "status": "FINISHED", "reason": "", "time": 0}


def log(values, key="val_loss", every=7):
    """A run log with a value every few steps."""
    events = [START]
    for i, value in enumerate(values):
        metrics = {key: None if np.isnan(value) else value}
        events.append({"event": "validation", "epoch": 1, "step": (i + 1) * every, "metrics": metrics, "time": 0})
    return "".join(json.dumps(event) + "\n" for event in [*events, END]).encode()


def ticks(svg, axis):
    """The values and places of an axis's ticks."""
    marks = [text for text in svg.iter(f"{SVG}text") if text.get("class") == f"{axis}-tick"]
    places = [float(mark.get(axis)) for mark in marks]
    return np.array([float(mark.text) for mark in marks]), np.array(places)


def read_back(svg, name, log_scale=False):
    """The points of a curve, in the units of the axes, by way of the outermost ticks."""
    lines = [line for line in svg.iter(f"{SVG}polyline") if line.get("data-name") == name and line.get("class") == "curve"]
    pixels = np.array([[float(n) for n in point.split(",")] for line in lines for point in line.get("points").split()])
    (xs, x_places), (ys, y_places) = ticks(svg, "x"), ticks(svg, "y")
    # A label's baseline stands under the line that it belongs to.
    grid = [line for line in svg.iter(f"{SVG}polyline") if line.get("class") == "grid"]
    y_places = np.array([float(line.get("points").split()[0].split(",")[1]) for line in grid])
    ys = np.log10(ys) if log_scale else ys
    linear = lambda places, values, at: values[0] + (at - places[0]) * (values[-1] - values[0]) / (places[-1] - places[0])
    x, y = linear(x_places, xs, pixels[:, 0]), linear(y_places, ys, pixels[:, 1])
    # How much half of a hundredth of a pixel, the last digit written, is in the axes' units.
    unit = lambda places, values: abs((values[-1] - values[0]) / (places[-1] - places[0]))
    return x, y, 0.02 * unit(x_places, xs), 0.02 * unit(y_places, ys)


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e7])
def test_the_points_of_a_curve_are_the_values_of_the_log(run, scale, size):
    values = size * (0.01 + np.random.default_rng(0).random(40))
    svg = ET.fromstring(run("plot", "-o", "-", f"y_scale={scale}", stdin=log(values)))
    x, y, x_unit, y_unit = read_back(svg, "run val_loss", scale == "log")
    np.testing.assert_allclose(x, 7 * np.arange(1, 41), atol=x_unit)
    np.testing.assert_allclose(y, np.log10(values) if scale == "log" else values, atol=y_unit)


def test_smoothing_is_the_debiased_average(run):
    values = np.random.default_rng(1).normal(size=50)
    svg = ET.fromstring(run("plot", "-o", "-", "smoothing=0.8", stdin=log(values)))
    weights = 0.8 ** np.arange(50)
    expected = [np.average(values[: i + 1][::-1], weights=weights[: i + 1]) for i in range(50)]
    _, y, _, unit = read_back(svg, "run val_loss")
    np.testing.assert_allclose(y, expected, atol=unit)


def test_nothing_is_drawn_outside_and_no_labels_overlap(run, tmp_path):
    """Eight runs with long names, at several sizes: every text lies in the picture, ticks have room."""
    files = [f"./optimizer.learning_rate={i}e-3,trainer.seed={i}.csv" for i in range(8)]
    for i, path in enumerate(files):
        values = 10.0 ** -np.linspace(0, 1 + i / 2, 20)
        rows = "\n".join(f"{step},{value}" for step, value in enumerate(values))
        (tmp_path / path).write_text(f"step,val_loss\n{rows}\n")
    for width, height, size in [(800, 480, 13), (300, 200, 10), (1600, 900, 20)]:
        settings = [f"width={width}", f"height={height}", f"font_size={size}"]
        svg = ET.fromstring(run("plot", *files, "-o", "-", *settings))
        for text in svg.iter(f"{SVG}text"):
            assert 0 <= float(text.get("x")) <= width and 0 <= float(text.get("y")) <= height, text.text
        _, x_places = ticks(svg, "x")
        _, y_places = ticks(svg, "y")
        assert np.diff(np.sort(x_places)).min(initial=1e9) > 2 * size
        assert np.diff(np.sort(y_places)).min(initial=1e9) > size
        for line in svg.iter(f"{SVG}polyline"):
            for point in line.get("points").split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= width and 0 <= y <= height


def test_a_png_has_the_size_asked_for_and_the_colors_of_the_curves(run, tmp_path):
    run("plot", "--format", "png", "width=640", "height=360", stdin=log([3.0, 1.0, 2.0]))
    pixels = read_png((tmp_path / "plots" / "loss.png").read_bytes())
    assert pixels.shape == (360, 640, 4)
    colors = {tuple(color) for color in pixels.reshape(-1, 4)}
    assert (255, 255, 255, 255) in colors and (0xD5, 0x5E, 0x00, 255) in colors


def test_the_cells_of_a_confusion_matrix_are_its_counts(run):
    counts = np.random.default_rng(2).integers(0, 50, (10, 10)) + np.diag(np.full(10, 200))
    matrix = json.dumps({"labels": [f"class {i}" for i in range(10)], "matrix": counts.tolist()})
    svg = ET.fromstring(run("plot", "-o", "-", stdin=matrix.encode()))
    cells = {(float(cell.get("y")), float(cell.get("x"))) for cell in svg.iter(f"{SVG}rect") if cell.get("class") == "cell"}
    texts = [text for text in svg.iter(f"{SVG}text") if text.get("class") == "count"]
    assert len(cells) == np.count_nonzero(counts)
    by_place = sorted(texts, key=lambda text: (float(text.get("y")), float(text.get("x"))))
    assert [int(text.text) for text in by_place] == counts[counts > 0].tolist()
    assert f"{np.trace(counts) / counts.sum():.4f}" in svg.find(f"{SVG}title").text


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_live_chart_is_redrawn_in_place(tmp_path, no_color):
    controller, terminal = pty.openpty()
    env = os.environ | {"NO_COLOR": no_color, "TERM": "xterm-256color"}
    command = [BIN / "plot", "--terminal", "refresh=0"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=terminal, stderr=subprocess.PIPE, env=env, cwd=tmp_path)
    os.close(terminal)
    process.stdin.write(log([3.0, 1.0, 2.0]))
    process.stdin.close()
    shown = b""
    while True:
        try:
            block = os.read(controller, 1 << 16)
        except OSError:
            break
        if not block:
            break
        shown += block
    assert process.wait() == 0, process.stderr.read()
    text = shown.decode()
    # Once for each value, once for the end of the run, and once when all is read.
    assert text.count("loss of run by step") == 5
    assert len(re.findall(r"\x1b\[\d+F\x1b\[J", text)) == 4
    assert ("\x1b[38;5;" in text) == (no_color == "")


def read_png(data):
    """The pixels of an RGBA picture without interlacing, as PNG's specification says."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, compressed, header = 8, b"", None
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0]
        header = struct.unpack(">IIBBBBB", body) if kind == b"IHDR" else header
        compressed += body if kind == b"IDAT" else b""
        at += 12 + length
    width, height, depth, color, *_ = header
    assert (depth, color) == (8, 6)
    raw = np.frombuffer(zlib.decompress(compressed), np.uint8).reshape(height, 1 + 4 * width)
    pixels = np.zeros((height + 1, width + 1, 4), np.int64)
    for row in range(height):
        kind, line = raw[row, 0], raw[row, 1:].reshape(width, 4).astype(np.int64)
        for column in range(width):
            left, up, corner = pixels[row + 1, column], pixels[row, column + 1], pixels[row, column]
            guess = left + up - corner
            distances = np.abs([guess - left, guess - up, guess - corner])
            paeth = np.choose(np.argmin(distances, axis=0), [left, up, corner])
            predicted = [0, left, up, (left + up) // 2, paeth][kind]
            pixels[row + 1, column + 1] = (line[column] + predicted) % 256
    return pixels[1:, 1:]
