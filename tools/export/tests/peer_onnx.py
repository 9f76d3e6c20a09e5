"""The exported graph against the ONNX checker, Python's ONNX Runtime, and NumPy."""

import io
import json
import math

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import checker, shape_inference
from peers import read_safetensors
from sklearn.metrics import average_precision_score, roc_auc_score

pytestmark = pytest.mark.usefixtures("library")

ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}


def forward(tensors, x, activation):
    """The network in NumPy, in f64."""
    x = x.astype(np.float64)
    if "input.mean" in tensors:
        x = (x - tensors["input.mean"]) * tensors["input.scale"]
    # Activations stand between the matrices in the list of layers.
    last = 2 * sum(name.endswith("weight") for name in tensors) - 2
    for i in range(0, last + 1, 2):
        x = x @ tensors[f"layers.{i}.weight"].T.astype(np.float64) + tensors[f"layers.{i}.bias"]
        if i < last:
            x = ACTIVATIONS[activation](x)
    return x


@pytest.fixture
def model(run, tmp_path):
    """Trains and exports with these settings; returns the run folder's tensors and an ONNX session."""

    def model(*settings, rows="rows=3000", entropy=("entropy",)):
        data = run("gen-data", "--to", "npy", rows)
        run("train", "-o", "run", "trainer.max_epochs=1", *settings, stdin=run(*entropy, stdin=data))
        run("export", "run", "-o", "m.onnx")
        checker.check_model(onnx.load(tmp_path / "m.onnx"), full_check=True)
        return read_safetensors(tmp_path / "run" / "model.safetensors"), onnxruntime.InferenceSession(tmp_path / "m.onnx")

    return model


@pytest.mark.parametrize("scaling", ["none", "standard"])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_graph_is_the_network(model, tmp_path, scaling, activation):
    tensors, session = model(f"model.input_scaling={scaling}", f"model.activation={activation}", "model.hidden=[5,7]")
    assert ("input.mean" in tensors) == (scaling == "standard")
    probs = np.load(tmp_path / "run" / "test.npy")["probs"]
    (out,) = session.run(None, {"probs": probs})
    np.testing.assert_allclose(out, forward(tensors, probs, activation)[:, 0], rtol=1e-5, atol=1e-5)


def test_every_batch_size_gives_the_same_numbers(model, run, run_npy, tmp_path):
    _, session = model()
    rows = np.tile(np.load(tmp_path / "run" / "test.npy"), 4)[:1000]
    np.save(tmp_path / "rows.npy", rows)
    ours = run_npy("infer", "-m", "m.onnx", "rows.npy")
    assert ours["prediction"].dtype == np.float32 and ours["prediction"].shape == (1000,)
    for batch in [1, 7, 1000]:
        chunks = [rows["probs"][i : i + batch] for i in range(0, 1000, batch)]
        theirs = np.concatenate([session.run(["prediction"], {"probs": chunk})[0] for chunk in chunks])
        np.testing.assert_allclose(ours["prediction"], theirs, rtol=1e-6, atol=1e-6)
        again = run_npy("infer", "-m", "m.onnx", "rows.npy", f"infer.batch_size={batch}")
        np.testing.assert_array_equal(again["prediction"], ours["prediction"])


def test_names_and_shapes_are_documented_in_the_model(model, tmp_path):
    model()
    proto = onnx.load(tmp_path / "m.onnx")
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert metadata["pipegrad.input_field"] == "probs" and metadata["pipegrad.target_field"] == "entropy"
    hidden = [{"linear": {"outputs": 64}}, {"activation": "relu"}] * 2
    assert json.loads(metadata["pipegrad.architecture"])["layers"] == [*hidden, {"linear": {}}]
    assert "probs [batch, 8]" in proto.doc_string and "prediction [batch]" in proto.doc_string
    graph = shape_inference.infer_shapes(proto, strict_mode=True).graph
    dims = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in [graph.input[0], graph.output[0]]]
    assert dims == [["batch", 8], ["batch"]]


