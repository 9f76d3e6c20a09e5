"""ONNX models of elsewhere: read, cleaned up and written, against the ONNX checker and Python's ONNX Runtime."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_models import MODELS, Net, cnn, mlp, rows

pytestmark = pytest.mark.usefixtures("library")


def outputs(model, feeds):
    """What ONNX Runtime computes: of bytes, or of a file."""
    session = onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model))
    return session.run(None, {value.name: feeds[value.name] for value in session.get_inputs()})


def checked(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize("batch", ["batch", 1, 4])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_from_elsewhere_computes_what_it_did(run, tmp_path, name, batch):
    model = MODELS[name](batch=batch)
    onnx.save(model, tmp_path / "m.onnx")
    run("export", "--from", "m.onnx", "-o", "out.onnx")
    written = checked(tmp_path / "out.onnx")
    table = rows(model, 4 if batch == 4 else 1)
    (expected,), (found,) = outputs(tmp_path / "m.onnx", table), outputs(tmp_path / "out.onnx", table)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert [value.name for value in written.graph.input] == [value.name for value in model.graph.input]
    assert [value.name for value in written.graph.output] == [value.name for value in model.graph.output]


def test_the_manifest_says_what_was_made_of_what(run, tmp_path):
    onnx.save(mlp(), tmp_path / "m.onnx")
    run("export", "--from", "m.onnx", "-o", "out.onnx")
    manifest = json.loads((tmp_path / "out.json").read_text())
    digest = lambda name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()  # noqa: E731
    assert manifest["source"]["file"] == "m.onnx" and manifest["source"]["sha256"] == digest("m.onnx")
    model = manifest["model"]
    assert model["sha256"] == digest("out.onnx") and model["bytes"] == (tmp_path / "out.onnx").stat().st_size
    assert model["opset"] == 17
    assert model["inputs"] == [{"name": "x", "type": "float32", "shape": ["batch", 8]}]
    assert model["outputs"] == [{"name": "y", "type": "float32", "shape": ["batch", 3]}]
    assert str(tmp_path) not in (tmp_path / "out.json").read_text()


def test_the_same_model_gives_the_same_bytes_by_any_way(run, tmp_path, monkeypatch):
    onnx.save(cnn(), tmp_path / "m.onnx")
    run("export", "--from", "m.onnx", "-o", "out.onnx")
    written, manifest = (tmp_path / "out.onnx").read_bytes(), (tmp_path / "out.json").read_bytes()
    assert run("export", "--from", "m.onnx", "-o", "-") == written
    assert run("export", "--from", "-", "-o", "-", stdin=(tmp_path / "m.onnx").read_bytes()) == written
    assert run("export", "--from", "-", stdin=(tmp_path / "m.onnx").read_bytes()) == written
    run("export", "--from", "m.onnx")
    assert (tmp_path / "m.fp32.onnx").read_bytes() == written
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")
    run("export", "--from", "m.onnx", "-o", "out.onnx")
    assert ((tmp_path / "out.onnx").read_bytes(), (tmp_path / "out.json").read_bytes()) == (written, manifest)
    # A stream has no file beside it.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.fp32.json", "m.fp32.onnx", "m.onnx", "out.json", "out.onnx"]


@pytest.mark.parametrize("opset", [13, 18, 22, 26])
def test_a_model_keeps_its_operator_set(run, tmp_path, opset):
    onnx.save(mlp(opset), tmp_path / "m.onnx")
    run("export", "--from", "m.onnx", "-o", "out.onnx")
    assert checked(tmp_path / "out.onnx").opset_import[0].version == opset


def test_an_older_operator_set_is_converted_as_the_message_says(run, tmp_path):
    net = Net(opset=9)
    onnx.save(net.model(net.linear(net.input("x", 8), "y", 3, 8), 3), tmp_path / "old.onnx")
    error = run("export", "--from", "old.onnx", fails=2)
    assert error.startswith("export: old.onnx: opset 9, expected 13 to 26; convert it first, in Python: ")
    code = error.split("in Python: ")[1]
    subprocess.run([sys.executable, "-c", f"import onnx.version_converter; {code}"], cwd=tmp_path, check=True)
    run("export", "--from", "converted.onnx", "-o", "out.onnx")
    assert checked(tmp_path / "out.onnx").opset_import[0].version == 17


def test_what_cannot_be_read_is_one_line(run, tmp_path):
    onnx.save(mlp(), tmp_path / "m.onnx")
    (tmp_path / "garbage.onnx").write_bytes(b"\xff" * 100)
    (tmp_path / "empty.onnx").write_bytes(b"")
    cases = [
        (["m.onnx"], "m.onnx: no run folder; an ONNX model is read with --from m.onnx"),
        (["run", "--from", "m.onnx"], "run: not with --from, which names the model"),
        (["--from", "none.onnx"], "none.onnx: No such file"),
        (["--from", "garbage.onnx"], "garbage.onnx: no ONNX model"),
        (["--from", "empty.onnx"], "empty.onnx: no ONNX model"),
        (["--from", "m.onnx", "model_bytes=100"], "m.onnx: more than 100 bytes (the setting export.model_bytes)"),
        (["--from", "m.onnx", "-o", "out.json"], "--out out.json: the name of the manifest; name the model out.onnx"),
        (["--from", "m.onnx", "-o", "none/out.onnx"], "none/out.onnx: there is no folder none"),
    ]
    for args, message in cases:
        error = run("export", *args, fails=2)
        assert message in error and error.count("\n") == 1, (args, error)
    assert not (tmp_path / "out.onnx").exists()
    # What the first says works.
    run("export", "--from", "m.onnx", "-o", "out.onnx")
    run("export", "--from", "m.onnx", "-o", "/dev/null")
