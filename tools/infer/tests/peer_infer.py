"""Models of other programs, made with onnx: what infer reads of them, against NumPy."""

import json
import os

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

CAPI = os.path.join(os.path.dirname(onnxruntime.__file__), "capi")
LIBRARY = next(os.path.join(CAPI, name) for name in sorted(os.listdir(CAPI)) if name.startswith("libonnxruntime."))


@pytest.fixture(autouse=True)
def library(monkeypatch):
    monkeypatch.setenv("ORT_DYLIB_PATH", LIBRARY)


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
    (tmp_path / "rows.csv").write_text("b,id,a\n1,007,2\n4,008,3\n")
    assert run("infer", "-m", "m.onnx", "rows.csv") == b'b,id,a,predicted_label\n1,007,2,"no, never"\n4,008,3,yes\n'
    out = run("infer", "-m", "m.onnx", "rows.csv", "infer.probabilities=true", "--to", "ndjson").splitlines()
    assert json.loads(out[0]) == {
        "b": 1,
        "id": "007",
        "a": 2,
        "prediction": [4, 2],
        "predicted_label": "no, never",
        "probability_no, never": 4,
        "probability_yes": 2,
    }
