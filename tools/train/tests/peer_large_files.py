"""Files larger than `trainer.memory_bytes`, whose rows are read when they are needed: the same bytes as from memory.

Each case trains on the same rows three times: held in memory, in the file, and from a pipe, where they must be held.
"""

import json
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from peers import BIN, npy

FILES = ["model.safetensors", "metrics.json", "history.csv", "features.json", "checkpoints/last.safetensors"]
IN_FILE = "trainer.memory_bytes=0"
# Peak memory of a run on 300 MB; in memory it takes 700 MB.
MEMORY_MB = 120
LIMIT_S = 60


def rows(count, fields, seed=0):
    """Rows of random values: floats of a normal distribution, integers below 200, booleans."""
    random = np.random.default_rng(seed)
    table = np.zeros(count, fields)
    for name in table.dtype.names:
        kind, shape = table[name].dtype.kind, table[name].shape
        table[name] = random.normal(3, 20, shape) if kind == "f" else random.integers(0, 2 if kind == "b" else 200, shape)
    return table


def regression(count=3000, x="<f4", y="<f4", seed=0):
    """Rows with an id and a flag that are neither input nor target."""
    table = rows(count, [("id", "<i8"), ("x", x, (5,)), ("flag", "?"), ("y", y)], seed)
    table["y"] = table["x"].sum(axis=1, dtype="f8") / 10
    table["id"] = np.arange(count)
    return table


def classification(count=2000):
    table = rows(count, [("a", "<i4"), ("b", "u1"), ("x", "<f8", (3,)), ("w", "<f4"), ("label", "<i8")])
    table["label"] = (table["a"] > 120) + 0 + (table["x"][:, 0] > 3)
    table["w"] = 1 + table["b"] % 3
    return table


def images(count=400, seed=0):
    table = rows(count, [("image", "u1", (2, 8, 8)), ("label", "u1")], seed)
    table["label"] %= 3
    return table


XY = ["trainer.input_field=x", "trainer.target_field=y"]
LABELS = ["trainer.input_field=[b,x,a]", "trainer.target_field=label", "trainer.loss=cross_entropy"]
IMAGES = [
    "trainer.input_field=image",
    "trainer.target_field=label",
    "trainer.loss=cross_entropy",
    "augmentation.pad=1",
    "augmentation.flip=random",
    "augmentation.cutout=3",
]
WHITENED = "model.layers=[{whiten: {images: 20}}, {activation: gelu}, {max_pool: {size: 2}}, {linear: {}}]"
TABLE = regression()
BIG = [("id", ">i8"), ("x", ">f4", (5,)), ("flag", "?"), ("y", ">f4")]
CASES = {
    "regression": (npy(TABLE), XY),
    "one field alone": (npy(rows(900, [("x", "<f4", (4,)), ("y", "<f4", (2,))])), XY),
    "f8": (npy(regression(x="<f8", y="<f8")), XY),
    "f2 and i2": (npy(regression(x="<f2", y="<i2")), XY),
    "big-endian": (npy(TABLE.astype(BIG)), XY),
    "arrays back to back": (
        b"".join(map(npy, [TABLE[:700], TABLE[:0], TABLE[700:2200].astype(BIG), TABLE[2200:]])),
        XY,
    ),
    "several fields, labels, weights": (
        npy(classification()),
        [*LABELS, "trainer.class_weights=balanced", "trainer.weight_field=w"],
    ),
    "images": (npy(images()), IMAGES),
    "images of floats": (npy(images().astype([("image", "<f4", (2, 8, 8)), ("label", "u1")])), IMAGES),
    "whitened images": (npy(images()), [*IMAGES, "model=small_cnn", WHITENED, "model.input_scaling=standard"]),
    "accumulated, limited, averaged": (
        npy(TABLE),
        [*XY, "trainer.accumulate_batches=3", "trainer.limit_val_batches=0.5", "trainer.ema_decay=0.9"],
    ),
    "constant": (npy(np.full(300, 2, [("x", "<f4", (3,)), ("y", "<f4")])), XY),
    "a huge row": (npy(rows(12, [("x", "<f8", (132_000,)), ("y", "<f4")])), [*XY, "model.hidden=[]", "trainer.batch_size=5"]),
}