@pytest.mark.parametrize("opset", [13, 17, 20, 26])
def test_older_and_newer_operator_sets(model, run, tmp_path, opset):
    model()
    run("export", "run", "-o", "other.onnx", f"opset={opset}")
    proto = onnx.load(tmp_path / "other.onnx")
    checker.check_model(proto, full_check=True)
    assert proto.opset_import[0].version == opset


@pytest.mark.parametrize("opset, operator", [(13, "Erf"), (19, "Erf"), (20, "Gelu")])
def test_a_quick_network_of_images(run, tmp_path, opset, operator):
    """Whitening, GELU and the scale, in versions of the operators with a GELU and without."""
    rows = np.zeros(40, [("image", "<f4", (3, 6, 6)), ("label", "u1")])
    rows["image"] = np.random.default_rng(0).normal(size=rows["image"].shape)
    rows["label"] = np.arange(40) % 3
    np.save(tmp_path / "rows.npy", rows)
    layers = "[{whiten: {}}, {activation: gelu}, {conv: {channels: 4}}, {norm: {scale: false}}, {average_pool: {}}, {linear: {}}, {scale: 5.0}]"
    fields = ["trainer.input_field=image", "trainer.target_field=label", "trainer.loss=cross_entropy"]
    run("train", "rows.npy", "-o", "run", "model=speednet", f"model.layers={layers}", *fields, "trainer.max_epochs=1")
    run("export", "run", "-o", "m.onnx", f"opset={opset}")
    proto = onnx.load(tmp_path / "m.onnx")
    checker.check_model(proto, full_check=True)
    assert operator in [node.op_type for node in proto.graph.node]
    tensors, images = read_safetensors(tmp_path / "run" / "model.safetensors"), np.load(tmp_path / "run" / "test.npy")["image"]
    x = (images - tensors["input.mean"].reshape(3, 1, 1)) * tensors["input.scale"].reshape(3, 1, 1)
    patches = np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(2, 3))  # [rows, 3, 5, 5, 2, 2]
    x = np.einsum("ncyxij,ocij->noyx", patches, tensors["layers.0.weight"]) + tensors["layers.0.bias"].reshape(-1, 1, 1)
    x = x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    patches = np.lib.stride_tricks.sliding_window_view(np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]), (3, 3), axis=(2, 3))
    x = np.einsum("ncyxij,ocij->noyx", patches, tensors["layers.2.weight"])
    mean, variance, shift = (tensors[f"layers.3.{part}"].reshape(-1, 1, 1) for part in ["running_mean", "running_var", "bias"])
    x = ((x - mean) / np.sqrt(variance + 1e-5) + shift).mean((2, 3))
    logits = 5 * (x @ tensors["layers.5.weight"].T + tensors["layers.5.bias"])
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    (ours,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {"image": images})
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_tensors_of_any_shape_go_in_and_out(run, run_npy, tmp_path):
    rows = np.zeros(500, [("x", "<f8", (2, 3)), ("y", "<f4", (4,))])
    rows["x"] = np.random.default_rng(0).normal(size=rows["x"].shape)
    rows["y"] = rows["x"].reshape(500, 6)[:, :4]
    np.save(tmp_path / "rows.npy", rows)
    run("train", "rows.npy", "-o", "run", "trainer.input_field=x", "trainer.target_field=y", "trainer.max_epochs=1")
    run("export", "run")
    out = run_npy("infer", "-m", "run/model.onnx", "rows.npy")
    assert out.dtype == [("x", "<f8", (2, 3)), ("y", "<f4", (4,)), ("prediction", "<f4", (4,))]
    tensors = read_safetensors(tmp_path / "run" / "model.safetensors")
    expected = forward(tensors, rows["x"].astype(np.float32).reshape(500, 6), "relu")
    np.testing.assert_allclose(out["prediction"], expected, rtol=1e-5, atol=1e-5)


