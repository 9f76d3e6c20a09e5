"""A table's whole job, from CSV to score, against NumPy, pandas, ONNX Runtime and scikit-learn."""

import csv
import io
import json
import subprocess

import jsonschema
import numpy as np
import onnxruntime
import pandas
import pytest
from peers import BIN, ROOT
from sklearn import metrics

pytestmark = pytest.mark.usefixtures("library")
QUICK = ["--quiet", "trainer.max_epochs=3"]


@pytest.fixture
def houses():
    """Ids, numbers with gaps, a text with gaps, a boolean and a code with leading zeros; a price in hundred thousands."""
    random = np.random.default_rng(0)
    n = 400
    table = pandas.DataFrame(
        {
            "id": np.arange(n) + 10_000,
            "sqft": random.integers(500, 3500, n),
            "age": random.uniform(0, 100, n).round(2),
            "district": random.choice(["north", "east", "Zürich, old"], n),
            "new": random.random(n) < 0.3,
            "zip": [f"0{i:03d}" for i in random.integers(1, 4, n)],
        }
    )
    table["price"] = 150.0 * table["sqft"] - 700 * table["age"] + 40_000 * (table["district"] == "north") + 90_000
    table["dear"] = np.where(table["price"] > table["price"].median(), "yes", "no")
    table.loc[random.random(n) < 0.1, "age"] = np.nan
    table.loc[random.random(n) < 0.1, "district"] = None
    return table


def write(table, path):
    """The rows in the encoding of the path's name."""
    if path.suffix == ".ndjson":
        records = json.loads(table.to_json(orient="records"))
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    elif path.suffix == ".npy":
        np.save(path, table.to_records(index=False, column_dtypes={name: "f8" for name in table.columns}))
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")


def encode(features, table):
    """The raw matrix, by the description of the features alone."""
    columns = []
    for entry in features["inputs"]:
        values = table[entry["name"]]
        if entry["kind"] == "number":
            columns.append(values.astype("f8").astype("f4").to_numpy()[:, None])
            continue
        filled = values.where(values.notna(), entry.get("fill"))
        columns.append(np.stack([(filled == name).to_numpy() for name in entry["categories"]], 1).astype("f4"))
        if entry.get("indicator"):
            columns.append(values.isna().to_numpy()[:, None].astype("f4"))
    return np.concatenate(columns, 1)


def forward(features, tensors, raw):
    """The network's outputs of a raw matrix, in f8."""
    fills, indicated, start = [], [], 0
    for entry in features["inputs"]:
        width = 1 if entry["kind"] == "number" else len(entry["categories"]) + entry.get("indicator", False)
        fills += entry.get("fill", [np.nan]) if entry["kind"] == "number" else [np.nan] * width
        indicated += [start] if entry["kind"] == "number" and entry.get("indicator") else []
        start += width
    x = np.where(np.isnan(raw), fills, raw)
    x = np.concatenate([x, np.isnan(raw[:, indicated])], 1).astype("f8")
    if "input.mean" in tensors:
        x = (x - tensors["input.mean"]) * tensors["input.scale"]
    layers = sorted({int(name.split(".")[1]) for name in tensors if name.startswith("layers.")})
    for layer in layers:
        x = x @ tensors[f"layers.{layer}.weight"].T.astype("f8") + tensors[f"layers.{layer}.bias"]
        x = np.maximum(x, 0) if layer != layers[-1] else x
    return x * tensors["output.scale"] + tensors["output.mean"] if "output.mean" in tensors else x


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


FIELDS = "trainer.input_field=[sqft,age,district,new,zip]"
FILLED = ["features.missing=median", "features.indicator=true", "features.categorical=[zip]"]


