"""Pictures read back by other programs: SVG by an XML parser, PNG by zlib, the live chart through a pseudo-terminal."""

import base64
import io
import json
import os
import pty
import re
import struct
import subprocess
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest
from peers import BIN
from PIL import Image


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


def test_curves_of_one_chart_are_smoothed_over_the_same_span(run):
    """Ten batches an epoch: a value an epoch has the weight of ten steps of the past."""
    batch, epoch = np.random.default_rng(1).normal(size=(2, 60))
    events = [START]
    for i, value in enumerate(batch):
        events.append({"event": "step", "epoch": 1, "step": i, "metrics": {"train_loss_step": value}, "time": 0})
        if i % 10 == 9:
            metrics = {"val_loss": epoch[i // 10]}
            events.append({"event": "validation", "epoch": 1, "step": i, "metrics": metrics, "time": 0})
    stdin = "".join(json.dumps(event) + "\n" for event in [*events, END]).encode()
    svg = ET.fromstring(run("plot", "-o", "-", "smoothing=0.8", stdin=stdin))
    weights = 0.8 ** (10 * np.arange(6))
    expected = [np.average(epoch[: i + 1][::-1], weights=weights[: i + 1]) for i in range(6)]
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
        # A legend below the curves makes the picture higher where it needs to.
        assert int(svg.get("width")) == width and int(svg.get("height")) >= height
        height = int(svg.get("height"))
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


def test_sixteen_runs_have_looks_of_their_own_and_a_legend_to_read(run, tmp_path):
    """The legend of the SVG has every label whole, and in the PNG each swatch has ink of its run's color beside it."""
    names = ["adam", "sgd", "adamw", "rmsprop"]
    for i in range(16):
        folder = tmp_path / "runs" / str(i)
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"optimizer: {{name: {names[i % 4]}}}\ntrainer: {{seed: {i // 4}}}\n")
        (folder / "events.ndjson").write_bytes(log(np.linspace(2 + i, 1 + i, 20)))
    runs = [f"runs/{i}" for i in range(16)]
    labels = [f"optimizer={names[i % 4]}, seed={i // 4}" for i in range(16)]
    run("plot", *runs, "--format", "both")
    svg = ET.fromstring((tmp_path / "plots" / "loss.svg").read_bytes())
    legend = [text for text in svg.iter(f"{SVG}text") if text.get("class") == "legend"]
    assert sorted(text.text for text in legend if "=" in text.text) == sorted(labels)
    curves = {line.get("data-name"): line for line in svg.iter(f"{SVG}polyline") if line.get("class") == "curve"}
    looks = {(curve.get("stroke"), curve.get("stroke-dasharray")) for curve in curves.values()}
    assert len(curves) == len(looks) == 16
    pixels = np.array(Image.open(tmp_path / "plots" / "loss.png").convert("RGB")).astype(int)
    assert pixels.shape[:2] == (int(svg.get("height")), int(svg.get("width")))
    for text in legend:
        if "=" not in text.text:
            continue
        color = curves[f"{text.text} val_loss"].get("stroke")
        expected = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
        x, y = float(text.get("x")), float(text.get("y"))
        swatch = pixels[int(y) - 10 : int(y) + 3, int(x) - 30 : int(x) - 4].reshape(-1, 3)
        assert np.abs(swatch - expected).max(1).min() < 40, text.text


def test_the_curve_of_a_learning_rate_finder_is_read_back_from_its_log_axis(run):
    rates = 10.0 ** np.linspace(-7, 0, 50)
    losses = 2 - 1 / (1 + np.exp(-3 * (np.log10(rates) + 3)))
    table = "learning_rate,loss\n" + "".join(f"{rate!r},{loss!r}\n" for rate, loss in zip(rates.tolist(), losses.tolist()))
    svg = ET.fromstring(run("plot", "-o", "-", stdin=table.encode()))
    x_values, x_places = ticks(svg, "x")
    mark = next(dot for dot in svg.iter(f"{SVG}circle") if dot.get("class") == "suggestion")
    place = lambda value: np.interp(np.log10(value), np.log10(x_values), x_places)
    # Lightning's suggestion: the steepest descent, but for the first ten steps and the last.
    expected = rates[10:-1][np.gradient(losses[10:-1]).argmin()]
    assert float(mark.get("cx")) == pytest.approx(place(expected), abs=0.1)
    line = next(line for line in svg.iter(f"{SVG}polyline") if line.get("class") == "curve")
    xs = np.array([float(point.split(",")[0]) for point in line.get("points").split()])
    np.testing.assert_allclose(xs, place(rates), atol=0.1)


def test_any_metric_name_makes_a_document_that_an_xml_parser_reads(run, tmp_path):
    for name in ['a<b>&"c\'', "]]>", "\x00\x1b[31m", "\ufffe\uffff", "\u202eabc", "</svg>", "é日本", "\ud7ff\ue000"]:
        svg = run("plot", "-o", "-", stdin=log([2.0, 1.0], key=f"val_{name}"))
        assert ET.fromstring(svg).find(f"{SVG}title").text.endswith(" of run")


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


def classified(rows, classes, shape, dtype="<f4", seed=3):
    """Images with labels and probabilities, of which some are equal to others."""
    random = np.random.default_rng(seed)
    table = np.zeros(rows, [("image", "u1", shape), ("label", "u1"), ("prediction", dtype, (classes,))])
    table["image"] = random.integers(0, 256, (rows, *shape))
    table["label"] = random.integers(0, classes, rows)
    # Of few different values, so that equal ones are decided by the row.
    table["prediction"] = random.dirichlet(np.ones(classes), 7)[random.integers(0, 7, rows)]
    return table


def mistakes(table):
    """Rows that are misclassified, the surest first, of equals the earlier."""
    predicted = table["prediction"].argmax(1)
    wrong = np.flatnonzero(predicted != table["label"])
    sure = table["prediction"].max(1).astype("f8")[wrong]
    return wrong[np.argsort(-sure, kind="stable")]


def npy(table):
    file = io.BytesIO()
    np.save(file, table)
    return file.getvalue()


def tiles(svg):
    """The images of a gallery as [height, width, 3], by row, in order."""
    for tile in ET.fromstring(svg).iter(f"{SVG}image"):
        kind, data = tile.get("href").split(",")
        assert kind == "data:image/png;base64" and "pixelated" in tile.get("style")
        pixels = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        yield int(tile.get("data-name").removeprefix("row ")), np.array(pixels), tile


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("encoding", ["npy", "ndjson"])
def test_the_surest_mistakes_are_shown_with_their_pixels(run, encoding, channels):
    table = classified(700, 4, (channels, 5, 6), dtype="<f8")
    ndjson = "".join(json.dumps({name: row[name].tolist() for name in table.dtype.names}) + "\n" for row in table)
    data = npy(table) if encoding == "npy" else ndjson.encode()
    svg = run("plot", "-o", "-", "labels=[ant,bee,cow,dog]", "gallery_rows=3", "gallery_columns=5", stdin=data)
    expected = mistakes(table)
    shown = list(tiles(svg))
    assert [row for row, *_ in shown] == expected[:15].tolist()
    for row, pixels, _ in shown:
        np.testing.assert_array_equal(pixels, np.broadcast_to(table["image"][row].transpose(1, 2, 0), (5, 6, 3)))
    root = ET.fromstring(svg)
    assert root.find(f"{SVG}title").text == f"misclassified: {len(expected)} of 700 rows, the 15 most confident shown"
    texts = {kind: [text.text for text in root.iter(f"{SVG}text") if text.get("class") == kind] for kind in ["classes", "probability"]}
    names = np.array(["ant", "bee", "cow", "dog"])
    actual, predicted = names[table["label"]], names[table["prediction"].argmax(1)]
    assert texts["classes"] == [f"{actual[row]} → {predicted[row]}" for row in expected[:15]]
    np.testing.assert_allclose([float(text) for text in texts["probability"]], table["prediction"].max(1)[expected[:15]], atol=6e-4)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 10, 20)])