def test_a_column_is_regressed_on_a_column(run, run_npy, tmp_path):
    line = run("gen-data", "data=line", "--to", "npy", "rows=2000")
    fields = ["trainer.input_field=feature", "trainer.target_field=label"]
    run("train", "-o", "run", "model.hidden=[]", "optimizer.learning_rate=0.05", *fields, stdin=line)
    run("export", "run")
    rows = run_npy("infer", "-m", "run/model.onnx", stdin=line)
    slope, intercept = np.polyfit(rows["feature"], rows["prediction"], 1)
    assert abs(slope - 2) < 0.02 and abs(intercept - 1) < 0.02


def test_a_difference_beyond_the_tolerance_exits_with_1_and_writes_nothing(model, run, tmp_path):
    model("model.activation=sigmoid", "model.hidden=[64,64,64]")
    error = run("export", "run", "-o", "strict.onnx", "tolerance=0", fails=1)
    assert "ONNX and candle differ by" in error and error.count("\n") == 1
    assert not (tmp_path / "strict.onnx").exists()


def test_the_rows_to_check_are_those_of_the_file_that_is_named(model, run, tmp_path):
    model()
    rows = np.load(io.BytesIO(run("gen-data", "rows=400", "--to", "npy")))
    rows["probs"][300, 0] = np.nan  # which is refused
    np.save(tmp_path / "check.npy", rows)
    check = ["check_input=check.npy", "-o", "checked.onnx"]
    run("export", "run", *check, "check_rows=300")
    (tmp_path / "checked.onnx").unlink()
    for count in ("301", "null"):
        error = run("export", "run", *check, f"check_rows={count}", fails=2)
        assert 'check.npy: row 300: field "probs" is NaN' in error and error.count("\n") == 1
        assert not (tmp_path / "checked.onnx").exists()


def test_bad_input_is_refused_in_one_line(model, run, tmp_path):
    model()
    (tmp_path / "empty").mkdir()
    (tmp_path / "garbage.onnx").write_bytes(b"garbage")
    (tmp_path / "damaged").mkdir()
    whole = (tmp_path / "run" / "model.safetensors").read_bytes()
    (tmp_path / "damaged" / "model.safetensors").write_bytes(whole[:-1])
    rows = run("gen-data", "rows=2")
    np.save(tmp_path / "wide.npy", np.ones(2, [("probs", "f4", 9)]))
    nan = np.ones(3, [("probs", "f4", 8)])
    nan["probs"][1, 7] = np.nan
    np.save(tmp_path / "nan.npy", nan)
    cases = [
        (["export"], b"", "name the run folder"),
        (["export", "empty"], b"", "empty: no run folder: there is no model.safetensors; train -o empty makes one"),
        (["export", "damaged"], b"", "damaged/model.safetensors: no safetensors file"),
        (["export", "run", "opset=3"], b"", "export.opset: 3; expected 13 to 26"),
        (["export", "run", "opset=27"], b"", "export.opset: 27; expected 13 to 26"),
        (["export", "run", "check_rows=0"], b"", "export.check_rows: 0"),
        (["export", "run", "check_input=none.npy"], b"", "none.npy: No such file"),
        (["export", "run", "check_input=wide.npy"], b"", "wide.npy: field probs f4[9] has the wrong shape, expected [8] by the model"),
        (["export", "run", "check_input=nan.npy"], b"", 'nan.npy: row 1: field "probs" is NaN, which tells nothing of the model'),
        (["export", "run", "onnxruntime=/nowhere.so"], b"", "/nowhere.so"),
        (["infer", "-m", "garbage.onnx"], rows, "garbage.onnx: "),
        (["infer", "-m", "nope.onnx"], rows, "nope.onnx: No such file"),
        (["infer"], rows, "--model"),
        (["infer", "-m", "m.onnx"], run("gen-data", "rows=2", "classes=3"), "expected [8] by the model"),
        (["infer", "-m", "m.onnx"], b'{"x":1}\n', 'no field "probs" (there is x)'),
        (["infer", "-m", "m.onnx"], b"", "no rows"),
        (["infer", "-m", "m.onnx", "infer.batch_size=0"], rows, "infer.batch_size: 0"),
        (["infer", "-m", "m.onnx", "infer.runtime=ort", "infer.onnxruntime=/etc/passwd"], rows, "/etc/passwd"),
    ]
    for args, stdin, message in cases:
        error = run(*args, stdin=stdin, fails=2)
        assert message in error and error.count("\n") == 1, (args, error)


