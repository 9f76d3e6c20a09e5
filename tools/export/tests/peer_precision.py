"""fp16 and int8 graphs against the fp32 ones they come from, in Python's ONNX Runtime, and the gate that judges them."""

import hashlib
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from onnx_models import MODELS, Net, cnn, mlp, residual, rows, tokens, two_outputs

pytestmark = pytest.mark.usefixtures("library")


def outputs(path, feeds):
    # As the tools do: without it, int8 products saturate on processors without VNNI.
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(path), options)
    return session.run(None, {value.name: feeds[value.name] for value in session.get_inputs()})


def checked(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return model


def operators(path):
    return [node.op_type for node in checked(path).graph.node]


def error_of(found, expected):
    """Mean error, in units of the output's root mean square, as the gate has it."""
    found, expected = found.astype(float), expected.astype(float)
    return np.abs(found - expected).mean() / np.sqrt((expected**2).mean())


@pytest.fixture
def model(tmp_path):
    """Writes a model and 300 rows for it."""

    def model(kind, **options):
        made = kind(**options)
        onnx.save(made, tmp_path / "m.onnx")
        table = rows(made, 300)
        np.save(tmp_path / "rows.npy", table)
        return table

    return model


@pytest.mark.parametrize("batch", ["batch", 4])
@pytest.mark.parametrize("name", MODELS)
def test_fp16_is_close_to_fp32(run, tmp_path, model, name, batch):
    table = model(MODELS[name], batch=batch)
    run("export", "--from", "m.onnx", "-o", "h.onnx", "precision=fp16", "gate.input=rows.npy")
    few = table[:4]
    (found,), (expected,) = outputs(tmp_path / "h.onnx", few), outputs(tmp_path / "m.onnx", few)
    assert found.dtype == expected.dtype and error_of(found, expected) < 2e-3
    weights = checked(tmp_path / "h.onnx").graph.initializer
    assert TensorProto.FLOAT16 in {weight.data_type for weight in weights}
    assert TensorProto.FLOAT not in {weight.data_type for weight in weights if len(weight.dims) > 1}
    assert (tmp_path / "h.onnx").stat().st_size < 0.75 * (tmp_path / "m.onnx").stat().st_size


@pytest.mark.parametrize("method", ["min_max", "percentile", "entropy"])
@pytest.mark.parametrize("target", ["onnxruntime", "tensorrt"])
@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "decoder", "two_inputs"])
def test_int8_is_close_to_fp32(run, tmp_path, model, name, target, method):
    table = model(MODELS[name])
    settings = ["precision=int8", f"target={target}", f"calibration.method={method}", "calibration.input=rows.npy"]
    run("export", "--from", "m.onnx", "-o", "q.onnx", *settings, "gate.min_agreement=null", "gate.max_mean_error=0.2")
    assert "QuantizeLinear" in operators(tmp_path / "q.onnx") and "BatchNormalization" not in operators(tmp_path / "q.onnx")
    (found,), (expected,) = outputs(tmp_path / "q.onnx", table), outputs(tmp_path / "m.onnx", table)
    assert error_of(found, expected) < 0.1
    manifest = json.loads((tmp_path / "q.json").read_text())
    assert manifest["model"]["precision"] == "int8" and manifest["int8"]["target"] == target
    calibration = manifest["calibration"]
    assert (calibration["method"], calibration["rows"]) == (method, 300)
    assert calibration["sha256"] == hashlib.sha256((tmp_path / "rows.npy").read_bytes()).hexdigest()