def outcome(folder, run, *args, stdin=b""):
    """Files of a run, the digest of its data, and its notes."""
    command = [BIN / "train", "-o", run, "trainer.max_epochs=2", *args]
    done = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr.decode()
    start = json.loads(done.stdout.splitlines()[0])
    notes = [line for line in done.stderr.decode().splitlines() if "field" in line]
    files = {name: (folder / run / name).read_bytes() for name in [*FILES, "test.npy"]}
    return files | {"sha256": start["data_sha256"], "notes": notes}


def failure(folder, *args):
    """The message of a run that cannot be."""
    command = [BIN / "train", "-o", "bad", "--quiet", *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done
    return done.stderr


def assert_same(outcomes):
    first, *others = outcomes
    for other in others:
        assert [key for key in first if first[key] != other[key]] == []


@pytest.mark.parametrize("case", CASES)
def test_rows_in_a_file_train_the_same_model(tmp_path, case):
    data, settings = CASES[case]
    (tmp_path / "rows.npy").write_bytes(data)
    assert_same(
        [
            outcome(tmp_path, "memory", "rows.npy", *settings),
            outcome(tmp_path, "file", "rows.npy", IN_FILE, *settings),
            outcome(tmp_path, "one", "rows.npy", IN_FILE, "--threads=1", *settings),
            outcome(tmp_path, "pipe", IN_FILE, *settings, stdin=data),
        ]
    )


def test_redirected_input_and_files_of_validation_and_test(tmp_path):
    np.save(tmp_path / "rows.npy", TABLE)
    np.save(tmp_path / "val.npy", regression(300, seed=1))
    (tmp_path / "test.npy").write_bytes(npy(regression(200, x=">f4", seed=2)))
    settings = [*XY, "trainer.val_input=val.npy", "trainer.test_input=test.npy"]
    command = f"'{BIN}/train' -o redirected trainer.max_epochs=2 {IN_FILE} {' '.join(settings)} < rows.npy"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, capture_output=True, timeout=LIMIT_S)
    outcomes = [outcome(tmp_path, run, "rows.npy", *settings, *own) for run, own in [("memory", []), ("file", [IN_FILE])]]
    assert_same(outcomes)
    assert (tmp_path / "redirected/model.safetensors").read_bytes() == outcomes[0]["model.safetensors"]
    # Between the sizes of the files: the rows are in their file, those of validation and test in memory.
    between = (tmp_path / "val.npy").stat().st_size
    assert_same([outcomes[0], outcome(tmp_path, "mixed", "rows.npy", *settings, f"trainer.memory_bytes={between}")])


def test_a_run_in_memory_is_resumed_from_a_file_and_back(tmp_path):
    np.save(tmp_path / "rows.npy", TABLE)
    whole = outcome(tmp_path, "whole", "rows.npy", *XY, "trainer.max_epochs=3")
    for run, first, then in [("a", [], [IN_FILE]), ("b", [IN_FILE], [])]:
        outcome(tmp_path, run, "rows.npy", *XY, *first, "trainer.max_steps=30", "trainer.max_epochs=3")
        resumed = outcome(tmp_path, run, "rows.npy", *XY, *then, "trainer.max_epochs=3", "trainer.resume=last")
        assert_same([whole, resumed])


def test_what_needs_all_rows_in_memory_is_held_there(tmp_path):
    table = classification()
    table["x"][3] = np.nan
    np.save(tmp_path / "gaps.npy", table)
    (tmp_path / "rows.ndjson").write_text("".join(f'{{"x":[{i % 7}],"y":{i % 5}}}\n' for i in range(200)))
    for number, (data, settings) in enumerate([
        ("gaps.npy", [*LABELS, "features.missing=median", "features.indicator=true"]),
        ("gaps.npy", [*LABELS, "features.missing=mean", "features.categorical=[b]", "features.max_categories=200"]),
        ("gaps.npy", ["trainer.input_field=[a,b]", *LABELS[1:], "features.categorical=[b]", "features.max_categories=200"]),
        ("rows.ndjson", XY),
    ]):  # fmt: skip
        runs = [(f"memory-{number}", []), (f"file-{number}", [IN_FILE])]
        assert_same([outcome(tmp_path, run, data, *settings, *own) for run, own in runs])