def test_a_price_from_csv_to_score(run, tensors, tmp_path, houses):
    write(houses, tmp_path / "houses.csv")
    run("train", "houses.csv", "-o", "run", FIELDS, "trainer.target_field=price", *FILLED, "--quiet", "trainer.max_epochs=120")
    run("export", "run")
    features = json.loads((tmp_path / "run/features.json").read_text())
    jsonschema.validate(features, json.loads((ROOT / "docs/features.schema.json").read_text()))
    assert [entry["name"] for entry in features["inputs"]] == ["sqft", "age", "district", "new", "zip"]
    assert [entry["kind"] for entry in features["inputs"]] == ["number", "number", "category", "number", "category"]
    metadata = onnxruntime.InferenceSession(tmp_path / "run/model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(metadata["pipegrad.features"]) == features

    # What infer adds to raw rows is what NumPy makes of the description and the weights.
    out = pandas.read_csv(io.BytesIO(run("infer", "-m", "run/model.onnx", "houses.csv")), dtype={"zip": str})
    raw = encode(features, houses)
    expected = forward(features, tensors(tmp_path / "run/model.safetensors"), raw)[:, 0]
    np.testing.assert_allclose(out["prediction"], expected, rtol=2e-5)
    pandas.testing.assert_frame_equal(out.drop(columns="prediction"), houses, check_dtype=False)
    # Fills, indicators and scaling are in the graph.
    session = onnxruntime.InferenceSession(tmp_path / "run/model.onnx")
    assert session.get_inputs()[0].name == "features"
    np.testing.assert_allclose(session.run(None, {"features": raw})[0], out["prediction"], rtol=1e-6)

    # The rows held out: test.csv has all scalars, test.npy the numbers, each row what it was.
    test = pandas.read_csv(tmp_path / "run/test.csv", dtype={"zip": str})
    assert len(test) == 40 and set(test.columns) == set(houses.columns)
    original = houses.set_index("id").loc[test["id"]].reset_index()
    pandas.testing.assert_frame_equal(test[houses.columns], original, check_dtype=False, rtol=1e-6)
    numbers = np.load(tmp_path / "run/test.npy")
    assert numbers.dtype["id"] == "<i8" and "district" not in numbers.dtype.names
    np.testing.assert_array_equal(numbers["id"], test["id"])

    scored = json.loads(run("score", "score.target_field=price", stdin=run("infer", "-m", "run/model.onnx", "run/test.csv")))
    ours = out.set_index("id").loc[test["id"], "prediction"]
    assert scored["r2"] == pytest.approx(metrics.r2_score(original["price"], ours), abs=1e-6)
    assert scored["r2"] > 0.95


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_classes_of_text_have_names_everywhere(run, tensors, tmp_path, houses, loss):
    write(houses, tmp_path / "houses.csv")
    settings = [FIELDS, "trainer.target_field=dear", f"trainer.loss={loss}", *FILLED, "--quiet", "trainer.max_epochs=40"]
    run("train", "houses.csv", "-o", "run", *settings)
    run("export", "run")
    features = json.loads((tmp_path / "run/features.json").read_text())
    assert features["target"]["classes"] == ["no", "yes"]
    text = run("infer", "-m", "run/model.onnx", "houses.csv", "--to", "ndjson", "infer.probabilities=true")
    rows = [json.loads(line) for line in text.splitlines()]
    outputs = forward(features, tensors(tmp_path / "run/model.safetensors"), encode(features, houses))
    probabilities = softmax(outputs) if loss == "cross_entropy" else 1 / (1 + np.exp(-np.hstack([-outputs, outputs])))
    np.testing.assert_allclose([[row["probability_no"], row["probability_yes"]] for row in rows], probabilities, atol=2e-6)
    labels = np.array(["no", "yes"])[probabilities.argmax(1)]
    assert [row["predicted_label"] for row in rows] == list(labels)
    expected = {
        "accuracy": metrics.accuracy_score(houses["dear"], labels),
        "auc": metrics.roc_auc_score(houses["dear"] == "yes", probabilities[:, 1]),
    }
    command = ["score", "score=classification", "score.target_field=dear"]
    scored = json.loads(run(*command, "--classes", "run/features.json", stdin=text))
    assert scored["labels"] == ["no", "yes"]
    for name, value in expected.items():
        assert scored[name] == pytest.approx(value, abs=1e-6)
    # By the label alone, from CSV, without names given ahead.
    table = run("infer", "-m", "run/model.onnx", "houses.csv")
    scored = json.loads(run(*command, "score.prediction_field=predicted_label", stdin=table))
    assert scored["accuracy"] == pytest.approx(expected["accuracy"]) and scored["labels"] == ["no", "yes"]
    confusion = metrics.confusion_matrix(houses["dear"], labels, labels=["no", "yes"])
    np.testing.assert_array_equal(scored["confusion_matrix"], confusion)
    assert "--classes" in run(*command, stdin=text, fails=2)


def test_the_same_rows_mean_the_same_in_every_encoding(run, tmp_path, houses):
    numbers = houses[["sqft", "age", "new", "price"]]
    settings = ["trainer.input_field=[sqft,age,new]", "trainer.target_field=price", "features.missing=mean", *QUICK]
    models = set()
    for name in ["rows.csv", "rows.tsv", "rows.ndjson", "rows.npy"]:
        write(numbers, tmp_path / name)
        run("train", name, "-o", "run", *settings)
        models.add((tmp_path / "run/model.safetensors").read_bytes() + (tmp_path / "run/metrics.json").read_bytes())
        run("export", "run")
        out = run("infer", "-m", "run/model.onnx", name, "--to", "npy")
        models_out = np.load(io.BytesIO(out)) if name == "rows.npy" else None
        predictions = run("infer", "-m", "run/model.onnx", name, "-o", f"{name}.out.csv")
        assert predictions == b""
        frame = pandas.read_csv(tmp_path / f"{name}.out.csv")
        reference = frame["prediction"].to_numpy() if name == "rows.csv" else reference
        np.testing.assert_array_equal(frame["prediction"], reference)
        assert models_out is None or np.array_equal(models_out["prediction"], reference.astype("f4"))
    assert len(models) == 1
    # Text has the shortest digits of a single-precision prediction, NPY all its bits.
    scores = []
    for name in ["rows.csv", "rows.tsv", "rows.ndjson", "rows.npy"]:
        data = run("infer", "-m", "run/model.onnx", name, "--dtype", "f8")
        delimiter = "tab" if "tsv" in name else ","
        scores.append(json.loads(run("score", "score.target_field=price", "--delimiter", delimiter, stdin=data)))
    assert all(score == pytest.approx(scores[0], rel=1e-7) for score in scores)


def test_text_means_the_same_in_csv_and_ndjson(run, tmp_path, houses):
    settings = [FIELDS, "trainer.target_field=dear", "trainer.loss=cross_entropy", *FILLED, *QUICK]
    results = []
    for name in ["rows.csv", "rows.ndjson"]:
        write(houses, tmp_path / name)
        run("train", name, "-o", "run", *settings)
        names = ["model.safetensors", "features.json", "metrics.json", "test.csv", "test.npy"]
        results.append([(tmp_path / "run" / name).read_bytes() for name in names])
    for one, other, name in zip(*results, names):
        assert one == other, name


def test_threads_and_a_resumed_run_change_nothing(run, tmp_path, houses):
    write(houses, tmp_path / "rows.csv")
    settings = [FIELDS, "trainer.target_field=price", *FILLED, "--quiet"]
    run("train", "rows.csv", "-o", "one", *settings, "--threads", 1, "trainer.max_epochs=4")
    run("train", "rows.csv", "-o", "two", *settings, "--threads", 3, "trainer.max_epochs=2")
    run("train", "rows.csv", "-o", "two", *settings, "--threads", 3, "trainer.max_epochs=4", "trainer.resume=last")
    for name in ["model.safetensors", "features.json", "metrics.json", "test.csv", "test.npy"]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    error = run("train", "rows.csv", "-o", "two", *settings, "trainer.resume=last", "features.missing=mean", fails=2)
    assert "features" in error


def test_what_a_new_row_lacks_or_no_training_row_had(run, tmp_path, houses):
    write(houses.dropna(), tmp_path / "rows.csv")
    settings = ["trainer.input_field=[sqft,age,district]", "trainer.target_field=price", *QUICK]
    run("train", "rows.csv", "-o", "strict", *settings)
    run("train", "rows.csv", "-o", "lenient", *settings, "features.missing=mean", "features.unseen=zero")
    for name in ["strict", "lenient"]:
        run("export", name)
    gap, new = "age,sqft,district,x\n1,2,north,a\n,3,north,b\n", "age,sqft,district,x\n1,2,north,a\n3,3,west,b\n"
    error = run("infer", "-m", "strict/model.onnx", stdin=gap.encode(), fails=2)
    assert error.startswith('infer: stdin:3: field "age" is missing') and error.count("\n") == 1
    error = run("infer", "-m", "strict/model.onnx", stdin=new.encode(), fails=2)
    assert error.startswith('infer: stdin:3: field "district" is "west", which no training row has')
    assert "features.unseen=zero" in error
    filled = run("infer", "-m", "lenient/model.onnx", stdin=gap.encode())
    mean = houses.dropna()["age"]
    assert len(list(csv.reader(io.StringIO(filled.decode())))) == 3 and mean.notna().all()
    run("infer", "-m", "lenient/model.onnx", stdin=new.encode())
    error = run("infer", "-m", "lenient/model.onnx", stdin=b"age,sqft\n1,2\n", fails=2)
    assert error == 'infer: stdin:1: no field "district" (there is age, sqft)\n'


def test_validation_and_test_files_are_encoded_by_the_training_rows(run, tmp_path, houses):
    write(houses[:300], tmp_path / "train.csv")
    write(houses[300:350][houses.columns[::-1]], tmp_path / "val.ndjson")
    write(houses[350:], tmp_path / "test.csv")
    settings = [FIELDS, "trainer.target_field=dear", "trainer.loss=cross_entropy", *FILLED, *QUICK]
    files = ["trainer.val_input=val.ndjson", "trainer.test_input=test.csv", "trainer.split=[1,0,0]"]
    run("train", "train.csv", "-o", "run", *settings, *files)
    features = json.loads((tmp_path / "run/features.json").read_text())
    median = next(entry for entry in features["inputs"] if entry["name"] == "age")["fill"][0]
    assert median == pytest.approx(houses["age"][:300].median(), rel=1e-6)
    test = pandas.read_csv(tmp_path / "run/test.csv")
    np.testing.assert_array_equal(test["id"], houses["id"][350:])
    strange = houses[300:350].assign(district="west")
    write(strange, tmp_path / "val.ndjson")
    error = run("train", "train.csv", "-o", "run", *settings, *files, fails=2)
    assert 'val.ndjson:1: field "district" is "west"' in error


def test_categories_that_look_like_numbers_are_the_same_in_every_encoding(run, tmp_path):
    random = np.random.default_rng(1)
    codes = random.integers(1, 4, 200)
    table = pandas.DataFrame({"code": codes, "x": random.normal(size=200).round(4), "y": codes * 1.5})
    settings = ["trainer.input_field=[code,x]", "trainer.target_field=y", "features.categorical=[code]", *QUICK]
    results = set()
    for name in ["rows.csv", "rows.ndjson", "rows.npy"]:
        write(table, tmp_path / name)
        run("train", name, "-o", "run", *settings)
        results.add((tmp_path / "run/features.json").read_bytes() + (tmp_path / "run/model.safetensors").read_bytes())
    assert len(results) == 1
    assert json.loads((tmp_path / "run/features.json").read_text())["inputs"][0]["categories"] == ["1", "2", "3"]
    run("export", "run")
    for name in ["rows.csv", "rows.ndjson", "rows.npy"]:
        run("infer", "-m", "run/model.onnx", name)
    rows = b'{"code":2.0,"x":1}\n{"code":"2","x":1}\n{"code":2,"x":1}\n'
    out = [json.loads(line)["prediction"] for line in run("infer", "-m", "run/model.onnx", stdin=rows).splitlines()]
    assert out[0] == out[1] == out[2]


def test_labels_that_look_like_numbers_are_names(run, tmp_path):
    table = "x,y\n" + "".join(f"{i % 7},{['1', '2', 'x'][i % 3]}\n" for i in range(60))
    (tmp_path / "rows.csv").write_text(table)
    run("train", "rows.csv", "-o", "run", "trainer.input_field=x", "trainer.target_field=y", "trainer.loss=cross_entropy", *QUICK)
    names = ["--classes", "run/features.json"]
    rows = b"y,p\n1,1\n2,2\n1,x\n"
    command = ["score", "score=classification", "score.target_field=y", "score.prediction_field=p", *names]
    scored = json.loads(run(*command, "score.prediction=labels", stdin=rows))
    assert scored["accuracy"] == pytest.approx(2 / 3) and scored["labels"] == ["1", "2", "x"]
    rows = b'{"y":1,"p":[0.9,0.1,0.0]}\n{"y":"x","p":[0.1,0.1,0.8]}\n'
    assert json.loads(run(*command, stdin=rows))["accuracy"] == 1


def test_an_odd_cell_among_numbers_is_named(run, tmp_path):
    table = "x,y\n" + "".join(f"{i},{i}\n" for i in range(50)) + "?,3\n"
    (tmp_path / "rows.csv").write_text(table)
    error = run("train", "rows.csv", "-o", "run", "trainer.input_field=[x]", "trainer.target_field=y", *QUICK, fails=2)
    assert error.startswith('train: rows.csv:52: field "x" is "?", and a number in 50 of 51 rows') and error.count("\n") == 1


def test_what_is_not_computed_with_keeps_its_digits(run):
    rows = b"id,x,flag\n9007199254740993,1,True\n,2,\n12E2,3,false\n"
    text = run("relu", "--field", "x", "--to", "ndjson", stdin=rows.replace(b"12E2", b"7"))
    assert text.splitlines()[0] == b'{"id":"9007199254740993","x":1.0,"flag":true}'
    rows = b'{"id":1031,"x":1,"flag":true}\n{"id":null,"x":2,"flag":null}\n'
    assert run("relu", "--field", "x", "--to", "csv", stdin=rows) == b"id,x,flag\n1031,1.0,true\n,2.0,\n"
    csv = run("relu", "--field", "x", "--to", "ndjson", stdin=b"id,x\n1031,1\n,2\n")
    assert csv == b'{"id":1031,"x":1.0}\n{"id":null,"x":2.0}\n'


def test_vectors_and_text_are_joined_and_checked(run, tmp_path):
    random = np.random.default_rng(2)
    rows = [{"id": f"r{i}", "v": list(random.normal(size=3)), "c": "ab"[i % 2], "y": float(i % 2)} for i in range(100)]
    (tmp_path / "rows.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for fields in ["[v,c]", "v"]:
        run("train", "rows.ndjson", "-o", "run", f"trainer.input_field={fields}", "trainer.target_field=y", *QUICK)
        run("export", "run")
    assert "infinite" not in run("infer", "-m", "run/model.onnx", "rows.ndjson").decode()
    error = run("infer", "-m", "run/model.onnx", stdin=b'{"v":[1e39,0,0]}\n', fails=2)
    assert error == 'infer: stdin:1: field "v" is inf as f32; a model has no answer to it\n'


def test_vectors_with_gaps_are_kept_for_the_test(run, tmp_path):
    rows = [{"c": "pq"[i % 2], "v": [i if i % 5 else None, i % 7], "y": float(i)} for i in range(200)]
    (tmp_path / "rows.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = ["trainer.input_field=[c,v]", "trainer.target_field=y", "features.missing=mean", *QUICK]
    run("train", "rows.ndjson", "-o", "run", *settings)
    run("export", "run")
    test = [json.loads(line) for line in (tmp_path / "run/test.ndjson").read_text().splitlines()]
    assert len(test) == 20 and all(row == rows[int(row["y"])] for row in test)
    assert any(row["v"][0] is None for row in test)
    run("infer", "-m", "run/model.onnx", "run/test.ndjson")


def test_gaps_of_npy_are_nulls(run, tmp_path):
    table = np.array([(1.5, 2.0), (np.nan, 3.0)], [("a", "<f4"), ("x", "<f8")])
    np.save(tmp_path / "rows.npy", table)
    out = run("relu", "--field", "x", "rows.npy", "--to", "ndjson")
    assert out == b'{"a":1.5,"x":2.0}\n{"a":null,"x":3.0}\n'
    table["a"][1] = np.inf
    np.save(tmp_path / "rows.npy", table)
    assert "NaN or infinite" in run("relu", "--field", "x", "rows.npy", "--to", "ndjson", fails=2)


def test_values_that_single_precision_merges_are_told(run, tmp_path):
    (tmp_path / "rows.csv").write_text("a,y\n" + "".join(f"{i},{1_700_000_000 + i}\n" for i in range(50)))
    command = ["train", "rows.csv", "-o", "run", "trainer.input_field=a", "trainer.target_field=y", "trainer.max_epochs=1"]
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    expected = 'train: field "y" is from 1700000000 to 1700000049, where f4 has steps of 128: subtract 1700000000 from it first\n'
    assert expected in done.stderr


def test_a_slip_in_the_target_is_no_class(run, tmp_path):
    (tmp_path / "rows.csv").write_text("a,y\n" + "".join(f"{i},{i}\n" for i in range(50)) + "3,?\n")
    error = run("train", "rows.csv", "-o", "run", "trainer.input_field=a", "trainer.target_field=y", *QUICK, fails=2)
    assert error.startswith('train: rows.csv:52: field "y" is "?", and a number in 50 of 51 rows; correct it')