def test_the_gates_figures_are_those_of_numpy(run, tmp_path, model):
    table = model(cnn)
    truth = np.zeros(300, [*table.dtype.descr, ("label", "u1")])
    truth["image"] = table["image"]
    (expected,) = outputs(tmp_path / "m.onnx", table)
    truth["label"] = expected.argmax(1)
    truth["label"][:30] = (truth["label"][:30] + 1) % 5  # the fp32 model is wrong there
    np.save(tmp_path / "labelled.npy", truth)
    settings = ["precision=int8", "calibration.input=rows.npy", "gate.input=labelled.npy", "gate.target_field=label"]
    run("export", "--from", "m.onnx", "-o", "q.onnx", *settings, "gate.max_accuracy_drop=10")
    (found,) = outputs(tmp_path / "q.onnx", table)
    gate = json.loads((tmp_path / "q.json").read_text())["gate"]
    (errors,) = gate["outputs"]
    assert errors["name"] == "logits" and gate["rows"] == 300
    difference, scale = np.abs(found.astype(float) - expected), np.sqrt((expected.astype(float) ** 2).mean())
    assert errors["max_error"] == pytest.approx(difference.max(), rel=1e-3)
    assert errors["mean_error"] == pytest.approx(difference.mean(), rel=1e-3)
    assert errors["relative_mean_error"] == pytest.approx(difference.mean() / scale, rel=1e-3)
    assert gate["top1_agreement"] == pytest.approx(100 * (found.argmax(1) == expected.argmax(1)).mean())
    assert gate["fp32_accuracy"] == pytest.approx(90) and gate["accuracy"] == pytest.approx(
        100 * (found.argmax(1) == truth["label"]).mean()
    )


def test_a_gate_that_is_missed_is_exit_status_1_and_no_file(run, tmp_path, model):
    model(mlp)
    settings = ["precision=int8", "calibration.input=rows.npy", "calibration.rows=1"]
    for gate, message in [
        (["gate.max_mean_error=0", "gate.min_agreement=null"], "more than export.gate.max_mean_error = 0"),
        (["gate.min_agreement=100"], "fewer than export.gate.min_agreement = 100"),
    ]:
        error = run("export", "--from", "m.onnx", "-o", "q.onnx", *settings, *gate, fails=1)
        assert error.startswith("export: int8: ") and message in error and error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "rows.npy"]


def test_the_same_rows_give_the_same_bytes_on_any_number_of_threads(run, tmp_path, model, monkeypatch):
    model(residual)
    written = set()
    for threads in (1, 2, 5):
        monkeypatch.setenv("RAYON_NUM_THREADS", str(threads))
        run("export", "--from", "m.onnx", "-o", "q.onnx", "precision=int8", "calibration.input=rows.npy", "gate.min_agreement=null")
        written.add(((tmp_path / "q.onnx").read_bytes(), (tmp_path / "q.json").read_bytes()))
    assert len(written) == 1


def test_rows_of_every_encoding_calibrate_alike(run, tmp_path, model):
    table = model(mlp)
    lines = "".join(json.dumps({"x": [float(x) for x in row["x"]]}) + "\n" for row in table)
    (tmp_path / "rows.ndjson").write_text(lines)
    written = set()
    for name in ("rows.npy", "rows.ndjson"):
        run("export", "--from", "m.onnx", "-o", "q.onnx", "precision=int8", f"calibration.input={name}", "gate.min_agreement=null")
        written.add((tmp_path / "q.onnx").read_bytes())
    assert len(written) == 1