@pytest.mark.parametrize(
    "problem", ["truncated", "garbage behind", "half a header", "missing", "infinite", "no rows", "empty", "label", "field", "Fortran", "too few"]
)
def test_bad_files_have_the_message_that_they_have_in_memory(tmp_path, problem):
    table, settings = regression(), list(XY)
    if problem == "missing":
        table["x"][[7, 2000], 1] = np.nan
    if problem == "infinite":
        table["x"][1234, 2] = np.inf
    if problem == "label":
        settings.append("trainer.loss=cross_entropy")
    if problem == "field":
        settings[0] = "trainer.input_field=[x,z]"
    if problem == "too few":
        settings.append("--expect-rows=3001")
    data = npy(table[:0] if problem == "no rows" else table)
    if problem == "truncated":
        data = data[:-5000]
    if problem == "garbage behind":
        data += b"garbage"
    if problem == "half a header":
        data += npy(table)[:20]
    if problem == "empty":
        data = b""
    if problem == "Fortran":
        data = npy(np.asfortranarray(np.ones((10, 3))))
    (tmp_path / "rows.npy").write_bytes(data)
    messages = [failure(tmp_path, "rows.npy", *settings, *own) for own in ([], [IN_FILE])]
    assert messages[0] == messages[1] and "rows.npy" in messages[0]
    # The same in a file of its own.
    if problem in ("truncated", "missing", "infinite"):
        np.save(tmp_path / "good.npy", regression())
        settings += ["trainer.val_input=rows.npy"]
        messages = [failure(tmp_path, "good.npy", *settings, *own) for own in ([], [IN_FILE])]
        assert messages[0] == messages[1] and "rows.npy" in messages[0]


@pytest.mark.parametrize("change", ["shortened", "written", "replaced"])
def test_a_file_that_changes_during_the_run(tmp_path, change):
    path = tmp_path / "rows.npy"
    np.save(path, TABLE)
    settings = ["rows.npy", "-o", "run", IN_FILE, *XY, "trainer.max_epochs=3"]
    # The reader of the log decides when the run goes on.
    command = [BIN / "train", *settings, "trainer.log_every_steps=1", "trainer.batch_size=1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        timer = threading.Timer(LIMIT_S, process.kill)
        timer.start()
        process.stdout.readline()
        process.stdout.readline()
        if change == "shortened":
            os.truncate(path, path.stat().st_size // 2)
        elif change == "written":
            with path.open("r+b") as file:
                file.seek(-4, os.SEEK_END)
                file.write(bytes(4))
            os.utime(path, (1, 1))
        else:
            (tmp_path / "other").write_bytes(b"another file")
            os.replace(tmp_path / "other", path)
        _, error = process.communicate()
        timer.cancel()
    if change == "replaced":
        assert process.returncode == 0, error
    else:
        assert process.returncode == 2
        assert error.splitlines()[-1] == "train: rows.npy: changed while it was read; try again with a file that stays as it is"
        assert '"status":"FAILED"' in (tmp_path / "run/events.ndjson").read_text().splitlines()[-1]


def test_memory_does_not_grow_with_the_file(tmp_path):
    width, count = 512, 150_000
    array = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", [("x", "<f4", (width,)), ("y", "<f4")], (count,))
    array["x"][:, 0] = np.arange(count) % 17
    array["y"] = array["x"][:, 0] / 2
    array.flush()
    size = (tmp_path / "rows.npy").stat().st_size
    assert size > 300e6
    settings = [*XY, "trainer.memory_bytes=100000000", "trainer.max_steps=20", "trainer.limit_val_batches=5", "--quiet"]
    command = [BIN / "train", "rows.npy", "-o", "run", "trainer.limit_test_batches=5", "model.hidden=[8]", *settings]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        peak = 0
        while process.poll() is None:
            # Not ru_maxrss, which begins with the memory of this process.
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, *map(int, re.findall(r"VmHWM:\s*(\d+) kB", status)), 0)
            time.sleep(0.002)
    assert process.returncode == 0
    assert 0 < peak / 1024 < MEMORY_MB
