"""MLflow's scoring protocol: `serve` beside a real `mlflow models serve` of the same model, and MLflow's own client."""

import gzip
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pandas as pd
import pytest
from peer_records import FRUIT, infer, mlp, ndjson
from peers import with_tools
from serving import PATIENCE, Server, save_add, save_identity

JSON = {"Content-Type": "application/json"}


def save_mlflow(path, model, inputs, outputs):
    """Writes a model of MLflow's, with a signature of tensors as `track` logs it."""
    import mlflow.onnx
    import onnx
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    schema = lambda specs: Schema([TensorSpec(np.dtype(dtype), shape, name) for name, dtype, shape in specs])  # noqa: E731
    signature = ModelSignature(schema(inputs), schema(outputs))
    mlflow.onnx.save_model(onnx.load(model), path, signature=signature, pip_requirements=["onnxruntime"])


class Real:
    """`mlflow models serve` of a model."""

    def __init__(self, path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = ["mlflow", "models", "serve", "-m", path, "--env-manager", "local", "-h", "127.0.0.1", "-p", str(self.port)]
        environment = os.environ | {"PATH": with_tools(os.path.dirname(sys.executable))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
            start_new_session=True,
        )  # fmt: skip
        end = time.monotonic() + 3 * PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=PATIENCE)
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, "mlflow models serve does not start"
                time.sleep(0.1)

    def stop(self):
        os.killpg(self.process.pid, 15)
        self.process.wait(PATIENCE)


