"""What clients, files and systems do wrong, and what `serve` does then: it answers the others, and says what is the matter."""

import contextlib
import http.client
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from serving import PATIENCE, Server, save_identity, save_slow

INFER = "/v2/models/m/infer"
# Milliseconds of a client's patience with itself.
SHORT = 400


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    identity = [save_identity(folder / "m.onnx"), save_identity(folder / "text.onnx", "BYTES")]
    return [*identity, save_slow(folder / "slow.onnx")]


@pytest.fixture(scope="module")
def server(models):
    limits = ["serve.max_body_bytes=100000", "serve.max_headers=50", "serve.max_header_bytes=8000"]
    patience = [f"serve.{what}_timeout_ms={SHORT}" for what in ["header", "body", "write"]]
    with Server(*models, *limits, *patience) as server:
        yield server
        # None of what follows took the server down.
        assert healthy(server)
        assert server.stop() == 0


def request(data, shape=(1, 4), datatype="FP32", name="x"):
    return {"inputs": [{"name": name, "shape": list(shape), "datatype": datatype, "data": data}]}


def healthy(server):
    status, _, answer = server.get(INFER, json.dumps(request([1, 2, 3, 4])).encode())
    return status == 200 and json.loads(answer)["outputs"][0]["data"] == [1, 2, 3, 4]