def test_a_png_of_the_gallery_has_every_pixel_as_a_square(run, tmp_path, shape):
    table = classified(300, 10, shape)
    (tmp_path / "rows.npy").write_bytes(npy(table))
    names = "airplane automobile bird cat deer dog frog horse ship truck".split()
    (tmp_path / "dataset.json").write_text(json.dumps({"classes": {"label": names}}))
    out = run("plot", "rows.npy", "--classes", "dataset.json", "--format", "both", "gallery_tile=70").decode()
    assert out.split() == ["plots/misclassified.svg", "plots/misclassified.png"]
    picture = np.array(Image.open(tmp_path / "plots" / "misclassified.png").convert("RGB"))
    factor = 70 // max(shape)
    places = [(int(tile.get("x")), int(tile.get("y"))) for *_, tile in tiles((tmp_path / "plots/misclassified.svg").read_bytes())]
    for row, (x, y) in zip(mistakes(table)[:40], places, strict=True):
        enlarged = np.broadcast_to(table["image"][row].transpose(1, 2, 0), (*shape[1:], 3)).repeat(factor, 0).repeat(factor, 1)
        height, width, _ = enlarged.shape
        np.testing.assert_array_equal(picture[y : y + height, x : x + width], enlarged)
        margin = picture[y - 1 : y + height + 1, x - 1 : x + width + 1]
        assert all((edge == 0xE4).all() for edge in [margin[0], margin[-1], margin[:, 0], margin[:, -1]])