def classes(rows, seed):
    """Points in the plane, labelled by the nearest of three corners: what a small network learns."""
    random = np.random.default_rng(seed)
    corners = np.array([[0.0, 1.0], [0.9, -0.5], [-0.9, -0.5]])
    points = random.uniform(-1, 1, (rows, 2))
    table = np.zeros(rows, [("probs", "<f4", (2,)), ("label", "<f4")])
    table["probs"] = points
    table["label"] = np.argmin(((points[:, None] - corners) ** 2).sum(2), 1)
    return table


@pytest.mark.parametrize("loss, activation", [("cross_entropy", "softmax"), ("bce", "sigmoid")])
def test_a_classifier_gives_probabilities(run, tmp_path, loss, activation):
    table = classes(4000, 0)
    if loss == "bce":
        table["label"] = table["label"] == 1
    np.save(tmp_path / "rows.npy", table)
    settings = ["trainer.target_field=label", f"trainer.loss={loss}", "optimizer.learning_rate=0.01", "trainer.max_epochs=5"]
    watched = ["callbacks.checkpoint.monitor=val_auc", "callbacks.checkpoint.mode=max"]
    run("train", "rows.npy", "-o", "run", *settings, *watched)
    run("export", "run", "-o", "m.onnx")
    checker.check_model(onnx.load(tmp_path / "m.onnx"), full_check=True)
    test = np.load(tmp_path / "run" / "test.npy")
    logits = forward(read_safetensors(tmp_path / "run" / "model.safetensors"), test["probs"], "relu")
    if activation == "softmax":
        expected = np.exp(logits - logits.max(1, keepdims=True))
        expected /= expected.sum(1, keepdims=True)
        right = (expected.argmax(1) == test["label"]).mean()
    else:
        expected = 1 / (1 + np.exp(-logits[:, 0]))
        right = ((expected > 0.5) == test["label"]).mean()
    (theirs,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {"probs": test["probs"]})
    np.testing.assert_allclose(theirs, expected, atol=1e-5)
    assert right > 0.95
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    assert metrics["accuracy"] == pytest.approx(right)
    ranking = {
        "auc": roc_auc_score(test["label"], expected, multi_class="ovr"),
        "average_precision": average_precision_score(test["label"], expected),
    }
    predicted = run("infer", "-m", "m.onnx", "run/test.npy")
    score = json.loads(run("score", "score=classification", stdin=predicted))
    assert score["accuracy"] == pytest.approx(right)
    assert score["cross_entropy"] == pytest.approx(metrics["loss"], rel=1e-4)
    for name, value in ranking.items():
        assert (metrics[name], score[name]) == pytest.approx((value, value), rel=1e-4), name


LAYERS = "[{conv: {channels: 4}}, {norm: {}}, {activation: relu}, {max_pool: {size: 2}}, {average_pool: {}}, {linear: {}}]"