def read_all(connection):
    """What comes until the server closes."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65536):
            data += more
    return data


def exchange(server, data):
    """The answer to bytes, after which the client sends nothing and waits for the server to close."""
    with server.connect() as connection:
        connection.sendall(data)
        return read_all(connection)


def head(length, *headers, path=INFER):
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


# Clients that stop, or are slow.


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /v2/mod", None),
        (head(10)[:-2], None),
        (head(100), 408),
        (head(100) + b'{"inputs":[', 408),
        (b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", 408),
    ],
)
def test_clients_that_stop_half_way_are_closed(server, data, status):
    answer = exchange(server, data)
    assert answer[9:12].decode() == (str(status) if status else ""), answer
    assert healthy(server)


@pytest.mark.parametrize("data", [b"GET /v2/health/live HTTP/1.1\r\nX-Slow: " + b"a" * 1000, head(1000) + b" " * 1000])
def test_a_byte_at_a_time_is_too_slow(server, data):
    """Each byte is well within every timeout, and the whole is not."""
    with server.connect() as connection:
        start = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in data:
                connection.sendall(bytes([byte]))
                connection.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    assert connection.recv(1000)[9:12] in (b"", b"408")
                    break
        # The server ended it: all bytes would have taken 50 seconds.
        assert time.monotonic() - start < 40
    assert healthy(server)


def test_a_client_that_does_not_read_its_answers_is_closed(server):
    body = json.dumps(request([0.123456789] * 128, (32, 4))).encode()
    with server.connect() as connection:
        # Until the system's buffers are full, both ways, and then until the server has waited for long enough.
        with pytest.raises(OSError, match="reset|pipe"):
            while True:
                connection.sendall(head(len(body)) + body)
    assert healthy(server)


def test_idle_connections_end_after_their_time(models):
    with Server(models[0], f"serve.idle_timeout_ms={SHORT}") as server:
        with server.connect() as unused, server.connect() as used:
            used.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_all(used).startswith(b"HTTP/1.1 200")
            assert read_all(unused) == b""
        assert healthy(server)


# Clients that lie.


def test_lengths_that_lie_are_refused(server):
    body = json.dumps(request([1, 2, 3, 4])).encode()
    # More than was said: what follows is no request.
    answer = exchange(server, head(len(body)) + body + b"surplus\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 400" in answer
    for headers in [["Content-Length: 5"], ["Content-Length: -1"], ["Transfer-Encoding: chunked", "Content-Length: x"]]:
        assert exchange(server, head(len(body), *headers) + body).startswith(b"HTTP/1.1 400")
    # Which of the two is the length is a matter between servers and proxies: requests can be smuggled by it.
    both = exchange(server, head(4, "Transfer-Encoding: chunked") + b"0\r\n\r\nGET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert both.count(b"HTTP/1.1") == 1 or both.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("length", ["999999", "18446744073709551616", "-1", "x", "1e3", "1"])
def test_a_header_length_beyond_the_body_is_refused(server, length):
    body = json.dumps(request([1, 2, 3, 4])).encode()
    status, _, answer = server.get(INFER, body, {"Inference-Header-Content-Length": length})
    assert status in (400, 500) and json.loads(answer)["error"]


@pytest.mark.parametrize("size", [0, 15, 17, 1 << 62, -1, "16", 1.5, None])
def test_a_binary_size_that_is_wrong_is_refused(server, size):
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": size}}
    text = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    status, _, answer = server.get(INFER, text + bytes(16), headers)
    assert status == 400 and json.loads(answer)["error"]


def test_what_is_too_large_is_refused(server):
    status, _, answer = server.get(INFER, b" " * 100_001)
    assert status == 413 and b"serve.max_body_bytes" in answer
    # Without a length, and of a client that waits for the server's word before it sends.
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    chunked = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 25
    assert exchange(server, chunked).startswith(b"HTTP/1.1 413")
    assert exchange(server, head(1 << 40, "Expect: 100-continue")).startswith(b"HTTP/1.1 413")
    assert exchange(server, head(0, *[f"X-{i}: y" for i in range(60)])).startswith(b"HTTP/1.1 431")
    assert exchange(server, head(0, "X: " + "y" * 9000)).startswith(b"HTTP/1.1 431")
    assert exchange(server, b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\n\r\n")[9:12] in (b"431", b"414")


@pytest.mark.parametrize(
    "body",
    [
        request([1, 2, 3, 4], (-1, 4)),
        request([1, 2, 3, 4], (1, -4)),
        request([], (0, 4)),
        request([], (1, 0)),
        request([], (0, 0)),
        request([1], (1 << 62, 4)),
        request([1], (1 << 32, 1 << 32)),
        request([1], (1 << 63, 2)),
        request([1], (1 << 64, 1)),
        request([1], [1] * 10_000),
        request([1, 2, 3, 4], ()),
        request([1, 2, 3, 4], (1, 4.5)),
        request([1, 2, 3, 4], ("1", "4")),
        request(["a", "b", "c", "d"]),
        request(["1", "2", "3", "4"]),
        request([None, 1, 2, 3]),
        request([[1, 2], [3]]),
        request([1, 2, 3]),
        request([1, 2, 3, 4, 5]),
        request({"a": 1}),
        request("abcd"),
        request(["a", "b", "c", "d"], datatype="BYTES"),
        request([1, 2, 3, 4], datatype="FP128"),
        request([1e400, 2, 3, 4]),
        {"inputs": []},
        {"inputs": {}},
        {"inputs": [1]},
        {"inputs": request([1, 2, 3, 4])["inputs"] * 2},
        {},
        [],
        1,
    ],
    ids=lambda body: json.dumps(body)[:60],
)
def test_requests_that_crashed_others_are_refused(server, body):
    text = json.dumps(body).encode().replace(b"Infinity", b"1e400")
    status, _, answer = server.get(INFER, text)
    assert status in (400, 500) and json.loads(answer)["error"], answer
    assert healthy(server)


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 50_000, b'{"inputs":' * 9000, b"\xff\xfe", b"\0" * 100])
def test_what_is_no_json_is_refused(server, text):
    status, _, answer = server.get(INFER, text)
    assert status in (400, 500) and json.loads(answer)["error"]


@pytest.mark.parametrize("lengths", [[5], [0xFFFFFFFF], [1, 1, 1], [0, 0, 0, 0, 0]])
def test_strings_whose_lengths_lie_are_refused(server, lengths):
    data = b"".join(length.to_bytes(4, "little") + b"x" * min(length, 3) for length in lengths)
    tensor = {"name": "x", "shape": [1, 4], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
    text = json.dumps({"inputs": [tensor]}).encode()
    status, _, answer = server.get("/v2/models/text/infer", text + data, {"Inference-Header-Content-Length": str(len(text))})
    assert status == 400 and json.loads(answer)["error"]


# Many clients.

# Opens connections that say nothing, and keeps them until its standard input ends.
IDLE = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
count, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
# Every other one has had an answer.
kept = []
for at in range(count):
    connection = socket.create_connection((host, port))
    if at % 2:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    kept.append(connection)
print(len(kept), flush=True)
sys.stdin.read()
"""


def test_ten_thousand_idle_connections_hold_nobody_up(models):
    count = 10_000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < count + 500:
        assert not os.environ.get("CI"), f"ulimit -Hn is {hard}"
        pytest.skip(f"ulimit -Hn is {hard}")
    with Server(models[0]) as server:
        before = server.memory()
        command = [sys.executable, "-c", IDLE, str(count), *server.http.split(":")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout.readline() == f"{count}\n"
            assert re.search(rf"^serve_connections {count}|^serve_connections {count + 1}", server.metrics()[2], re.M)
            assert all(healthy(server) for _ in range(100))
            # Some kilobytes each.
            assert server.memory() - before < count * 32_768
            client.stdin.close()
        until(lambda: re.search("^serve_connections [01]$", server.metrics()[2], re.M))
        assert healthy(server)


def test_connections_beyond_the_limit_wait_for_idle_ones_to_end(models):
    with Server(models[0], "serve.max_connections=8") as server:
        idle = [server.connect() for _ in range(8)]
        assert healthy(server)
        for connection in idle:
            connection.close()


def test_requests_beyond_the_queue_are_refused_and_every_one_is_answered_once(models):
    with Server(models[2], "serve.max_queue=4", "serve.max_batch_size=1") as server:
        body = json.dumps(request([0.5] * 256, (1, 256))).encode()
        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda _: server.get("/v2/models/slow/infer", body), range(400)))
        statuses = [status for status, _, _ in answers]
        assert set(statuses) == {200, 503}
        for status, headers, answer in answers:
            assert status == 200 or (headers["retry-after"] == "1" and b"try again" in answer)
        text = server.metrics()[2]
        labels = 'model="slow",version="1"'
        assert f"nv_inference_request_success{{{labels}}} {statuses.count(200)}\n" in text
        refused = f'nv_inference_request_failure{{model="slow",reason="REJECTED",version="1"}} {statuses.count(503)}\n'
        assert refused in text
        assert f"nv_inference_pending_request_count{{{labels}}} 0\n" in text