def test_captions_of_long_names_do_not_overlap(run, tmp_path):
    """Between two columns there is a line of pixels without ink, and so there is at the edges of the picture."""
    (tmp_path / "rows.npy").write_bytes(npy(classified(300, 10, (3, 8, 8))))
    names = [f"automobile {'of a long name ' if i % 2 else ''}{i}" for i in range(10)]
    (tmp_path / "dataset.json").write_text(json.dumps({"classes": {"label": names}}))
    for size, tile in [(13, 16), (20, 64), (8, 96)]:
        settings = [f"font_size={size}", f"gallery_tile={tile}", "--classes", "dataset.json"]
        run("plot", "rows.npy", "--format", "both", *settings)
        picture = np.array(Image.open(tmp_path / "plots" / "misclassified.png").convert("L"))
        svg = (tmp_path / "plots" / "misclassified.svg").read_bytes()
        middles = sorted({float(text.get("x")) for text in ET.fromstring(svg).iter(f"{SVG}text") if text.get("class") == "classes"})
        assert len(middles) == 8
        top = min(int(image.get("y")) for *_, image in tiles(svg))
        between = ((np.array(middles[1:]) + middles[:-1]) / 2).astype(int)
        for column in [0, *between, -1]:
            assert (picture[top:, column] == 255).all()
        assert (picture[-1] == 255).all() and (picture[0] == 255).all()


def test_names_of_classes_reach_a_confusion_matrix_by_its_indexes(run, tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"classes": {"label": ["zebra", "ape", "cat"]}}))
    labels = lambda svg: [text.text for text in ET.fromstring(svg).iter(f"{SVG}text") if text.get("class") == "y-tick"]
    for matrix, expected in [
        (b"actual,predicted\n2,2\n0,2\n", ["zebra", "cat"]),
        (b'{"matrix":[[1,0,0],[0,1,0],[0,0,1]]}', ["zebra", "ape", "cat"]),
        (b"actual,predicted\nzebra,ape\n", ["ape", "zebra"]),
    ]:
        assert labels(run("plot", "-o", "-", "--classes", "dataset.json", stdin=matrix)) == expected


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