def convolved(tensors, images):
    """A convolution, batch normalization, ReLU, pooling and a matrix, in NumPy, in f64: probabilities."""
    x = (images - tensors["input.mean"][:, None, None].astype(float)) * tensors["input.scale"][:, None, None]
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    x = np.einsum("nihwkl,oikl->nohw", windows, tensors["layers.0.weight"].astype(float))
    weight, bias, mean, var = (
        tensors[f"layers.1.{name}"][:, None, None].astype(float) for name in ("weight", "bias", "running_mean", "running_var")
    )
    x = np.maximum((x - mean) / np.sqrt(var + 1e-5) * weight + bias, 0)
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5)).mean((2, 3))
    logits = x @ tensors["layers.5.weight"].T.astype(float) + tensors["layers.5.bias"]
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("held_out", [True, False])
def test_images_go_in_as_bytes(run, run_npy, tmp_path, held_out):
    random = np.random.default_rng(0)
    rows = np.zeros(400, [("image", "u1", (3, 8, 8)), ("label", "u1")])
    rows["label"] = random.integers(0, 3, 400)
    rows["image"] = random.integers(0, 128, rows["image"].shape) + 60 * rows["label"][:, None, None, None]
    np.save(tmp_path / "rows.npy", rows)
    settings = ["trainer.input_field=image", "trainer.target_field=label", "trainer.loss=cross_entropy"]
    model = ["model.name=layers", "~model.hidden", "~model.activation", f"+model.layers={LAYERS}".replace(" ", "")]
    # Without rows that were held out, the check draws bytes.
    split = [] if held_out else ["trainer.split=[1,0,0]"]
    learning = ["trainer.max_epochs=3", "optimizer.learning_rate=0.05", "model.input_scaling=standard"]
    run("train", "rows.npy", "-o", "run", *settings, *model, *split, *learning)
    run("export", "run")
    proto = onnx.load(tmp_path / "run/model.onnx")
    checker.check_model(proto, full_check=True)
    assert "image [batch, 3, 8, 8], uint8" in proto.doc_string
    expected = convolved(read_safetensors(tmp_path / "run/model.safetensors"), rows["image"])
    session = onnxruntime.InferenceSession(tmp_path / "run/model.onnx")
    (entry,) = session.get_inputs()
    assert (entry.type, entry.shape) == ("tensor(uint8)", ["batch", 3, 8, 8])
    (theirs,) = session.run(None, {"image": rows["image"]})
    np.testing.assert_allclose(theirs, expected, atol=1e-5)
    ours = run_npy("infer", "-m", "run/model.onnx", "rows.npy")
    np.testing.assert_allclose(ours["prediction"], expected, atol=1e-5)
    # The same rows as text, whose numbers have no type, and as f4.
    text = run("infer", "-m", "run/model.onnx", "rows.npy", "--to", "ndjson").splitlines()[:5]
    lines = [json.loads(line) for line in text]
    bare = "".join(json.dumps({"image": line["image"]}) + "\n" for line in lines).encode()
    again = [json.loads(line)["prediction"] for line in run("infer", "-m", "run/model.onnx", stdin=bare).splitlines()]
    assert again == [line["prediction"] for line in lines]
    for bad, message in [(0.5, "has 0.5; expected whole numbers from 0 to 255"), (256, "has 256;"), (-1, "has -1;")]:
        lines[1]["image"][0][0][0] = bad
        text = "".join(json.dumps({"image": line["image"]}) + "\n" for line in lines).encode()
        error = run("infer", "-m", "run/model.onnx", stdin=text, fails=2)
        (tmp_path / "bad.ndjson").write_bytes(text)
        assert message in run("export", "run", "check_input=bad.ndjson", fails=2)
        assert message in error and "stdin:2" in error and error.count("\n") == 1, error


def write_rows(path, field, rows=60, y=lambda x: 2 * x[:, 0] - x[:, 1]):
    """Rows of y from a vector of two, which `field` names."""
    table = np.zeros(rows, [(field, "<f4", (2,)), ("y", "<f4", np.shape(y(np.zeros((1, 2))))[1:])])
    table[field] = np.random.default_rng(1).normal(size=(rows, 2))
    table["y"] = y(table[field])
    np.save(path, table)
    return table