# Faults of the system.


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Load:
    """Threads that ask without end, each over a connection of its own, and check every answer; errors of connections are
    counted and tried again."""

    def __init__(self, port, threads=4, model="m"):
        self.port, self.path = port, f"/v2/models/{model}/infer"
        self.answers, self.lost, self.wrong = 0, 0, []
        self._is_over, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(seed,)) for seed in range(threads)]

    def _run(self, seed):
        rng = np.random.default_rng(seed)
        connection = None
        while not self._is_over.is_set():
            rows = int(rng.integers(1, 9))
            values = rng.integers(-99, 99, rows * 4).tolist()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
                connection.request("POST", self.path, json.dumps(request(values, (rows, 4))))
                response = connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException):
                connection = None
                with self._lock:
                    self.lost += 1
                time.sleep(0.01)
                continue
            answer = json.loads(content)
            if response.status == 503 and "is being loaded" in answer["error"]:
                continue
            with self._lock:
                self.answers += 1
                if response.status != 200 or answer["outputs"][0]["data"] != values:
                    self.wrong.append((response.status, answer))

    def wait_more(self, count=50):
        """Waits for more answers."""
        enough = self.answers + count
        until(lambda: self.answers >= enough)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        for thread in self._threads:
            thread.join()


def port_of(server):
    return int(server.http.split(":")[1])


def test_a_server_that_is_killed_starts_again_and_clients_go_on(models):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(models[0]))
        with Load(port_of(server)) as load:
            load.wait_more()
            for _ in range(3):
                server.stop(signal.SIGKILL)
                # The same port, at once, although connections of the one before are not yet forgotten.
                server = stack.enter_context(Server(models[0], port=load.port))
                load.wait_more()
        assert not load.wrong and load.lost > 0
        assert server.stop() == 0


def test_a_model_that_becomes_garbage_under_load_goes_on_as_it_was(models, tmp_path):
    repository = tmp_path / "repository"
    version = repository / "m" / "1" / "model.onnx"
    version.parent.mkdir(parents=True)
    shutil.copy(models[0], version)
    with Server(repository, "serve.model_control=poll", "serve.poll_seconds=1") as server, Load(port_of(server)) as load:
        load.wait_more()
        version.write_bytes(b"garbage" * 1000)
        server.wait_line("garbage|model.onnx")
        load.wait_more()
        # A file that breaks off.
        version.write_bytes(models[0].read_bytes()[:100])
        load.wait_more()
        assert server.get("/v2/models/m/ready")[0] == 200
        # A new version that is one.
        second = repository / "m" / "2" / "model.onnx"
        second.parent.mkdir()
        part = second.with_name("part")
        shutil.copy(models[0], part)
        os.replace(part, second)
        until(lambda: server.get("/v2/models/m/versions/2/ready")[0] == 200)
        load.wait_more()
    assert not load.wrong and load.lost == 0


def test_memory_returns_to_its_level(models):
    """Large requests, over many connections, again and again: the memory that they take is given back or used again."""
    rows = 32
    values = np.ones((rows, 20_000), np.float32)
    tensor = {"name": "x", "shape": list(values.shape), "datatype": "FP32", "parameters": {"binary_data_size": values.nbytes}}
    text = json.dumps({"inputs": [tensor]}).encode()
    body, headers = text + values.tobytes(), {"Inference-Header-Content-Length": str(len(text))}
    wide = save_identity(models[0].with_name("wide.onnx"), shape=("n", 20_000))
    with Server(wide) as server, ThreadPoolExecutor(8) as pool:

        def round_of_requests():
            answers = pool.map(lambda _: server.get("/v2/models/wide/infer", body, headers)[0], range(16))
            assert list(answers) == [200] * 16
            return server.memory()

        round_of_requests()
        level = max(round_of_requests() for _ in range(3))
        after = [round_of_requests() for _ in range(6)]
        assert min(after) < level * 1.1 + len(body)
