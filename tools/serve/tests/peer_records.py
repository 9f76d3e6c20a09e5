"""Records over HTTP: what `serve` answers to rows, against what `infer` prints for the same rows."""

import gzip
import http.client
import json
import re
import socket
import subprocess
import threading
import zlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from peers import BIN, ROOT, load_stream, npy, onnx_runtime, shell
from serving import PATIENCE, Server, save_add, save_slow

# Rows of random numbers that do not fit one batch.
MANY = 60_000


def mlp(path, widths, features=None, batch="n", dtype=TensorProto.FLOAT):
    """A network with ReLU between its layers, and softmax where classes have names; its input is x, its output y."""
    rng = np.random.default_rng(0)
    nodes, weights, x = [], [], "x"
    if dtype != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [x], ["f"], to=TensorProto.FLOAT))
        x = "f"
    for i, shape in enumerate(zip(widths, widths[1:], strict=False)):
        weights.append(onnx.numpy_helper.from_array(rng.normal(size=shape).astype("f4") / shape[0] ** 0.5, f"w{i}"))
        last = i == len(widths) - 2
        nodes.append(helper.make_node("MatMul", [x, f"w{i}"], ["y" if last else f"h{i}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"h{i}"], [f"r{i}"]))
        x = f"r{i}"
    if features and features["target"].get("classes"):
        nodes[-1].output[0] = "scores"
        nodes.append(helper.make_node("Softmax", ["scores"], ["y"]))
    value = lambda name, kind, width: helper.make_tensor_value_info(name, kind, [batch, width])  # noqa: E731
    ends = [value("x", dtype, widths[0])], [value("y", TensorProto.FLOAT, widths[-1])]
    model = helper.make_model(helper.make_graph(nodes, "g", *ends, weights), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, {"pipegrad.features": json.dumps(features)} if features else {})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


# Two columns, one of them text with a fill for what is missing; three classes. A fill of numbers would be in the graph.
FRUIT = {
    "version": 1,
    "inputs": [
        {"kind": "number", "name": "size", "shape": []},
        {"kind": "category", "name": "color", "categories": ["red", "2"], "unseen": "error", "fill": "red"},
    ],
    "target": {"name": "kind", "shape": [3], "classes": ["apple", "plum", "Ä pear"]},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "net": mlp(folder / "net.onnx", [4, 32, 3]),
        "fruit": mlp(folder / "fruit.onnx", [3, 8, 3], FRUIT),
        "bytes": mlp(folder / "bytes.onnx", [4, 3], dtype=TensorProto.UINT8),
        "fours": mlp(folder / "fours.onnx", [4, 3], batch=4),
        "sum": save_add(folder / "sum.onnx"),
        "slow": save_slow(folder / "slow.onnx"),
    }


@pytest.fixture(scope="module")
def server(models):
    """Starts a server of a model, once."""
    running = {}

    def server(name):
        if name not in running:
            running[name] = Server(models[name], "serve.log=warn")
        return running[name]

    yield server
    for one in running.values():
        one.stop()


def infer(model, rows, *args):
    """What `infer` prints."""
    environment = {"ORT_DYLIB_PATH": str(onnx_runtime()), "PATH": "/usr/bin:/bin"}
    command = [BIN / "infer", "-m", model, *args]
    done = subprocess.run(command, input=rows, capture_output=True, timeout=PATIENCE, env=environment)
    return done.returncode, done.stdout, done.stderr.decode()


def post(server, rows, query="", headers=None, model=None):
    """Status, content type and body."""
    name = model or server.model
    return server.get(f"/v2/models/{name}/records{query}", rows, headers, "POST")


def ndjson(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def vectors(count, dtype="f4"):
    return np.random.default_rng(1).normal(size=(count, 4)).astype(dtype)


def structured(count):
    rows = np.zeros(count, [("id", "<i8"), ("x", "<f4", (4,))])
    rows["id"], rows["x"] = np.arange(count), vectors(count)
    return rows


NET_ROWS = {
    "ndjson": ndjson({"id": i, "x": row.tolist(), "more": {"a": [1, "é"]}} for i, row in enumerate(vectors(1000, "f8"))),
    "npy": npy(structured(5000)),
    "plain npy": npy(vectors(5000)),
    "one row": b'{"x":[1,2,3,4]}',
    "two arrays": npy(structured(3)) + npy(structured(70)),
}


@pytest.mark.parametrize("rows", NET_ROWS.values(), ids=NET_ROWS)
@pytest.mark.parametrize("query", ["", "?out_field=y&dtype=f4", "?to=ndjson"])
def test_the_answer_is_what_infer_prints_byte_for_byte(server, models, rows, query):
    args = {"": [], "?out_field=y&dtype=f4": ["--out-field", "y", "--dtype", "f4"], "?to=ndjson": ["--to", "ndjson"]}
    status, expected, error = infer(models["net"], rows, *args[query])
    assert status == 0, error
    status, headers, body = post(server("net"), rows, query, model="net")
    assert (status, body) == (200, expected)
    kind = "application/x-npy" if expected.startswith(b"\x93NUMPY") else "application/x-ndjson"
    assert headers["content-type"] == kind


def test_ndjson_becomes_npy(server, models):
    _, expected, _ = infer(models["net"], NET_ROWS["one row"] * 1, "--to", "npy")
    for query, headers in [("?to=npy", {}), ("", {"Accept": "text/html, application/x-npy;q=0.9"})]:
        status, headers, body = post(server("net"), NET_ROWS["one row"], query, headers, "net")
        assert (status, headers["content-type"]) == (200, "application/x-npy")
        np.testing.assert_array_equal(load_stream(body), load_stream(expected))


FRUIT_CSV = 'id,color,size\n1,red,0.25\n2,"2",9\n3,,7\n4,2.0,-1e3\n'.encode()


@pytest.mark.parametrize(
    ("rows", "query", "args"),
    [
        (FRUIT_CSV, "", []),
        (FRUIT_CSV, "?probabilities=true", ["infer.probabilities=true"]),
        (FRUIT_CSV, "?to=ndjson&probabilities=true", ["infer.probabilities=true", "--to", "ndjson"]),
        (FRUIT_CSV.replace(b",", b";"), "?delimiter=%3B", ["--delimiter", ";"]),
        (ndjson([{"size": 1, "color": 2}, {"size": 0.5, "color": "red"}, {"color": None, "size": 2}]), "", []),
        (FRUIT_CSV, "?label_field=L", ["infer.label_field=L"]),
        (FRUIT_CSV, "?expect_rows=4", ["--expect-rows", "4"]),
    ],
)
def test_tables_have_labels_as_from_infer(server, models, rows, query, args):
    status, expected, error = infer(models["fruit"], rows, *args)
    assert status == 0, error
    assert post(server("fruit"), rows, query, model="fruit")[::2] == (200, expected)


def test_tabs_by_content_type(server, models):
    rows = FRUIT_CSV.replace(b",", b"\t")
    status, expected, _ = infer(models["fruit"], rows, "--delimiter", "tab")
    got = post(server("fruit"), rows, headers={"Content-Type": "text/tab-separated-values"}, model="fruit")
    assert (got[0], got[1]["content-type"], got[2]) == (200, "text/tab-separated-values", expected)


@pytest.mark.parametrize("name", ["bytes", "fours"])
def test_bytes_and_a_fixed_batch(server, models, name):
    values = np.random.default_rng(2).integers(0, 256, (10, 4), np.uint8)
    rows = npy(values) if name == "bytes" else npy(values.astype("f4"))
    status, expected, error = infer(models[name], rows)
    assert status == 0, error
    assert post(server(name), rows, model=name)[::2] == (200, expected)


BAD_ROWS = {
    "a bad line": b'{"x":[1,2,3,4]}\n{"x":[1,2,3]}\n',
    "a missing field": b'{"z":[1,2,3,4]}\n',
    "no JSON": b'{"x":[1,2,3,4]}\n{"x":[1,2\n',
    "nothing": b"",
    "a field that is added": b'{"x":[1,2,3,4],"prediction":1}\n',
    "a truncated array": npy(structured(100))[:-3],
    "gzip": gzip.compress(b'{"x":[1,2,3,4]}\n'),
    "not UTF-8": b'{"x":[1,2,3,4],"s":"\xff"}\n',
}


@pytest.mark.parametrize("rows", BAD_ROWS.values(), ids=BAD_ROWS)
def test_what_is_wrong_is_named_as_by_infer(server, models, rows):
    status, _, error = infer(models["net"], rows)
    assert status == 2
    expected = error.removeprefix("infer: ").strip().replace("stdin", "request").replace("--out-field", "?out_field=NAME")
    status, headers, body = post(server("net"), rows, model="net")
    assert (status, headers["content-type"]) == (400, "application/json")
    assert json.loads(body) == {"error": expected}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?out=y", "unknown field `out`"),
        ("?to=xml", 'unknown encoding "xml"'),
        ("?dtype=i4", "expected f4 or f8"),
        ("?delimiter=ab", "expected one character"),
        ("?probabilities=true", "no names of classes"),
        ("?out_field=", "out_field: empty"),
        ("?expect_rows=2", "expected 2 rows, found 1"),
        ("?out_field=same&label_field=same", "is also"),
    ],
)
def test_what_the_query_says_is_checked(server, query, message):
    status, _, body = post(server("net"), NET_ROWS["one row"], query, model="net")
    assert status == 400 and message in json.loads(body)["error"], body


@pytest.mark.parametrize("rows", [b"color;size\nred;0.25\n", b"size;color\n0,25;red\n"])
def test_another_delimiter_is_named_as_the_query_has_it(server, rows):
    status, _, body = post(server("fruit"), rows, model="fruit")
    assert status == 400 and "; ?delimiter=%3B?" in json.loads(body)["error"], body


def test_only_models_of_rows_and_only_post(server):
    status, _, body = post(server("sum"), b'{"a":1}\n', model="sum")
    assert status == 400 and "takes no rows" in json.loads(body)["error"]
    assert post(server("net"), b"", model="other")[0] == 404
    assert server("net").get("/v2/models/net/records")[0] == 405
    assert server("net").get("/v2/models/net/versions/1/records", NET_ROWS["one row"])[0] == 200
    assert server("net").get("/v2/models/net/versions/2/records", NET_ROWS["one row"])[0] == 404


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_request(server, models, encoding):
    compress = gzip.compress if encoding == "gzip" else zlib.compress
    _, expected, _ = infer(models["net"], NET_ROWS["npy"])
    got = post(server("net"), compress(NET_ROWS["npy"]), headers={"Content-Encoding": encoding}, model="net")
    assert got[::2] == (200, expected)
    half = compress(NET_ROWS["npy"])[:1000]
    assert post(server("net"), half, headers={"Content-Encoding": encoding}, model="net")[0] == 400


def test_curl_streams_a_file_and_a_pipe_larger_than_any_limit(models, tmp_path):
    rows = npy(structured(MANY))
    (tmp_path / "rows.npy").write_bytes(rows)
    _, expected, _ = infer(models["net"], rows)
    with Server(models["net"], "serve.max_body_bytes=65536") as server:
        url = f"{server.url}/v2/models/net/records"
        for source in ["--data-binary @rows.npy", "-X POST -T - < rows.npy", "-H Expect: -X POST -T rows.npy"]:
            done = subprocess.run(f"curl -sS {source} {url}", shell=True, cwd=tmp_path, capture_output=True)
            assert done.stdout == expected, done.stderr
        assert server.stop() == 0


def test_the_commands_of_the_documentation_run(tmp_path):
    page = (ROOT / "docs/serve.md").read_text()
    chapters = re.search(r"^## MLflow scoring$(.*?)^## The page$", page, re.DOTALL | re.MULTILINE)[1]
    commands = [line[2:] for line in re.findall(r"^\$ .*$", chapters, re.MULTILINE)]
    assert sum("/records" in command for command in commands) == 2 and sum("/invocations" in command for command in commands) == 1
    shell("gen-data rows=500 --to npy | entropy | train -o run trainer.max_epochs=1 > events.ndjson; pipegrad export run", tmp_path)
    with Server(tmp_path / "run") as server:
        out = [shell(command.replace("127.0.0.1:8000", server.http), tmp_path) for command in commands]
    (prediction,) = json.loads(out[0])["predictions"].values()
    assert np.isfinite(prediction).all() and np.size(prediction) == 1
    lines = (tmp_path / "predictions.ndjson").read_text().splitlines()
    assert len(lines) == 1000 and "prediction" in json.loads(lines[0])
    assert load_stream((tmp_path / "predictions.npy").read_bytes())["y"].shape == (1000,)


def chunks(server, path="/v2/models/net/records"):
    """A connection on which a chunked request has begun."""
    host, port = server.http.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    connection.putrequest("POST", path)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    return connection


def send(connection, data):
    connection.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def test_rows_are_answered_while_the_client_still_sends(server):
    connection = chunks(server("net"))
    send(connection, NET_ROWS["one row"] + b"\n")
    answer = connection.getresponse()
    first = json.loads(answer.readline())
    for _ in range(3):
        send(connection, NET_ROWS["one row"] + b"\n")
        assert json.loads(answer.readline()) == first
    connection.send(b"0\r\n\r\n")
    assert answer.read() == b""
    # The connection lives on.
    connection.request("GET", "/v2/health/live")
    assert connection.getresponse().status == 200


def test_an_error_behind_answered_rows_cuts_the_answer_off(models):
    with Server(models["net"], "serve.log=warn") as server:
        connection = chunks(server)
        send(connection, NET_ROWS["one row"] + b"\n")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.readline()
        send(connection, b"garbage\n")
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
        assert "request:2: " in server.wait_line("records_failed.*")[0]
        assert post(server, NET_ROWS["one row"], model="net")[0] == 200


def test_memory_is_constant_in_the_rows(models):
    """Rows of hundreds of megabytes go through, and back, while the server grows by little."""
    block = npy(structured(20_000))
    with Server(models["net"]) as server:
        assert post(server, block, model="net")[0] == 200
        before, size, peak = server.memory(), 0, 0
        connection = chunks(server)

        def feed():
            for _ in range(200):
                send(connection, block)
            connection.send(b"0\r\n\r\n")

        sender = threading.Thread(target=feed)
        sender.start()
        # The head is read by hand: http.client would wait for it until all is sent.
        answer = connection.getresponse()
        while data := answer.read(1 << 20):
            size += len(data)
            peak = max(peak, server.memory())
        sender.join()
        assert size > 200 * 20_000 * (8 + 16 + 12)
        assert peak - before < 64 << 20


def test_a_client_that_does_not_read_holds_the_server_up_no_further(models):
    """Back-pressure: the server takes no more rows than it can answer."""
    with Server(models["net"]) as server:
        host, port = server.http.split(":")
        before = server.memory()
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"POST /v2/models/net/records HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.settimeout(1)
            block = npy(structured(20_000))
            sent = 0
            with pytest.raises(TimeoutError):
                for _ in range(1000):
                    client.sendall(f"{len(block):x}\r\n".encode() + block + b"\r\n")
                    sent += len(block)
            assert sent < 100 << 20 and server.memory() - before < 64 << 20
        # It left: others are served, and the threads of the stream end.
        assert post(server, NET_ROWS["one row"], model="net")[0] == 200
        assert server.stop() == 0


def test_a_client_that_leaves_ends_its_stream(models):
    with Server(models["slow"], "serve.max_streams=1") as server:
        connection = chunks(server, "/v2/models/slow/records")
        row = json.dumps({"x": [0.5] * 256}).encode() + b"\n"
        send(connection, row)
        assert connection.getresponse().readline()
        status, headers, body = post(server, row, model="slow")
        assert status == 503 and "serve.max_streams" in json.loads(body)["error"] and headers["retry-after"]
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
        deadline = threading.Event()
        for _ in range(200):
            if post(server, row, model="slow")[0] == 200:
                break
            deadline.wait(0.05)
        else:
            pytest.fail("the stream of a client that left still runs")


def test_a_long_line_is_refused_before_it_is_held(models):
    with Server(models["net"], "serve.max_body_bytes=1048576") as server:
        rows = b'{"x":[1,2,3,4],"s":"' + b"a" * (8 << 20) + b'"}\n'
        status, _, body = post(server, rows, model="net")
        assert (status, json.loads(body)["error"]) == (400, "request:1: a line longer than 1 MiB")


def test_several_streams_and_requests_at_a_time(server, models):
    rows = NET_ROWS["npy"] * 4
    _, expected, _ = infer(models["net"], rows)
    results = []

    def stream():
        results.append(post(server("net"), rows, model="net")[::2] == (200, expected))

    def request():
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
        for _ in range(50):
            results.append(server("net").get("/v2/models/net/infer", json.dumps(body).encode())[0] == 200)

    threads = [threading.Thread(target=work) for work in [stream, request] * 4]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(results) == 4 + 4 * 50 and all(results)
