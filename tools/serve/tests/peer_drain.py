"""How `serve` ends: signals, readiness, requests that run, connections that are idle."""

import http.client
import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from serving import PATIENCE, Server, save_identity, save_slow

WIDTH = 1024


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A quick model, and one that takes a good part of a second for 16 rows."""
    folder = tmp_path_factory.mktemp("models")
    return [save_identity(folder / "m.onnx"), save_slow(folder / "slow.onnx", WIDTH, 400)]


def body(rows, width=4):
    data = np.full(rows * width, 0.5).tolist()
    return json.dumps({"inputs": [{"name": "x", "shape": [rows, width], "datatype": "FP32", "data": data}]}).encode()


def connect(server):
    host, port = server.http.split(":")
    return http.client.HTTPConnection(host, int(port), timeout=PATIENCE)


def ask(connection, method, path, content=None):
    connection.request(method, path, content)
    response = connection.getresponse()
    return response, response.read()


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_server_that_ends_says_so_and_still_answers(models):
    with Server(models[0], "serve.drain_delay_ms=60000") as server:
        kept = connect(server)
        assert ask(kept, "GET", "/v2/health/ready")[0].status == 200
        client = triton_grpc.InferenceServerClient(server.address("gRPC"))
        assert client.is_server_ready()
        server.process.send_signal(signal.SIGTERM)
        until(lambda: ask(kept, "GET", "/v2/health/ready")[0].status == 503)
        # On connections that were open, and on new ones.
        for connection in [kept, connect(server)]:
            assert ask(connection, "POST", "/v2/models/m/infer", body(1))[0].status == 200
            assert ask(connection, "GET", "/v2/health/live")[0].status == 200
        assert not client.is_server_ready() and client.is_server_live()
        tensor = triton_grpc.InferInput("x", (1, 4), "FP32")
        tensor.set_data_from_numpy(np.ones((1, 4), np.float32))
        client.infer("m", [tensor])
        client.close()
        # A second signal ends it at once. Signals that come together are one: `timeout` sends its own twice.
        until(lambda: server.process.poll() is not None or server.process.send_signal(signal.SIGTERM))
        assert server.process.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_requests_that_wait_or_run_are_answered_and_idle_connections_closed(models, how):
    with Server(models[1]) as server:
        idle, unused = connect(server), socket.create_connection(server.http.split(":"))
        assert ask(idle, "GET", "/v2/health/live")[0].status == 200

        def request(_):
            response, _ = ask(connect(server), "POST", "/v2/models/slow/infer", body(16, WIDTH))
            return response.status, response.headers["connection"]

        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(request, range(8))
            pending = 'nv_inference_pending_request_count{model="slow",version="1"} 7'
            until(lambda: pending in server.metrics()[2])
            server.process.send_signal(how)
            statuses, connections = zip(*answers)
            # On a busy machine some are answered before the server sees the signal.
            assert statuses == (200,) * 8 and "close" in connections
        assert server.process.wait(PATIENCE) == 0
        assert idle.sock.recv(1) == b"" and unused.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(server.http.split(":"))


def test_requests_that_take_too_long_are_not_waited_for(models):
    with Server(models[1], "serve.drain_timeout_ms=1") as server, ThreadPoolExecutor(8) as pool:

        def request(_):
            try:
                return ask(connect(server), "POST", "/v2/models/slow/infer", body(16, WIDTH))[0].status
            except (OSError, http.client.HTTPException):
                return None

        answers = pool.map(request, range(8))
        until(lambda: "pending_request_count{" in (text := server.metrics()[2]) and 'version="1"} 7' in text)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
        # The connection ends, before or after the server has said that the run did.
        assert {*answers} - {200} in ({None}, {500}, {None, 500})
        server.wait_line('"event":"drain_timeout"')