def ask(port, body, headers=JSON, path="/invocations", method="POST"):
    """Status, content type and body."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get_content_type(), error.read()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def net(folder):
    """A server of a network of numbers."""
    with Server(mlp(folder / "net.onnx", [4, 16, 2])) as server:
        yield server


@pytest.fixture(scope="module")
def both(folder, net):
    """The ports of both servers, of the same model."""
    save_mlflow(folder / "net", folder / "net.onnx", [("x", "float32", (-1, 4))], [("y", "float32", (-1, 2))])
    real = Real(folder / "net")
    yield int(net.http.split(":")[1]), real.port
    real.stop()


VALUES = np.random.default_rng(3).normal(size=(50, 4)).astype("f4")

SAME = {
    "inputs": {"inputs": VALUES.tolist()},
    "one row": {"inputs": [[1, 2, 3, 4]]},
    "inputs by name": {"inputs": {"x": VALUES.tolist()}},
    "instances": {"instances": VALUES.tolist()},
    "instances by name": {"instances": {"x": VALUES.tolist()}},
    "instances of objects": {"instances": [{"x": row} for row in VALUES.tolist()]},
    "split": {"dataframe_split": {"columns": ["x"], "data": [[row] for row in VALUES.tolist()]}},
    "split, data first": {"dataframe_split": {"data": [[row] for row in VALUES.tolist()], "columns": ["x"], "index": [*range(50)]}},
    "split, another column": {"dataframe_split": {"columns": ["id", "x"], "data": [["a", [1, 2, 3, 4]], ["b", [5, 6, 7, 8]]]}},
    "records": {"dataframe_records": [{"x": row} for row in VALUES.tolist()]},
    "params": {"inputs": [[1, 2, 3, 4]], "params": {"temperature": 1}},
    "another key": {"inputs": [[1, 2, 3, 4]], "other": [1]},
    "not a number": {"inputs": [[float("nan"), 2, 3, 4], [float("inf"), 0, 0, 1], [float("-inf"), 1e30, 0, 0]]},
    "null": {"inputs": [[None, 2, 3, 4]]},
    "wrong width": {"inputs": [[1, 2, 3]]},
    "wrong rank": {"inputs": [1, 2, 3, 4]},
    "ragged": {"inputs": [[1, 2, 3, 4], [1]]},
    "text": {"inputs": [[1, 2, 3, "four"]]},
    "no rows": {"inputs": []},
    "another name": {"inputs": {"z": [[1, 2, 3, 4]]}},
    "another column": {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}},
    "two formats": {"inputs": [[1, 2, 3, 4]], "instances": [[1, 2, 3, 4]]},
    "no format": {"data": [[1, 2, 3, 4]]},
    "a list": [[1, 2, 3, 4]],
    "a number": 7,
    "records that are none": {"dataframe_records": {"x": [1, 2, 3, 4]}},
    "split that is none": {"dataframe_split": [[1, 2, 3, 4]]},
    "split with another key": {"dataframe_split": {"columns": ["x"], "data": [], "more": 1}},
    "split without data": {"dataframe_split": {"columns": ["x"]}},
    "cells left over": {"dataframe_split": {"columns": ["x"], "data": [[[1, 2, 3, 4], 5]]}},
}


@pytest.mark.parametrize("request_", SAME.values(), ids=SAME)
def test_both_answer_the_same(both, request_):
    ours, theirs = (ask(port, json.dumps(request_).encode()) for port in both)
    # Some errors are of the schema for one and of the JSON for the other.
    assert ours[:2] == theirs[:2], (ours, theirs)
    ours, theirs = json.loads(ours[2]), json.loads(theirs[2])
    assert ours.keys() <= theirs.keys()
    if "predictions" not in theirs:
        assert {ours["error_code"], theirs["error_code"]} <= {"BAD_REQUEST", "INVALID_PARAMETER_VALUE"} and ours["message"]
        return
    assert ours.keys() == theirs.keys() and ours["predictions"].keys() == theirs["predictions"].keys()
    # The same float32, written as the same float64; summation orders of two builds of ONNX Runtime are the same.
    for name, values in theirs["predictions"].items():
        np.testing.assert_array_equal(np.array(ours["predictions"][name], "f8"), np.array(values, "f8"))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"inputs": [[1,2,3,4]]', JSON),
        (b"", JSON),
        (b'{"inputs": [[1,2,3,4]]} x', JSON),
        (b'{"inputs": [["\xff"]]}', JSON),
        (b'{"inputs": [[1,2,3,4]]}', {"Content-Type": "application/json; charset=UTF-8"}),
        (b'{"inputs": [[1,2,3,4]]}', {"Content-Type": "application/json; charset=latin1"}),
        (b'{"inputs": [[1,2,3,4]]}', {"Content-Type": "application/json; format=pandas-split"}),
        (b"x", {"Content-Type": "text/plain"}),
        (b"x", {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
)
def test_both_refuse_or_take_the_same_bodies(both, body, headers):
    ours, theirs = (ask(port, body, headers) for port in both)
    assert ours[:2] == theirs[:2], (ours, theirs)
    if ours[0] == 400:
        assert json.loads(ours[2])["error_code"] == json.loads(theirs[2])["error_code"] == "BAD_REQUEST"


def test_both_have_the_same_other_paths(both):
    for path in ["/ping", "/health", "/version"]:
        ours, theirs = (ask(port, None, {}, path, "GET") for port in both)
        assert ours[0] == theirs[0] == 200
        if path == "/version":
            assert [part.isdigit() for part in ours[2].decode().split(".")] == [True] * 3
            assert ours[2].split(b".")[0] == theirs[2].split(b".")[0]
        else:
            assert ours[1:] == theirs[1:]
    assert [ask(port, None, {}, method="GET")[0] for port in both] == [405, 405]


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"x": VALUES.tolist()}),
        VALUES,
        VALUES.tolist(),
        {"instances": VALUES.tolist()},
    ],
    ids=["data frame", "array", "list", "dictionary"],
)
def test_mlflows_client(both, data):
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    frames = []
    for port in both:
        client = ScoringServerClient("127.0.0.1", port)
        client.wait_server_ready()
        data = json.dumps(data) if isinstance(data, dict) else data
        frames.append(client.invoke(data, params={"a": 1} if not isinstance(data, str) else None).get_predictions())
        assert client.get_version()
    assert frames[0].equals(frames[1])


def test_columns_of_a_frame_are_the_input_of_a_model_with_one(folder, net):
    """As MLflow does for a model whose signature is an array: compared with its own server's code, without a socket."""
    import mlflow.onnx
    import onnx
    from mlflow.models import infer_signature
    from mlflow.pyfunc import load_model
    from mlflow.pyfunc.scoring_server import invocations

    signature = infer_signature(VALUES, np.zeros((1, 2), "f4"))
    mlflow.onnx.save_model(
        onnx.load(folder / "net.onnx"), folder / "array", signature=signature, pip_requirements=["onnxruntime"]
    )
    model = load_model(str(folder / "array"))
    frame = pd.DataFrame(VALUES, columns=list("abcd"))
    for body in [
        {"dataframe_split": frame.to_dict(orient="split")},
        {"dataframe_split": {"data": VALUES.tolist()}},
        {"dataframe_records": frame.to_dict(orient="records")},
    ]:
        theirs = invocations(json.dumps(body).encode(), "application/json", model, model.metadata.get_input_schema())
        status, _, ours = net.get("/invocations", json.dumps(body).encode(), JSON)
        assert (status, json.loads(ours)) == (200, json.loads(theirs.response))
    # MLflow's own CSV fails with a signature of tensors.
    status, _, ours = net.get("/invocations", frame.to_csv(index=False).encode(), {"Content-Type": "text/csv; charset=utf-8"})
    assert status == 200
    np.testing.assert_allclose(json.loads(ours)["predictions"]["y"], json.loads(theirs.response)["predictions"]["y"], 1e-6)
    # Another width, rows of unequal width, and text.
    for csv in [b"a,b\n1,2\n", b"a,b,c,d\n1,2,3\n", b"a,b,c,d\n1,2,3,x\n", b"", b"a,b,c,d\n", b'{"a":1}\n']:
        status, _, ours = net.get("/invocations", csv, {"Content-Type": "text/csv"})
        assert status == 400 and json.loads(ours)["error_code"], csv