@pytest.mark.parametrize(
    "field", ["prediction", "probabilities", "layers.0", "layers.0.weight", "input.mean", "input.scaled", "output.mean", "batch", " ", "_"]
)
def test_an_input_may_have_any_name(run, tmp_path, field):
    """Internal names make way for the input's; what is checked against candle is then exported."""
    rows = write_rows(tmp_path / "rows.npy", field, y=lambda x: 1000 * x[:, 0])
    fields = [f"trainer.input_field='{field}'", "trainer.target_field=y", "model.input_scaling=standard"]
    run("train", "rows.npy", "-o", "run", *fields, "trainer.max_epochs=1")
    run("export", "run", "-o", "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    checker.check_model(proto, full_check=True)
    output = "prediction_" if field == "prediction" else "prediction"
    assert [value.name for value in [*proto.graph.input, *proto.graph.output]] == [field, output]
    (ours,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {field: rows[field]})
    inferred = run("infer", "-m", "m.onnx", "rows.npy", "--out-field", "p")
    np.testing.assert_allclose(np.load(io.BytesIO(inferred))["p"], ours, rtol=1e-6, atol=1e-3)
    if field == "prediction":
        assert "--out-field" in run("infer", "-m", "m.onnx", "rows.npy", fails=2)


@pytest.mark.parametrize("scale, offset", [(1e6, -2e6), (1e-6, 0.0)])
def test_predictions_are_in_the_targets_own_units(run, tmp_path, scale, offset):
    """A vector of targets, whose scaling the graph inverts: NumPy's numbers, and close to the targets."""
    rows = write_rows(tmp_path / "rows.npy", "x", 500, lambda x: offset + scale * np.stack([x[:, 0], 3 * x[:, 1], x[:, 0] - x[:, 1]], 1))
    learning = ["trainer.max_epochs=60", "optimizer.learning_rate=0.01", "trainer.batch_size=50"]
    run("train", "rows.npy", "-o", "run", "trainer.input_field=x", "trainer.target_field=y", *learning)
    run("export", "run", "-o", "m.onnx")
    checker.check_model(onnx.load(tmp_path / "m.onnx"), full_check=True)
    tensors = read_safetensors(tmp_path / "run" / "model.safetensors")
    # Fitted on the 400 training rows of 500.
    np.testing.assert_allclose(tensors["output.scale"], rows["y"].std(0), rtol=0.1)
    (ours,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {"x": rows["x"]})
    expected = forward(tensors, rows["x"], "relu") * tensors["output.scale"] + tensors["output.mean"]
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * scale)
    assert np.sqrt(((ours - rows["y"]) ** 2).mean()) < 0.1 * rows["y"].std()
    test = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    held_out = np.load(tmp_path / "run" / "test.npy")
    error = forward(tensors, held_out["x"], "relu") * tensors["output.scale"] + tensors["output.mean"] - held_out["y"]
    np.testing.assert_allclose(test["mse"], (error**2).mean(), rtol=1e-3)
    np.testing.assert_allclose(test["loss"], ((error / tensors["output.scale"]) ** 2).mean(), rtol=1e-3)


def test_a_dash_is_standard_output_and_the_run_folder_stays_as_it_is(run, tmp_path):
    rows = b"".join(b'{"probs":[0.%d,0.5],"entropy":0.%d}\n' % (i, i) for i in range(10, 40))
    run("train", "-o", "run", "--quiet", "trainer.max_epochs=1", stdin=rows)
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    model = run("export", "run", "-o", "-")
    assert run("export", "run", "--out=-") == run("export", "run", "-o", "/dev/stdout") == model
    onnx.checker.check_model(onnx.load_model_from_string(model))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before
    run("export", "run")
    assert (tmp_path / "run/model.onnx").read_bytes() == model
    error = run("train", "-o", "-", "--quiet", stdin=rows, fails=2)
    assert error == "train: --out -: expected the name of a folder; standard output is none\n"