def test_hints_are_followed_to_the_letter(run, tmp_path, model):
    model(mlp)
    error = run("export", "--from", "m.onnx", "-o", "q.onnx", "precision=int8", fails=2)
    assert "export.calibration.input=FILE" in error and "export.calibration.random=true" in error and error.count("\n") == 1
    loose = ["gate.min_agreement=null", "gate.max_mean_error=0.5"]
    run("export", "--from", "m.onnx", "-o", "q.onnx", "precision=int8", "export.calibration.input=rows.npy", *loose)
    run("export", "--from", "m.onnx", "-o", "q.onnx", "precision=int8", "export.calibration.random=true", *loose)
    run("export", "--from", "m.onnx", "-o", "h.onnx", "precision=fp16")
    wide = np.zeros(5, [("x", "<f4", (9,))])
    np.save(tmp_path / "wide.npy", wide)
    np.save(tmp_path / "none.npy", wide[:0])
    np.save(tmp_path / "other.npy", np.zeros(5, [("z", "<f4", (8,))]))
    bad = rows(mlp(), 5)
    bad["x"][3, 2] = np.nan
    np.save(tmp_path / "nan.npy", bad)
    net = Net()
    onnx.save(net.model(net.node("Relu", [net.input("x", 8)], "y"), 8), tmp_path / "relu.onnx")
    cases = [
        (["--from", "m.onnx", "calibration.input=wide.npy"], "wide.npy: field x f4[9] has the wrong shape, expected [8] by the model"),
        (["--from", "m.onnx", "calibration.input=none.npy"], "none.npy: no rows"),
        (["--from", "m.onnx", "calibration.input=other.npy"], 'no field "x" (there is z)'),
        (["--from", "m.onnx", "calibration.input=nan.npy"], 'nan.npy: row 3: field "x" is NaN'),
        (["--from", "m.onnx", "calibration.input=gone.npy"], "gone.npy: No such file"),
        (["--from", "m.onnx", "calibration.input=rows.npy", "gate.target_field=label"], 'no field "label" (there is x)'),
        (["--from", "q.onnx", "calibration.input=rows.npy"], "already"),
        (["--from", "relu.onnx", "calibration.input=rows.npy"], "nothing to quantize"),
        (["--from", "m.onnx", "calibration.rows=0"], "export.calibration.rows: 0; at least 1 is needed"),
        (["--from", "m.onnx", "calibration.percentile=101"], "export.calibration.percentile: 101; expected 0 to 100"),
        (["--from", "m.onnx", "gate.min_agreement=101"], "export.gate.min_agreement: 101"),
    ]
    for args, message in cases:
        error = run("export", "-o", "x.onnx", "precision=int8", *args, fails=2)
        assert message in error and error.count("\n") == 1, (args, error)
    error = run("export", "--from", "h.onnx", "-o", "x.onnx", "precision=fp16", fails=2)
    assert error.startswith("export: h.onnx: its weights are float16 already")
    error = run("export", "--from", "h.onnx", "-o", "x.onnx", "precision=int8", "calibration.input=rows.npy", fails=2)
    assert error == "export: h.onnx: its weights are float16; int8 is made of the fp32 model\n"
    assert not (tmp_path / "x.onnx").exists()


def labelled(tmp_path, label):
    """Points in the plane, labelled by the nearest of three corners."""
    random = np.random.default_rng(0)
    corners = np.array([[0.0, 1.0], [0.9, -0.5], [-0.9, -0.5]])
    points = random.uniform(-1, 1, (4000, 2))
    nearest = np.argmin(((points[:, None] - corners) ** 2).sum(2), 1)
    lines = [json.dumps({"x": [*point], "label": label(int(index))}) for point, index in zip(points, nearest)]
    (tmp_path / "rows.ndjson").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("label", [int, "abc".__getitem__], ids=["numbers", "names"])
def test_a_run_is_calibrated_and_judged_on_its_held_out_rows(run, tmp_path, label):
    labelled(tmp_path, label)
    fields = ["trainer.input_field=x", "trainer.target_field=label", "trainer.loss=cross_entropy"]
    run("train", "rows.ndjson", "-o", "run", *fields, "optimizer.learning_rate=0.01", "trainer.max_epochs=5")
    run("export", "run")
    run("export", "run", "precision=int8", "calibration.rows=100", "gate.max_accuracy_drop=3")
    manifest = json.loads((tmp_path / "run/model.int8.json").read_text())
    assert manifest["calibration"]["rows"] == 100 and manifest["gate"]["rows"] == 300, "the 400 rows of the test split"
    assert manifest["source"]["file"] == "model.safetensors" and "content_sha256" not in manifest["source"]
    held_out = "run/test.npy" if label is int else "run/test.ndjson"
    test = run("infer", "-m", "run/model.int8.onnx", held_out, "--to", "ndjson").splitlines()[100:]
    rows_of = [json.loads(line) for line in test]
    classes = [label(int(np.argmax(row["prediction"]))) for row in rows_of]
    right = np.mean([row["label"] == found for row, found in zip(rows_of, classes)])
    assert manifest["gate"]["accuracy"] == pytest.approx(100 * right)
    assert manifest["gate"]["fp32_accuracy"] > 90
    error = run("export", "run", "precision=int8", "gate.max_accuracy_drop=-1", fails=2)
    assert "export.gate.max_accuracy_drop: -1" in error