def test_several_inputs_and_outputs(folder):
    with Server(save_add(folder / "add.onnx", ("n",))) as server:
        a, b = [1.5, 2.0, 3.0], [10.0, 20.0, 30.0]
        expected = {"predictions": {"sum": [11.5, 22, 33], "difference": [-8.5, -18, -27]}}
        frame = pd.DataFrame({"a": a, "b": b, "c": ["x", None, float("nan")]})
        bodies = [
            {"inputs": {"a": a, "b": b}},
            {"instances": {"b": b, "a": a, "c": [float("nan")]}},
            {"instances": [{"a": x, "b": y} for x, y in zip(a, b, strict=True)]},
            {"dataframe_split": frame.to_dict(orient="split")},
            {"dataframe_records": frame.to_dict(orient="records")},
        ]
        for body in bodies:
            status, _, answer = server.get("/invocations", json.dumps(body).encode(), JSON)
            assert (status, json.loads(answer)) == (200, expected), body
        status, _, answer = server.get("/invocations", b"b,a\n10,1.5\n20,2\n30,3\n", {"Content-Type": "text/csv"})
        assert (status, json.loads(answer)) == (200, expected)
        for body in [{"inputs": {"a": a}}, {"inputs": a}, {"inputs": {"a": a, "b": [1]}}, {"inputs": {"a": a, "a ": b}}]:
            status, _, answer = server.get("/invocations", json.dumps(body).encode(), JSON)
            assert status == 400 and json.loads(answer)["error_code"] == "INVALID_PARAMETER_VALUE", body
        status, _, answer = server.get("/invocations", b'{"inputs": {"a": [1], "a": [1], "b": [1]}}', JSON)
        assert status == 400 and "twice" in json.loads(answer)["message"]


@pytest.mark.parametrize(
    ("kind", "values"),
    [("INT64", [2**62, -1]), ("INT32", [-5, 7]), ("UINT8", [0, 255]), ("BOOL", [True, False]), ("BYTES", ["é", 'q"']), ("FP64", [0.1, 1e300])],
)
def test_elements_of_every_kind_come_back(folder, kind, values):
    with Server(save_identity(folder / f"{kind.lower()}.onnx", kind, ("n",))) as server:
        for body in [{"inputs": values}, {"dataframe_records": [{"x": value} for value in values]}]:
            status, _, answer = server.get("/invocations", json.dumps(body).encode(), JSON)
            assert (status, json.loads(answer)) == (200, {"predictions": {"y": values}})
        many = (values * 100)[:150]
        status, _, answer = server.get("/invocations", json.dumps({"inputs": many}).encode(), JSON)
        assert (status, json.loads(answer)) == (200, {"predictions": {"y": many}})
        if kind == "INT64":
            assert server.get("/invocations", b'{"inputs": [1.5]}', JSON)[0] == 400
            status, _, answer = server.get("/invocations", b"x\n3\n-4\n", {"Content-Type": "text/csv"})
            assert (status, json.loads(answer)) == (200, {"predictions": {"y": [3, -4]}})


