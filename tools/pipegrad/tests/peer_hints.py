"""Hints of errors are followed to the letter, as a person at the shell does: what they say works."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from peers import BIN, onnx_runtime, with_tools
from PIL import Image

ENV = os.environ | {"PATH": with_tools(), "ORT_DYLIB_PATH": str(onnx_runtime())}
FIELDS = "trainer.input_field=x trainer.target_field=y"
QUICK = "--quiet trainer.max_epochs=1"
PHOTOS = "fetch-data 'dataset.files.archive.urls=[photos]' dataset=image_folder"
SCALED = "dataset.resize=true dataset.size=[8,8]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rows of several kinds, and runs that went well, in one folder."""
    folder = tmp_path_factory.mktemp("hints")
    random = np.random.default_rng(0)
    rows = [{"x": list(x), "y": int(x[0] > x[1]), "name": "ab"[int(x[0] > 0.5)]} for x in random.random((300, 3)).round(3)]
    write = lambda name, rows: (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))  # noqa: E731
    write("lab.ndjson", rows)
    write("zeros.ndjson", [row | {"y": 0} for row in rows])
    write("logits.ndjson", [{"label": row["y"], "prediction": [2.0, -3.0]} for row in rows])
    write("sums.ndjson", [{"label": row["y"], "prediction": [0.5, 0.45]} for row in rows])
    write("labels.ndjson", [{"label": row["y"] + 1, "prediction": 2} for row in rows])
    for name, delimiter in {"semicolons": ";", "tabs": "\t", "bars": "|"}.items():
        lines = [delimiter.join(map(str, [*row["x"], row["y"]])) for row in rows]
        (folder / f"{name}.txt").write_text("\n".join([delimiter.join("abcy"), *lines]) + "\n")
    for kind, size in {"train": (8, 6), "test": (9, 9)}.items():
        for label in "ab":
            (folder / "photos" / kind / label).mkdir(parents=True)
            pixels = random.integers(0, 255, (*size, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / kind / label / "1.png")
    (folder / "empty").mkdir()
    shell(folder, "gen-data rows=2000 --to npy | entropy > rows.npy")
    shell(folder, "gen-data rows=500 seed=3 --to npy | entropy > other.npy")
    shell(folder, f"train rows.npy -o run {QUICK} trainer.ema_decay=0.9 && pipegrad export run")
    shell(folder, f"train lab.ndjson -o classes {QUICK} {FIELDS} trainer.target_field=name trainer.loss=cross_entropy")
    shell(folder, "pipegrad export classes && infer -m classes/model.onnx lab.ndjson -o classified.ndjson")
    shell(folder, "infer -m run/model.onnx run/test.npy -o predicted.npy")
    return folder


def attempt(folder, command):
    return subprocess.run(["bash", "-c", command], cwd=folder, env=ENV, capture_output=True, text=True, errors="replace")


def shell(folder, command):
    done = attempt(folder, command)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def refused(folder, command):
    """The message, of one line, of a command that fails."""
    done = attempt(folder, command)
    assert done.returncode in (1, 2) and done.stderr.count("\n") == 1, (command, done.returncode, done.stderr)
    return done.stderr


# What fails, what its message says, and what a person then does: \1 and so on are parts of the message.
HINTS = [
    (
        "train lab.ndjson -o r",
        r"(trainer.input_field)=NAME",
        rf"train lab.ndjson -o r \1=x trainer.target_field=y {QUICK}",
    ),
    (
        "train lab.ndjson -o r trainer.input_field=x",
        r"(trainer.target_field=)NAME",
        rf"train lab.ndjson -o r trainer.input_field=x \1y {QUICK}",
    ),
    (
        f"train lab.ndjson -o r {FIELDS} trainer.weight_field=w",
        r"(trainer.weight_field=)NAME",
        None,
    ),
    (
        "train rows.npy -o r trainer.input_field=[probs,nope]",
        r"no field \"nope\" \(there is probs, entropy\); choose another with trainer.input_field=NAME",
        None,
    ),
    (
        "train rows.npy -o r trainer.target_field=nope",
        r"\(there is probs, (entropy)\); choose another with (trainer.target_field=)NAME",
        rf"train rows.npy -o r \2\1 {QUICK}",
    ),
    (
        "entropy lab.ndjson",
        r"choose another with (--field )NAME",
        r"entropy lab.ndjson \1x --normalize",
    ),
    (
        "relu lab.ndjson",
        r"choose another with (--field )NAME",
        r"relu lab.ndjson \1x",
    ),
    (
        "score rows.npy",
        r"no field \"prediction\" \(there is probs, entropy\); infer adds predictions",
        "infer -m run/model.onnx rows.npy | score",
    ),
    (
        "score predicted.npy score.target_field=nope",
        r"(score.target_field=)NAME",
        r"score predicted.npy \1entropy",
    ),
    (
        "score predicted.npy score.prediction_field=nope",
        r"(score.prediction_field=)NAME",
        r"score predicted.npy \1prediction",
    ),
    (
        "plot rows.npy",
        r"(plot.image_field=)NAME",
        None,
    ),
    # CSV with another delimiter.
    *(
        (
            f"train {name}.txt -o r trainer.input_field=[a,b,c] trainer.target_field=y",
            r"(--delimiter \S+)\?\)",
            rf"train {name}.txt -o r \1 trainer.input_field=[a,b,c] trainer.target_field=y {QUICK}",
        )
        for name in ["semicolons", "tabs", "bars"]
    ),
    # Settings of train.
    (
        "train rows.npy -o r model.name=layers",
        r"goes with (.*)$",
        rf"train rows.npy -o r model.name=layers \1 {QUICK}",
    ),
    (
        "train rows.npy -o r model.name=layers '~model.hidden' '~model.activation'",
        r"for instance (.*)$",
        rf"train rows.npy -o r model.name=layers '~model.hidden' '~model.activation' \1 {QUICK}",
    ),
    (
        "train rows.npy -o r +model.layers=[]",
        r"layers go with (model.name=layers)",
        None,
    ),
    *(
        (
            "train rows.npy -o r trainer.max_epochs=null",
            rf"give .*({key})",
            rf"train rows.npy -o r --quiet trainer.max_epochs=null \1={value}",
        )
        for key, value in {"trainer.max_epochs": 1, "trainer.max_steps": 2, "trainer.max_time": "1s"}.items()
    ),
    (
        "train rows.npy -o f --find-learning-rate trainer.finder.steps=3",
        r"at least (\d+) are needed",
        r"train rows.npy -o f --find-learning-rate trainer.finder.steps=\1 trainer.finder.max=1e-3",
    ),
    (
        "train rows.npy -o f --find-learning-rate trainer.finder.min=10 trainer.finder.max=100",
        r"give a (trainer.finder.min) below",
        r"train rows.npy -o f --find-learning-rate \1=1e-6 trainer.finder.max=100",
    ),
    (
        f"train zeros.ndjson -o r {FIELDS} trainer.loss=cross_entropy",
        r"give (trainer.classes=2) or more, or (trainer.loss=bce)",
        rf"train zeros.ndjson -o r {FIELDS} {QUICK} trainer.loss=cross_entropy \1; train zeros.ndjson -o r {FIELDS} {QUICK} \2",
    ),
    (
        f"train lab.ndjson -o r {FIELDS} trainer.target_field=name trainer.loss=cross_entropy trainer.classes=5",
        r"give (\S+=null)",
        rf"train lab.ndjson -o r {FIELDS} trainer.target_field=name trainer.loss=cross_entropy {QUICK} \1",
    ),
    (
        f"train lab.ndjson -o r {FIELDS} trainer.target_field=name",
        r"(trainer.loss=cross_entropy)",
        rf"train lab.ndjson -o r {FIELDS} trainer.target_field=name \1 {QUICK}",
    ),
    (
        "train lab.ndjson -o r trainer.target_field=y trainer.input_field=x,name",
        r"where the setting is a list, write (\S+), where it is a text",
        rf"train lab.ndjson -o r trainer.target_field=y \1 {QUICK}",
    ),
    (
        "train rows.npy trainer.run_dir=r,s",
        r"where it is a text (\S+)$",
        rf"train rows.npy \1 {QUICK}",
    ),
    (
        "train rows.npy -o r callbacks.checkpoint.filename={epoch}-{val_loss:.4f}",
        r"write (\".*\")",
        rf"train rows.npy -o r \1 {QUICK}",
    ),
    (
        "train rows.npy -o r optimizer=sgd_nesterov optimizer.momentum=0",
        r"requires (optimizer.momentum) above 0",
        rf"train rows.npy -o r optimizer=sgd_nesterov \1=0.5 {QUICK}",
    ),
    (
        "train other.npy -o run trainer.resume=last",
        r"data_sha256 is .* and (trainer.resume=null) starts a new one$",
        rf"train other.npy -o other {QUICK} \1",
    ),
    (
        "train rows.npy -o run trainer.resume=best",
        r"no such checkpoint; (trainer.resume=last) is the run folder's own$",
        rf"train rows.npy -o run {QUICK} trainer.ema_decay=0.9 \1 && pipegrad export run",
    ),
    # A run folder without a model, and what is no model.
    (
        "pipegrad export nowhere",
        r"no such run folder; (train -o nowhere) makes one",
        rf"\1 rows.npy {QUICK} && pipegrad export nowhere",
    ),
    (
        "pipegrad export empty",
        r"no run folder: there is no model.safetensors; (train -o empty) makes one",
        rf"\1 rows.npy {QUICK} && pipegrad export empty && rm -r empty/*",
    ),
    (
        "train rows.npy -o found --find-learning-rate && pipegrad export found",
        r"(train -o found) without it does",
        rf"\1 rows.npy {QUICK} && pipegrad export found",
    ),
    (
        "pipegrad export rows.npy",
        "neither a run folder nor a .safetensors file",
        None,
    ),
    (
        "plot empty",
        r"(train -o empty) makes one",
        rf"\1 rows.npy {QUICK} && plot empty -o charts && rm -r empty/*",
    ),
    (
        "infer rows.npy",
        r"(--model)",
        r"infer rows.npy \1 run/model.onnx --out-field q",
    ),
    (
        "infer -m run rows.npy",
        r"a folder; its model is (-m \S+)$",
        r"infer rows.npy \1",
    ),
    (
        "rm -rf fresh && cp -r run fresh && rm fresh/model.onnx && infer -m fresh rows.npy",
        r"export it first: (.*), then (-m \S+)$",
        r"\1 && infer \2 rows.npy",
    ),
    (
        "infer -m run/model.safetensors rows.npy",
        r"export it first: (.*), then (-m \S+)$",
        r"\1 && infer \2 rows.npy",
    ),
    (
        "infer -m run/checkpoints/last.safetensors rows.npy",
        r"export it first: (.*), then (-m \S+)$",
        r"\1 && infer \2 rows.npy",
    ),
    (
        "rm -rf new && cp -r run new && rm new/model.onnx && infer -m new/model.onnx rows.npy",
        r"not there yet; (.*) makes it",
        r"\1 && infer -m new/model.onnx rows.npy",
    ),
    (
        "infer -m empty rows.npy",
        "a folder, expected an .onnx file",
        None,
    ),
    # Names that are taken.
    (
        "infer -m run/model.onnx predicted.npy",
        r"choose another name with (--out-field)",
        r"infer -m run/model.onnx predicted.npy \1 q",
    ),
    (
        "infer -m classes/model.onnx classified.ndjson --out-field q",
        r"with (infer.label_field)",
        r"infer -m classes/model.onnx classified.ndjson --out-field q \1=l",
    ),
    (
        "entropy rows.npy",
        r"choose another name with (--out-field)",
        r"entropy rows.npy \1 again",
    ),
    # Scores.
    (
        "score logits.ndjson score=classification",
        r"\((score.prediction=logits)\?\)",
        r"score logits.ndjson score=classification \1",
    ),
    (
        "score sums.ndjson score=classification",
        r"raise (score.tolerance)",
        r"score sums.ndjson score=classification \1=0.1",
    ),
    (
        "score labels.ndjson score=classification",
        r"\((score.prediction=labels)\?\)",
        r"score labels.ndjson score=classification \1",
    ),
    (
        "score classified.ndjson score=classification score.target_field=name",
        r"(--classes )runs/NAME(/features.json)",
        r"score classified.ndjson score=classification score.target_field=name \1classes\2",
    ),
    (
        "entropy lab.ndjson --field x",
        r"use (--normalize)",
        r"entropy lab.ndjson --field x \1",
    ),
    # Data sets.
    (
        PHOTOS,
        r"instance (-o) ",
        None,
    ),
    (
        f"{PHOTOS} -o images",
        r"\((.*) scales\)",
        rf"{PHOTOS} -o images \1",
    ),
    (
        f"{PHOTOS} -o images dataset.resize=true",
        r"instance (.*)$",
        rf"{PHOTOS} -o images dataset.resize=true dataset.size=\1",
    ),
    (
        f"{PHOTOS} -o images dataset.train=x",
        r"with (dataset.train) and",
        rf"{PHOTOS} -o images {SCALED} \1=train",
    ),
    (
        f"{PHOTOS} dataset=cifar10_images -o images dataset.files.archive.sha256={'0' * 64}",
        r"give (\S+=null)",
        rf"{PHOTOS} dataset=cifar10_images -o images {SCALED} dataset.classes=[a,b] dataset.files.archive.bytes=null \1",
    ),
]


@pytest.mark.parametrize("command, hint, follow", HINTS, ids=[command for command, *_ in HINTS])
def test_a_hint_works_when_it_is_followed(folder, command, hint, follow):
    message = refused(folder, command).rstrip("\n")
    found = re.search(hint, message)
    assert found, message
    if follow is not None:
        shell(folder, found.expand(follow) + " > /dev/null")


def test_the_library_is_found_where_it_was_installed(folder):
    """Installing takes the network; here a link stands for what pip brings."""
    (folder / "elsewhere").mkdir()
    without = {name: value for name, value in ENV.items() if name not in ("ORT_DYLIB_PATH", "VIRTUAL_ENV")}
    # A copy of the tool: in the repository it finds the library of the repository's own environment.
    tool = shutil.copy2(BIN / "infer", folder / "elsewhere" / "infer")
    command = [tool, "-m", "run/model.onnx", "rows.npy", "--out-field", "q", "infer.runtime=ort"]
    done = subprocess.run(command, cwd=folder, env=without, capture_output=True, text=True, errors="replace")
    assert done.returncode == 2 and "install it (python3 -m venv .venv && .venv/bin/pip install onnxruntime)" in done.stderr
    site = folder / ".venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages" / "onnxruntime"
    shutil.copytree(onnx_runtime().parent, site / "capi", ignore=shutil.ignore_patterns("*.py*", "__pycache__"))
    done = subprocess.run(command, cwd=folder, env=without, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr


def killed_run(folder, name, until):
    """A run that SIGKILL ends as soon as its folder has the file `until`."""
    command = [BIN / "train", "rows.npy", "-o", name, "trainer.max_epochs=100000", "trainer.ema_decay=0.9"]
    command.append("callbacks.checkpoint.every_n_steps=1")
    run = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / name / until).exists():
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()


def test_a_run_that_was_killed_is_finished_or_exported_as_it_stands(folder):
    killed_run(folder, "killed", "checkpoints/last.safetensors")
    message = refused(folder, "pipegrad export killed")
    found = re.search(r"did not finish. To finish it: (train ROWS .*); to export it as it stands: (pipegrad .*)$", message)
    finish = found[1].replace("ROWS", "rows.npy")
    shell(folder, found[2])
    epochs = json.loads((folder / "killed/events.ndjson").read_text().splitlines()[0])["config"]["trainer"]["max_epochs"]
    assert epochs == 100000
    # What was trained so far is what is exported: infer and the finished run agree on it.
    shell(folder, "infer -m killed/checkpoints/last.onnx rows.npy | score")
    shell(folder, f"{finish} --quiet trainer.max_epochs=1 > /dev/null && pipegrad export killed")


def test_a_run_that_was_killed_before_its_first_checkpoint_is_begun_again(folder):
    (folder / "young").mkdir()
    config = (folder / "run/config.yaml").read_text()
    (folder / "young/config.yaml").write_text(config.replace("run_dir: run", "run_dir: young"))
    message = refused(folder, "pipegrad export young")
    found = re.search(r"before its first checkpoint. To train it: (train ROWS .*)$", message)
    shell(folder, f"{found[1].replace('ROWS', 'rows.npy')} --quiet > /dev/null && pipegrad export young")


def test_a_checkpoint_is_exported_with_the_weights_that_were_measured(folder):
    """With a moving average, the metrics of an epoch, and the model of the run, are of the average."""
    shell(folder, "pipegrad export run/checkpoints/last.safetensors -o last.onnx")
    predictions = [shell(folder, f"infer -m {model} rows.npy --to ndjson") for model in ["last.onnx", "run/model.onnx"]]
    assert predictions[0] == predictions[1]