def test_a_regression_is_judged_by_its_error(run, tmp_path):
    data = run("entropy", stdin=run("gen-data", "rows=4000", "--to", "npy"))
    run("train", "-o", "run", "trainer.max_epochs=5", stdin=data)
    run("export", "run", "precision=int8", "-o", "q.onnx")
    gate = json.loads((tmp_path / "q.json").read_text())["gate"]
    assert "top1_agreement" not in gate and gate["outputs"][0]["relative_mean_error"] < 0.05
    run("export", "run", "precision=fp16", "-o", "h.onnx")
    assert json.loads((tmp_path / "h.json").read_text())["gate"]["outputs"][0]["relative_mean_error"] < 1e-3
    error = run("export", "run", "precision=int8", "gate.target_field=entropy", fails=2)
    assert "export.gate.target_field: the model predicts numbers" in error


def test_inputs_and_outputs_may_become_float16(run, tmp_path, model):
    table = model(cnn)
    run("export", "--from", "m.onnx", "-o", "h.onnx", "precision=fp16", "gate.input=rows.npy", "fp16.keep_io=false")
    half = {name: table[name][:8].astype(np.float16) for name in table.dtype.names}
    (found,), (expected,) = outputs(tmp_path / "h.onnx", half), outputs(tmp_path / "m.onnx", table[:8])
    assert found.dtype == np.float16 and error_of(found, expected) < 5e-3
    assert json.loads((tmp_path / "h.json").read_text())["gate"]["rows"] == 300


def test_a_node_without_a_name_is_excluded_by_its_output(run, tmp_path, model):
    model(mlp)
    made = onnx.load(tmp_path / "m.onnx")
    for node in made.graph.node:
        node.name = ""
    onnx.save(made, tmp_path / "m.onnx")
    settings = ["precision=int8", "calibration.input=rows.npy"]
    name = next(node.output[0] for node in made.graph.node if node.op_type in ("Gemm", "MatMul"))
    run("export", "--from", "m.onnx", "-o", "q.onnx", *settings, f"int8.exclude_nodes=[{name}]")
    quantized = json.loads((tmp_path / "q.json").read_text())["int8"]["report"]["quantized"]
    assert quantized and not any(f'"{name}"' in node for node in quantized)
    error = run("export", "--from", "m.onnx", "-o", "q.onnx", *settings, "int8.exclude_nodes=[nope]", fails=2)
    assert 'no node or output is named "nope"' in error


def test_the_class_of_a_table_is_in_its_csv_of_held_out_rows(run, tmp_path):
    random = np.random.default_rng(0)
    lines = ["x,y,kind"] + [f"{x:.4f},{y:.4f},{'up' if x > y else 'down'}" for x, y in random.normal(size=(600, 2))]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    run(
        *("train", "t.csv", "-o", "run", "trainer.input_field=[x,y]", "trainer.target_field=kind", "trainer.loss=cross_entropy"),
        *("trainer.max_epochs=30", "--quiet"),
    )
    run("export", "run", "precision=int8", "calibration.rows=30", "gate.max_accuracy_drop=10")
    gate = json.loads((tmp_path / "run/model.int8.json").read_text())["gate"]
    assert gate["fp32_accuracy"] > 85 and gate["accuracy"] > 75


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_rows_of_a_normalized_input_calibrate(run, tmp_path, layout, as_bytes):
    """All rows have the form that the written model takes, those that check the clean-up included."""
    onnx.save(cnn(), tmp_path / "m.onnx")
    kind, shape = ("u1" if as_bytes else "<f4"), ((3, 8, 8) if layout == "nchw" else (8, 8, 3))
    table = np.zeros(200, [("image", kind, shape)])
    table["image"] = np.random.default_rng(0).integers(0, 256, (200, *shape))
    np.save(tmp_path / "rows.npy", table)
    settings = ["normalize.mean=[0.5]", "normalize.std=[0.3]", f"normalize.layout={layout}"]
    settings = [*settings, "normalize.bytes=true"] if as_bytes else ["normalize.mean=[127]", "normalize.std=[77]", settings[2]]
    run("export", "--from", "m.onnx", "-o", "f.onnx", *settings)
    int8 = ["precision=int8", "calibration.input=rows.npy", "gate.min_agreement=null"]
    run("export", "--from", "m.onnx", "-o", "q.onnx", *settings, *int8)
    (found,), (expected,) = outputs(tmp_path / "q.onnx", table), outputs(tmp_path / "f.onnx", table)
    assert error_of(found, expected) < 0.05