FRUIT_ROWS = [
    {"id": 1, "color": "red", "size": 0.25},
    {"id": 2, "color": 2, "size": -3},
    {"id": 3, "color": None, "size": 7},
    {"id": 4, "color": "2.0", "size": 1e-3},
]


@pytest.fixture(scope="module")
def fruit(folder):
    with Server(mlp(folder / "fruit.onnx", [3, 8, 3], FRUIT)) as server:
        yield server


def test_rows_of_a_table_get_labels_as_from_infer(folder, fruit):
    text = ndjson(FRUIT_ROWS)
    status, expected, error = infer(folder / "fruit.onnx", text)
    assert status == 0, error
    expected = [json.loads(line) for line in expected.splitlines()]
    frame = pd.DataFrame(FRUIT_ROWS).astype({"color": object})
    csv = "id,color,size\n1,red,0.25\n2,2,-3\n3,,7\n4,2.0,1e-3\n"
    columns = {name: [row[name] for row in FRUIT_ROWS] for name in ["color", "size"]}
    for body in [
        {"dataframe_split": frame.to_dict(orient="split")},
        {"dataframe_records": FRUIT_ROWS},
        {"dataframe_records": [dict(reversed(row.items())) for row in FRUIT_ROWS]},
        {"instances": FRUIT_ROWS},
        {"inputs": columns},
        csv,
    ]:
        is_csv = isinstance(body, str)
        data, headers = (body, {"Content-Type": "text/csv"}) if is_csv else (json.dumps(body), JSON)
        status, _, answer = fruit.get("/invocations", data.encode(), headers)
        assert status == 200, answer
        rows = json.loads(answer)["predictions"]
        assert [row["predicted_label"] for row in rows] == [row["predicted_label"] for row in expected]
        np.testing.assert_array_equal(
            np.array([row["prediction"] for row in rows], "f4"), np.array([row["prediction"] for row in expected], "f4")
        )
    # MLflow's client makes a data frame of them.
    from mlflow.deployments import PredictionsResponse

    table = PredictionsResponse.from_json(answer.decode()).get_predictions()
    assert list(table.columns) == ["prediction", "predicted_label"] and len(table) == 4


def test_a_boolean_is_1_or_0_in_a_column_of_numbers(fruit):
    """As pandas writes a boolean column, which `train` and `infer` read as numbers."""

    def predictions(sizes):
        rows = [{"color": "red", "size": size} for size in sizes]
        frame = {"columns": ["color", "size"], "data": [list(row.values()) for row in rows]}
        columns = {"color": ["red"] * len(sizes), "size": sizes}
        bodies = [{"dataframe_records": rows}, {"dataframe_split": frame}, {"instances": rows}, {"inputs": columns}]
        answers = [fruit.get("/invocations", json.dumps(body).encode(), JSON) for body in bodies]
        assert [status for status, _, _ in answers] == [200] * 4, answers
        return [json.loads(answer)["predictions"] for _, _, answer in answers]

    assert predictions([True, False]) == predictions([1, 0])


