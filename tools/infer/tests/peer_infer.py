"""Models of other programs, made with onnx: what infer reads of them, against NumPy."""

import io
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

pytestmark = pytest.mark.usefixtures("library")


def doubling(path, batch, dtype=TensorProto.FLOAT, metadata=None):
    """A model that doubles rows `x` of two values, `batch` at a time."""
    x = helper.make_tensor_value_info("x", dtype, [batch, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 2])
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["f", "f"], ["y"]),
    ]
    model = helper.make_model(helper.make_graph(nodes, "doubling", [x], [y]), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)


@pytest.mark.parametrize("batch", ["batch", 1, 3, 7, 100])
@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.UINT8])
def test_a_model_of_fixed_batch_size_runs_in_blocks_of_it(run, tmp_path, batch, dtype):
    doubling(tmp_path / "m.onnx", batch, dtype)
    values = np.arange(14).reshape(7, 2)
    text = "".join(json.dumps({"x": row.tolist()}) + "\n" for row in values)
    for settings in [[], ["infer.batch_size=2"]]:
        out = [json.loads(line) for line in run("infer", "-m", "m.onnx", *settings, stdin=text.encode()).splitlines()]
        np.testing.assert_array_equal([row["prediction"] for row in out], values * 2)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("{}", "no features of a model"),
        ('{"version":9,"inputs":[],"target":{"name":"y","shape":[]}}', "features of version 9"),
        ('{"version":1,"inputs":[{"kind":"number","name":"x","shape":[3]}],"target":{"name":"y","shape":[]}}', "come to [3]"),
        (
            '{"version":1,"inputs":[{"kind":"number","name":"x","shape":[99999999999,99999999999]}],'
            '"target":{"name":"y","shape":[]}}',
            "no numbers",
        ),
        ("[" * 100_000, "no features of a model"),
    ],
)
def test_damaged_features_are_one_line(run, tmp_path, features, message):
    doubling(tmp_path / "m.onnx", "batch", metadata={"pipegrad.features": features})
    error = run("infer", "-m", "m.onnx", stdin=b'{"x":[1,2]}\n', fails=2)
    assert error.startswith("infer: m.onnx: ") and message in error and error.count("\n") == 1


def test_fields_that_are_there_are_not_written_over(run, tmp_path):
    doubling(tmp_path / "m.onnx", "batch")
    error = run("infer", "-m", "m.onnx", stdin=b'{"x":[1,2],"prediction":0}\n', fails=2)
    assert error == 'infer: stdin:1: field "prediction" is already there; choose another name with --out-field\n'
    out = run("infer", "-m", "m.onnx", "--out-field", "twice", stdin=b'{"x":[1,2],"prediction":0}\n')
    assert json.loads(out)["twice"] == [2, 4]
    error = run("infer", "-m", "m.onnx", "infer.probabilities=true", stdin=b'{"x":[1,2]}\n', fails=2)
    assert error.startswith("infer: infer.probabilities: the model has no names of classes")


def test_csv_has_cells_for_scalars_only(run, tmp_path):
    features = {
        "version": 1,
        "inputs": [{"kind": "number", "name": name, "shape": []} for name in "ab"],
        "target": {"name": "kind", "shape": [2], "classes": ["no, never", "yes"]},
    }
    doubling(tmp_path / "m.onnx", "batch", metadata={"pipegrad.features": json.dumps(features)})
    (tmp_path / "rows.csv").write_text("b,id,a\n0.125,007,0.25\n0.5,008,0.375\n")
    labelled = b'b,id,a,predicted_label\n0.125,007,0.25,"no, never"\n0.5,008,0.375,yes\n'
    assert run("infer", "-m", "m.onnx", "rows.csv") == labelled
    out = run("infer", "-m", "m.onnx", "rows.csv", "infer.probabilities=true", "--to", "ndjson").splitlines()
    assert json.loads(out[0]) == {
        "b": 0.125,
        "id": "007",
        "a": 0.25,
        "prediction": [0.5, 0.25],
        "predicted_label": "no, never",
        "probability_no, never": 0.5,
        "probability_yes": 0.25,
    }


def external(folder, location, values):
    """A model `x · w` whose weights are in a file."""
    weights = onnx.TensorProto(dims=[2, 2], data_type=TensorProto.FLOAT, name="w", data_location=TensorProto.EXTERNAL)
    for key, value in [("location", location), ("offset", "0"), ("length", "16")]:
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "external", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    folder.mkdir(exist_ok=True)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    if values is not None:
        (np.eye(2, dtype="f4") * values).tofile(folder / location)


def test_weights_are_those_beside_the_model_whatever_the_working_folder_has(run, tmp_path):
    external(tmp_path / "model", "w.bin", 2)
    (np.eye(2, dtype="f4") * 1000).tofile(tmp_path / "w.bin")
    for path in ["model/m.onnx", str(tmp_path / "model/m.onnx")]:
        (row,) = run("infer", "-m", path, stdin=b'{"x":[1,2]}\n').splitlines()
        assert json.loads(row)["prediction"] == [2, 4]


@pytest.mark.parametrize("location", ["../w.bin", "/dev/zero", "link", "none", "", "sub/../../w.bin"])
def test_weights_elsewhere_are_refused(run, tmp_path, location):
    external(tmp_path / "model", location, None)
    (np.eye(2, dtype="f4")).tofile(tmp_path / "w.bin")
    (np.eye(2, dtype="f4")).tofile(tmp_path / "none")
    (tmp_path / "model/sub").mkdir()
    (tmp_path / "model/link").symlink_to("../w.bin")
    error = run("infer", "-m", "model/m.onnx", stdin=b'{"x":[1,2]}\n', fails=2)
    assert error.startswith("infer: model/m.onnx: weights file ") and 'tensor "w"' in error and error.count("\n") == 1, error
    error = run("infer", "-m", "model/m.onnx", "infer.runtime=ort", stdin=b'{"x":[1,2]}\n', fails=2)
    assert error.startswith("infer: model/m.onnx: its weights in ") and error.count("\n") == 1, error