def test_rows_that_cannot_be_drawn_are_asked_for(run, tmp_path, model):
    model(tokens)
    for settings, hint in [
        (["precision=fp16"], "export.gate.input=FILE"),
        (["precision=int8", "calibration.random=true"], "export.calibration.input=FILE"),
    ]:
        error = run("export", "--from", "m.onnx", "-o", "x.onnx", *settings, fails=2)
        assert error.startswith('export: m.onnx: random rows cannot be drawn for input "tokens"') and hint in error
        assert error.count("\n") == 1
    run("export", "--from", "m.onnx", "-o", "h.onnx", "precision=fp16", "export.gate.input=rows.npy")
    loose = ["gate.min_agreement=null", "gate.max_mean_error=0.2"]
    run("export", "--from", "m.onnx", "-o", "q.onnx", "precision=int8", "export.calibration.input=rows.npy", *loose)


def test_outputs_without_numbers_miss_the_gate(run, tmp_path):
    net = Net()
    x = net.linear(net.input("x", 8), "hidden", 3, 8)
    nothing = net.constant("nothing", np.float32(np.nan))
    onnx.save(net.model(net.node("Add", [x, nothing], "y"), 3), tmp_path / "m.onnx")
    error = run("export", "--from", "m.onnx", "-o", "h.onnx", "precision=fp16", "simplify=false", fails=1)
    assert error == (
        'export: fp16: 768 of 768 values of output "y" are NaN or infinite in fp32 itself; '
        "name rows of finite outputs with export.gate.input=FILE\n"
    )
    onnx.save(mlp(), tmp_path / "m.onnx")
    error = run("export", "--from", "m.onnx", "-o", "h.onnx", "normalize.mean=[0]", "normalize.std=[1e-40]", fails=2)
    assert "a standard deviation is 1e-40; expected at least" in error
    error = run("export", "--from", "m.onnx", "-o", "h.onnx", "normalize.mean=[0]", "normalize.std=[2e-38]", "precision=fp16", fails=1)
    assert "are NaN or infinite" in error
    assert not (tmp_path / "h.onnx").exists()


def test_operators_that_are_not_there_are_told(run, tmp_path, model):
    model(mlp)
    int8, fp16 = ["precision=int8", "calibration.input=rows.npy", "gate.min_agreement=null"], ["precision=fp16"]
    for setting, settings in [("export.int8.exclude_ops", int8), ("export.fp16.keep_ops", fp16)]:
        error = run("export", "--from", "m.onnx", "-o", "x.onnx", *settings, f"{setting}=[Sofmax]", fails=2)
        assert error == f'export: {setting}: ONNX has no operator "Sofmax"; did you mean Softmax?\n'
        note = run("export", "--from", "m.onnx", "-o", "x.onnx", *settings, f"{setting}=[Conv]", fails=0)
        assert note == f"export: {setting}: the graph has no Conv; it has Gemm, Relu\n"
        note = run("export", "--from", "m.onnx", "-o", "x.onnx", *settings, f"{setting}=[Relu]", fails=0)
        assert note == ""


def test_a_label_that_is_no_class_is_named_with_its_row(run, tmp_path, model):
    table = model(mlp)
    for label, problem in [(7, "label 7 is no class of the model, which has 0 to 2"), (0.5, "label 0.5 is no class")]:
        labelled = np.zeros(300, [*table.dtype.descr, ("label", "<f4")])
        labelled["x"], labelled["label"][123] = table["x"], label
        np.save(tmp_path / "labelled.npy", labelled)
        settings = ["precision=fp16", "gate.input=labelled.npy", "gate.target_field=label"]
        error = run("export", "--from", "m.onnx", "-o", "h.onnx", *settings, fails=2)
        assert error.startswith(f"export: labelled.npy: row 123: {problem}") and error.count("\n") == 1, error