def test_a_table_of_many_rows_and_its_probabilities(folder, fruit):
    rows = [{"color": "red", "size": i / 1000} for i in range(3000)]
    status, expected, _ = infer(folder / "fruit.onnx", ndjson(rows), "infer.probabilities=true")
    with Server(folder / "fruit.onnx", "serve.probabilities=true", "serve.out_field=y") as server:
        status, _, answer = server.get("/invocations", json.dumps({"dataframe_records": rows}).encode(), JSON)
    assert status == 200, answer
    for ours, theirs in zip(json.loads(answer)["predictions"], map(json.loads, expected.splitlines()), strict=True):
        assert ours.keys() == {"y", "predicted_label", "probability_apple", "probability_plum", "probability_Ä pear"}
        assert np.float32(ours["probability_Ä pear"]) == np.float32(theirs["probability_Ä pear"])
        assert ours["predicted_label"] == theirs["predicted_label"]


def test_the_graphs_own_input_is_a_tensor_also_of_a_table(fruit):
    """What a client of the plain ONNX file sends: encoded rows. It gets what any ONNX model answers."""
    for body in [{"inputs": [[0.25, 1, 0]]}, {"inputs": {"x": [[0.25, 1, 0]]}}]:
        status, _, answer = fruit.get("/invocations", json.dumps(body).encode(), JSON)
        assert status == 200 and np.shape(json.loads(answer)["predictions"]["y"]) == (1, 3)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"dataframe_records": [{"color": "red"}]}, "missing inputs ['size']"),
        ({"dataframe_records": [{"color": "green", "size": 1}]}, "request: row 0: field \"color\""),
        ({"dataframe_records": [{"color": "red", "size": 1}, {"color": "red", "size": "big"}]}, "row 1, column 'size'"),
        ({"dataframe_records": [{"color": ["red"], "size": 1}]}, "row 0, column 'color'"),
        ({"dataframe_records": [{"color": "red", "size": 1}, {"color": "red"}]}, "request: row 1: "),
        ({"dataframe_records": [{"color": "red", "size": float("nan")}]}, "request: row 0: "),
        ({"dataframe_records": [{"a": 1}]}, "missing inputs ['size', 'color']; there is ['a']"),
        ({"dataframe_split": {"columns": ["color"], "data": [["red"]]}}, "missing inputs ['size']"),
        ({"dataframe_split": {"columns": ["color", "size"], "data": [["red"]]}}, "row 0: 2 columns"),
        ({"dataframe_split": {"columns": ["color", "size", "size"], "data": [["red", 1, 1]]}}, "twice"),
        ({"inputs": {"color": ["red"], "size": [1, 2]}}, "values"),
        ({"inputs": {"color": ["red"]}}, "missing inputs ['size']"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(fruit, body, message):
    status, _, answer = fruit.get("/invocations", json.dumps(body).encode(), JSON)
    assert status == 400 and message in json.loads(answer)["message"], answer


def test_one_of_several_models_is_chosen(folder):
    for name in ["one", "two"]:
        (folder / f"repository/{name}/1").mkdir(parents=True)
        save_identity(folder / f"repository/{name}/1/model.onnx", "FP32", ("n", 2))
    body = b'{"inputs": [[1, 2]]}'
    with Server(folder / "repository") as server:
        status, _, answer = server.get("/invocations", body, JSON)
        assert status == 400 and "/invocations?model=one" in json.loads(answer)["message"]
        for query, status in [("?model=two", 200), ("?model=two&version=1", 200), ("?model=two&version=2", 404), ("?model=x", 404), ("?name=two", 400)]:
            got = server.get("/invocations" + query, body, JSON)
            assert got[0] == status and ("predictions" in json.loads(got[2])) == (status == 200)
    with Server(folder / "repository", "serve.scoring_model=two") as server:
        assert server.get("/invocations", body, JSON)[0] == 200


def test_bodies_are_compressed_and_limited(net):
    body = json.dumps({"inputs": VALUES.tolist()}).encode()
    status, headers, answer = net.get(
        "/invocations", gzip.compress(body), JSON | {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    )
    assert status == 200 and headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer)) == json.loads(net.get("/invocations", body, JSON)[2])
    deep = b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    status, _, answer = net.get("/invocations", deep, JSON)
    assert status == 400 and "dimensions" in json.loads(answer)["message"]
    deep = b'{"other": ' + b"[" * 100_000 + b"]" * 100_000 + b', "inputs": [[1,2,3,4]]}'
    assert net.get("/invocations", deep, JSON)[0] == 400
