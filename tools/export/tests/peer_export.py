"""ONNX models of elsewhere: read, cleaned up and written, against the ONNX checker and Python's ONNX Runtime."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_models import MODELS, Net, cnn, mlp, residual, rows, tokens, two_outputs

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


def test_weights_beside_the_model_come_into_it(run, tmp_path):
    model = mlp()
    onnx.save(mlp(), tmp_path / "whole.onnx")
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    run("export", "--from", "m.onnx", "-o", "out.onnx")
    run("export", "--from", "whole.onnx", "-o", "whole.out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == (tmp_path / "whole.out.onnx").read_bytes()
    manifests = [json.loads((tmp_path / name).read_text())["source"] for name in ("out.json", "whole.out.json")]
    assert manifests[0]["content_sha256"] == manifests[1]["content_sha256"]
    assert manifests[0]["sha256"] != manifests[1]["sha256"]
    error = run("export", "--from", "-", stdin=(tmp_path / "m.onnx").read_bytes(), fails=2)
    assert "weights" in error and error.count("\n") == 1


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
    subprocess.run([sys.executable, "-c", error.split("in Python: ")[1]], cwd=tmp_path, check=True)
    run("export", "--from", "converted.onnx", "-o", "out.onnx")
    assert checked(tmp_path / "out.onnx").opset_import[0].version == 17


@pytest.mark.parametrize(("opset", "remedy"), [(5, "convert it first, in Python: "), (27, "opset_version=26 of torch.onnx.export")])
def test_operator_sets_that_no_tool_reads_have_the_same_message(run, tmp_path, opset, remedy):
    model = mlp()
    model.opset_import[0].version = opset
    onnx.save(model, tmp_path / "m.onnx")
    error = run("export", "--from", "m.onnx", fails=2)
    assert error.startswith(f"export: m.onnx: opset {opset}, expected 13 to 26; ") and remedy in error


def test_a_model_may_come_from_a_pipe_that_has_a_name(run, tmp_path):
    onnx.save(mlp(), tmp_path / "m.onnx")
    run("export", "--from", "m.onnx", "-o", "out.onnx")
    run("export", "--from", "/dev/stdin", "-o", "piped.onnx", stdin=(tmp_path / "m.onnx").read_bytes())
    assert (tmp_path / "piped.onnx").read_bytes() == (tmp_path / "out.onnx").read_bytes()


def test_a_graph_that_cannot_be_compared_is_told_with_the_remedy(run, tmp_path):
    model = tokens()
    onnx.save(model, tmp_path / "m.onnx")
    note = run("export", "--from", "m.onnx", "-o", "out.onnx", fails=0)
    assert note.startswith("export: m.onnx: not compared with the graph before clean-up: random rows cannot be drawn for input ")
    assert "export.check_input=FILE" in note and note.count("\n") == 1
    np.save(tmp_path / "rows.npy", rows(model, 20))
    assert run("export", "--from", "m.onnx", "-o", "checked.onnx", "export.check_input=rows.npy", fails=0) == ""
    assert (tmp_path / "checked.onnx").read_bytes() == (tmp_path / "out.onnx").read_bytes()
    # Values that are NaN on the rows say as little.
    net = Net()
    onnx.save(net.model(net.node("Sqrt", [net.input("x", 8)], "y"), 8), tmp_path / "sqrt.onnx")
    note = run("export", "--from", "sqrt.onnx", "-o", "out.onnx", fails=0)
    assert 'values of output "y" are NaN or infinite' in note and "export.check_input=FILE" in note and note.count("\n") == 1
    np.save(tmp_path / "positive.npy", np.ones(5, [("x", "<f4", (8,))]))
    assert run("export", "--from", "sqrt.onnx", "-o", "out.onnx", "export.check_input=positive.npy", fails=0) == ""


def test_inputs_that_no_row_can_be_are_told(run, tmp_path):
    net = Net()
    x = net.input("x", 8)
    net.inputs.append(onnx.helper.make_tensor_value_info("factor", onnx.TensorProto.FLOAT, []))
    onnx.save(net.model(net.linear(net.node("Mul", [x, "factor"], "scaled"), "y", 3, 8), 3), tmp_path / "m.onnx")
    note = run("export", "--from", "m.onnx", "-o", "out.onnx", fails=0)
    assert 'not compared with the graph before clean-up: input "factor" has no batch axis' in note
    np.save(tmp_path / "rows.npy", np.zeros(4, [("x", "<f4", (8,))]))
    for settings in (["precision=fp16"], ["precision=fp16", "gate.input=rows.npy"], ["check_input=rows.npy"]):
        error = run("export", "--from", "m.onnx", "-o", "other.onnx", *settings, fails=2)
        assert error.startswith('export: m.onnx: input "factor" has no batch axis; ') and "export.precision=fp32" in error, error


def test_what_cannot_be_read_is_one_line(run, tmp_path):
    onnx.save(mlp(), tmp_path / "m.onnx")
    net = Net()
    net.nodes.append(onnx.helper.make_node("Foo", [net.input("x", 8)], ["y"], domain="com.acme"))
    value = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 8])
    graph = onnx.helper.make_graph(net.nodes, "net", net.inputs, [value])
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.acme", 1)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "custom.onnx")
    (tmp_path / "garbage.onnx").write_bytes(b"\xff" * 100)
    (tmp_path / "empty.onnx").write_bytes(b"")
    cases = [
        (["m.onnx"], "m.onnx: no run folder; an ONNX model is read with --from m.onnx"),
        (["run", "--from", "m.onnx"], "run: not with --from, which names the model"),
        (["--from", "none.onnx"], "none.onnx: No such file"),
        (["--from", "garbage.onnx"], "garbage.onnx: no ONNX model"),
        (["--from", "empty.onnx"], "empty.onnx: no ONNX model"),
        (["--from", "custom.onnx"], "com.acme"),
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


def test_clean_up_leaves_what_a_runtime_needs(run, tmp_path):
    """Batch norms and constant shapes go, and so do nodes that no output needs."""
    model = residual()
    model.graph.node.append(onnx.helper.make_node("Neg", ["logits"], ["unused"]))
    onnx.save(model, tmp_path / "m.onnx")
    run("export", "--from", "m.onnx", "-o", "out.onnx")
    kinds = [node.op_type for node in checked(tmp_path / "out.onnx").graph.node]
    assert "BatchNormalization" not in kinds and "Neg" not in kinds
    done = json.loads((tmp_path / "out.json").read_text())["simplify"]
    assert done["batch_norms"] == 6 and done["dead_nodes"] == 1
    run("export", "--from", "m.onnx", "-o", "same.onnx", "export.simplify=false")
    assert len(checked(tmp_path / "same.onnx").graph.node) == len(model.graph.node)
    assert "simplify" not in json.loads((tmp_path / "same.json").read_text())


def test_the_model_of_a_run_is_cleaned_up_where_that_is_asked_for(run, tmp_path):
    random = np.random.default_rng(0)
    table = np.zeros(80, [("image", "u1", (3, 8, 8)), ("label", "u1")])
    table["label"], table["image"] = random.integers(0, 3, 80), random.integers(0, 256, (80, 3, 8, 8))
    np.save(tmp_path / "rows.npy", table)
    layers = "[{conv:{channels:4}},{norm:{}},{activation:relu},{average_pool:{}},{linear:{}}]"
    model = ["model.name=layers", "~model.hidden", "~model.activation", f"+model.layers={layers}"]
    fields = ["trainer.input_field=image", "trainer.target_field=label", "trainer.loss=cross_entropy"]
    run("train", "rows.npy", "-o", "run", *fields, *model, "trainer.max_epochs=1")
    run("export", "run")
    run("export", "run", "-o", "clean.onnx", "simplify=true")
    kinds = lambda path: [node.op_type for node in checked(path).graph.node]  # noqa: E731
    assert "BatchNormalization" in kinds(tmp_path / "run/model.onnx")
    assert "BatchNormalization" not in kinds(tmp_path / "clean.onnx")
    (expected,), (found,) = (outputs(tmp_path / name, table) for name in ("run/model.onnx", "clean.onnx"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_pre_and_post_processing_is_in_the_graph(run, tmp_path, layout):
    onnx.save(cnn(), tmp_path / "m.onnx")
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\ndog\neel\n")
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
    settings = [f"normalize.mean={mean}", f"normalize.std={std}", "normalize.bytes=true", f"normalize.layout={layout}"]
    settings += ["softmax=true", "argmax=true", "labels=names.txt"]
    run("export", "--from", "m.onnx", "-o", "out.onnx", *[setting.replace(" ", "") for setting in settings])
    images = np.random.default_rng(3).integers(0, 256, (6, 3, 8, 8)).astype(np.uint8)
    scaled = (images / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    (logits,) = outputs(tmp_path / "m.onnx", {"image": scaled.astype(np.float32)})
    given = images if layout == "nchw" else images.transpose(0, 2, 3, 1)
    probabilities, classes, labels = outputs(tmp_path / "out.onnx", {"image": given})
    powers = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(probabilities, powers / powers.sum(1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(classes, logits.argmax(1))
    assert [*labels] == [["ant", "bee", "cat", "dog", "eel"][index] for index in classes]
    manifest = json.loads((tmp_path / "out.json").read_text())
    assert manifest["argmax"] == {"class": "class", "label": "label"} and manifest["normalize"]["layout"] == layout


def test_settings_that_contradict_each_other_are_told(run, tmp_path):
    onnx.save(mlp(), tmp_path / "m.onnx")
    (tmp_path / "twice.txt").write_text("a\nb\na\n")
    for settings, message in [
        (["normalize.mean=[0]"], "export.normalize.std: null, and mean is set"),
        (["normalize.std=[1]"], "export.normalize.mean: null, and std is set"),
        (["normalize.layout=nhwc"], "need a mean and std"),
        (["normalize.input=x"], "need a mean and std"),
        (["normalize.mean=[0]", "normalize.std=[1]", "normalize.layout=nhwc"], 'input "x": it has 2 axes, whose order no layout changes'),
        (["normalize.mean=[0]", "normalize.std=[1]", "normalize.input=z"], 'no input is called "z"; there are "x"'),
        (["labels=none.txt"], "export.labels: a file of names, which no output has; set export.argmax=true"),
        (["labels=none.txt", "gate.target_field=y"], "set export.argmax=true"),
        (["output=y"], "which only export.softmax, export.argmax and the gate of fp16 and int8 read"),
        (["normalize.mean=[0,0]", "normalize.std=[1,1]"], "2 means for 8 channels"),
        (["normalize.mean=[0]", "normalize.std=[0]"], "a standard deviation is 0"),
        (["argmax=true", "labels=none.txt"], "none.txt: No such file"),
        (["argmax=true", "labels=m.onnx"], "m.onnx: no text; expected the names of the classes, one a line"),
        (["argmax=true", "labels=twice.txt"], 'twice.txt:3: two classes are called "a"'),
        (["softmax=true", "output=z"], 'export.output: no output is called "z"; there are "y"'),
        (["precision=fp8"], "fp8"),
    ]:
        error = run("export", "--from", "m.onnx", "-o", "out.onnx", *settings, fails=2)
        assert message in error and error.count("\n") == 1, (settings, error)
    assert not (tmp_path / "out.onnx").exists()


def test_the_output_of_scores_is_named_where_there_are_several(run, tmp_path):
    onnx.save(two_outputs(), tmp_path / "m.onnx")
    error = run("export", "--from", "m.onnx", "-o", "out.onnx", "softmax=true", fails=2)
    assert error == 'export: m.onnx: several outputs; choose one with export.output=NAME, of "logits", "flat"\n'
    run("export", "--from", "m.onnx", "-o", "out.onnx", "softmax=true", "argmax=true", "export.output=logits")
    assert [value.name for value in checked(tmp_path / "out.onnx").graph.output] == ["logits", "flat", "class"]


@pytest.mark.parametrize("names", [None, "ant bee cat dog eel"])
def test_infer_runs_a_graph_with_classes(run, run_npy, tmp_path, names):
    onnx.save(cnn(), tmp_path / "m.onnx")
    settings = ["argmax=true"]
    if names:
        (tmp_path / "names.txt").write_text("\n".join(names.split()))
        settings.append("labels=names.txt")
    run("export", "--from", "m.onnx", "-o", "scores.onnx", *settings)
    run("export", "--from", "m.onnx", "-o", "classes.onnx", *settings, "softmax=true")
    table = rows(cnn(), 20)
    np.save(tmp_path / "rows.npy", table)
    logits, classes, *labels = outputs(tmp_path / "scores.onnx", table)
    found = run_npy("infer", "-m", "scores.onnx", "rows.npy", "infer.label_field=null")
    np.testing.assert_allclose(found["prediction"], logits, atol=1e-5)
    assert found.dtype.names == ("image", "prediction")
    if not names:
        return
    lines = run("infer", "-m", "classes.onnx", "rows.npy", "--to", "ndjson", "infer.probabilities=true").splitlines()
    lines = [json.loads(line) for line in lines]
    assert [line["predicted_label"] for line in lines] == [*labels[0]]
    powers = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose([line["probability_bee"] for line in lines], (powers / powers.sum(1, keepdims=True))[:, 1], atol=1e-5)
    error = run("infer", "-m", "scores.onnx", "rows.npy", "--to", "ndjson", "infer.probabilities=true", fails=2)
    assert "is no probability" in error and "export.softmax=true" in error


def test_weights_that_are_not_there_are_told(run, tmp_path):
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / "run/checkpoints/last.safetensors").write_bytes(b"")
    cases = [
        ("nope.safetensors", "nope.safetensors: no such file; name a run folder or one of its .safetensors files\n"),
        ("run/checkpoints/best.safetensors", "one of its .safetensors files; beside it there are last.safetensors\n"),
        ("nope.onnx", "nope.onnx: no run folder; an ONNX model is read with --from nope.onnx\n"),
    ]
    for path, message in cases:
        assert message in run("export", path, fails=2)
    message = "nope.safetensors: no such file; expected an .onnx model, which pipegrad export RUN writes to RUN/model.onnx: "
    assert run("export", "--from", "nope.safetensors", fails=2) == f"export: {message}--from RUN/model.onnx\n"
    assert run("infer", "-m", "nope.safetensors", stdin=b'{"x":1}\n', fails=2) == f"infer: {message}-m RUN/model.onnx\n"


def test_a_graph_that_runs_on_one_row_only_is_told_how_to(run, run_npy, tmp_path):
    """Its batch axis is dynamic, and a reshape inside is not: exporters write such graphs."""
    net = Net()
    x = net.linear(net.input("x", 8), "hidden", 6, 8)
    x = net.node("Reshape", [x, net.constant("shape", np.array([1, 6]))], "flat")
    onnx.save(net.model(net.linear(x, "y", 3, 6), 3), tmp_path / "m.onnx")
    np.save(tmp_path / "rows.npy", rows(mlp(), 20))
    error = run("export", "--from", "m.onnx", fails=2)
    assert error.startswith("export: 64 rows at once (export.gate.batch_size=1 runs one at a time): m.onnx: "), error
    one = ["export.gate.batch_size=1", "gate.min_agreement=null"]
    run("export", "--from", "m.onnx", *one)
    run("export", "--from", "m.onnx", "precision=fp16", *one)
    int8 = ["precision=int8", "calibration.input=rows.npy", *one]
    error = run("export", "--from", "m.onnx", *int8, fails=2)
    assert error.startswith("export: 20 rows at once (export.calibration.batch_size=1 runs one at a time): m.onnx: "), error
    run("export", "--from", "m.onnx", *int8, "export.calibration.batch_size=1")
    error = run("infer", "-m", "m.onnx", "rows.npy", fails=2)
    assert error.startswith("infer: rows.npy: 20 rows at once") or error.startswith("infer: 20 rows at once (infer.batch_size=1 "), error
    assert run_npy("infer", "-m", "m.onnx", "rows.npy", "infer.batch_size=1")["prediction"].shape == (20, 3)