def test_a_target_field_needs_scores(run, tmp_path):
    net = Net(3)
    onnx.save(net.model(net.node("Reshape", [net.linear(net.input("x", 8), "h", 6, 8), net.constant("s", np.array([-1, 2, 3]))], "y"), 2, 3), tmp_path / "m.onnx")
    table = np.zeros(5, [("x", "<f4", (8,)), ("label", "u1")])
    np.save(tmp_path / "rows.npy", table)
    error = run("export", "--from", "m.onnx", "precision=fp16", "gate.input=rows.npy", "gate.target_field=label", fails=2)
    hint = "the output of m.onnx has no scores of classes; export.output=NAME names another"
    assert error == f"export: export.gate.target_field: {hint}\n"


def test_the_output_of_scores_is_judged(run, tmp_path):
    made = two_outputs()
    made.graph.output.extend([*made.graph.output][:1])
    del made.graph.output[0]  # the values before the scores come first
    onnx.save(made, tmp_path / "m.onnx")
    table = rows(made, 100)
    labelled = np.zeros(100, [*table.dtype.descr, ("label", "u1")])
    labelled["image"], (_, scores) = table["image"], outputs(tmp_path / "m.onnx", table)
    labelled["label"] = scores.argmax(1)
    np.save(tmp_path / "rows.npy", labelled)
    settings = ["precision=fp16", "gate.input=rows.npy", "gate.target_field=label", "gate.max_accuracy_drop=5"]
    run("export", "--from", "m.onnx", "-o", "h.onnx", *settings, "export.output=logits")
    assert json.loads((tmp_path / "h.json").read_text())["gate"]["fp32_accuracy"] == 100
    error = run("export", "--from", "m.onnx", "-o", "h.onnx", *settings, "export.output=z", fails=2)
    assert error == 'export: export.output: no output is called "z"; there are "flat", "logits"\n'


def test_settings_of_calibration_have_limits(run, tmp_path, model):
    model(mlp)
    for setting, message in [
        ("calibration.bins=70000", "export.calibration.bins: 70000; expected 1 to 65536"),
        ("calibration.bins=0", "export.calibration.bins: 0; expected 1 to 65536"),
        ("calibration.batch_size=1000000000000", "export.calibration.batch_size: 1000000000000; expected 1 to 65536"),
        ("gate.batch_size=0", "export.gate.batch_size: 0; expected 1 to 65536"),
        ("calibration.levels=300", "export.calibration.levels: 300; expected 2 to the number of bins, 256 (export.calibration.bins)"),
        ("calibration.input=/dev/null", "export.calibration.input: /dev/null: expected a file, which can be read more than once"),
    ]:
        args = ["precision=int8", "calibration.input=rows.npy", "calibration.method=entropy", setting]
        error = run("export", "--from", "m.onnx", "-o", "q.onnx", *args, fails=2)
        assert error == f"export: {message}\n"


@pytest.mark.parametrize("method", ["min_max", "percentile", "entropy"])
@pytest.mark.parametrize("kind", [mlp, cnn])
def test_a_fixed_batch_size_changes_no_range(run, tmp_path, kind, method):
    """Seven rows for batches of four: what fills the last batch is not observed."""
    table = rows(kind(), 7)
    np.save(tmp_path / "rows.npy", table)
    scales = []
    for batch in ("batch", 4, 1):
        onnx.save(kind(batch=batch), tmp_path / "m.onnx")
        settings = ["precision=int8", "calibration.input=rows.npy", f"calibration.method={method}"]
        loose = ["gate.min_agreement=null", "gate.max_mean_error=null"]
        run("export", "--from", "m.onnx", "-o", "q.onnx", *settings, *loose)
        weights = {weight.name: onnx.numpy_helper.to_array(weight) for weight in checked(tmp_path / "q.onnx").graph.initializer}
        scales.append({name: value for name, value in weights.items() if "scale" in name})
        gate = json.loads((tmp_path / "q.json").read_text())["gate"]
        assert gate["rows"] == 7
    assert scales[0] and scales[0].keys() == scales[1].keys() == scales[2].keys()
    for other in scales[1:]:
        for name, value in scales[0].items():
            np.testing.assert_allclose(other[name], value, rtol=1e-5, err_msg=name)