def test_the_librarys_log_is_not_shown_and_a_models_text_is_escaped(run, tmp_path):
    name = "\x1b]0;pwned\x07\x1b[2Jevil\nsecond line" + "x" * 10_000
    node = helper.make_node("Gather", ["w", "i"], ["y"], name=name)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    tensors = [onnx.numpy_helper.from_array(np.zeros((2, 2), "f4"), "w"), onnx.numpy_helper.from_array(np.array([5], "i8"), "i")]
    model = helper.make_model(helper.make_graph([node], "g", [x], [y], tensors), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "m.onnx")
    error = run("infer", "-m", "m.onnx", stdin=b'{"x":[1,2]}\n', fails=2)
    assert error.startswith("infer: m.onnx: ") and error.count("\n") == 1 and len(error) < 1000, error
    assert not any(ord(character) < 32 for character in error[:-1]), error


TYPES = {
    "f4": TensorProto.FLOAT,
    "f8": TensorProto.DOUBLE,
    "i8": TensorProto.INT64,
    "i4": TensorProto.INT32,
    "u1": TensorProto.UINT8,
    "b1": TensorProto.BOOL,
}


def pair(path, a, b):
    """Inputs `a` and `b` of these types, outputs `first` (float32, `a + b`) and `second` (of the type of `b`, `b`)."""
    inputs = [helper.make_tensor_value_info(name, TYPES[dtype], ["n", 3]) for name, dtype in [("a", a), ("b", b)]]
    outputs = [
        helper.make_tensor_value_info("first", TensorProto.FLOAT, ["n", 3]),
        helper.make_tensor_value_info("second", TYPES[b], ["n", 3]),
    ]
    nodes = [
        helper.make_node("Cast", ["a"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "y"], ["first"]),
        helper.make_node("Identity", ["b"], ["second"]),
    ]
    model = helper.make_model(helper.make_graph(nodes, "pair", inputs, outputs), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


@pytest.mark.parametrize("runtime", ["auto", "ort"])
@pytest.mark.parametrize("a", TYPES)
@pytest.mark.parametrize("b", TYPES)
def test_two_inputs_and_two_outputs_of_each_type(run, tmp_path, a, b, runtime):
    pair(tmp_path / "m.onnx", a, b)
    rows = np.zeros(50, [("left", a, 3), ("b", b, 3)])
    random = np.random.default_rng(0)
    for name in rows.dtype.names:
        rows[name] = random.integers(0, 2 if rows[name].dtype == bool else 200, (50, 3))
    np.save(tmp_path / "rows.npy", rows)
    args = ["-m", "m.onnx", "infer.inputs={a: left}", "infer.outputs={second: s, first: f}", "infer.batch_size=7"]
    out = np.load(io.BytesIO(run("infer", *args, f"infer.runtime={runtime}", "rows.npy")))
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    first, second = session.run(["first", "second"], {"a": rows["left"], "b": rows["b"]})
    assert out.dtype.names == ("left", "b", "s", "f")
    assert (out["f"].dtype, out["s"].dtype) == (first.dtype, second.dtype)
    np.testing.assert_array_equal(out["f"], first)
    np.testing.assert_array_equal(out["s"], second)


@pytest.mark.parametrize(
    ("dtype", "row", "message"),
    [
        ("i8", "[1, 2.5, 3]", "has 2.5; expected whole numbers that int64 holds, below 2^53"),
        ("i8", "[1, 9007199254740993, 3]", "expected whole numbers that int64 holds, below 2^53"),
        ("i4", "[1, 3000000000, 3]", "expected whole numbers that int32 holds, below 2^53"),
        ("u1", "[1, 256, 3]", "has 256; expected whole numbers from 0 to 255"),
        ("b1", "[1, 2, 0]", "has 2; expected true, false, 1 or 0"),
    ],
)
def test_values_that_an_input_does_not_hold_are_named(run, tmp_path, dtype, row, message):
    pair(tmp_path / "m.onnx", "f4", dtype)
    args = ["-m", "m.onnx", "infer.outputs={first: f}"]
    error = run("infer", *args, stdin=f'{{"a":[0,0,0],"b":{row}}}\n'.encode(), fails=2)
    assert error.startswith("infer: stdin:1: field \"b\"") and message in error and error.count("\n") == 1, error


def test_a_field_of_another_shape_is_named_with_its_input(run, tmp_path):
    pair(tmp_path / "m.onnx", "f4", "f8")
    error = run("infer", "-m", "m.onnx", "infer.outputs={first: f}", stdin=b'{"a":[0,0,0],"b":[1,2]}\n', fails=2)
    assert error == 'infer: stdin: field b f8[2] has the wrong shape, expected [3] by the model\'s "b"\n'


def test_booleans_and_integers_come_from_text(run, tmp_path):
    pair(tmp_path / "m.onnx", "i8", "b1")
    rows = b'{"a":[1,-2,3],"b":[true,false,true]}\n'
    (row,) = run("infer", "-m", "m.onnx", "infer.outputs={first: f, second: s}", stdin=rows).splitlines()
    assert json.loads(row) == {"a": [1, -2, 3], "b": [True, False, True], "f": [2.0, -2.0, 4.0], "s": [True, False, True]}
