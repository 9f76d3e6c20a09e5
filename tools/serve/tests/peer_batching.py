"""Requests that wait, meet, time out, are refused or abandoned; what ran is counted in the statistics."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.http as http
from serving import Server, save_identity, save_slow, values
from tritonclient.utils import InferenceServerException

# Long enough to be sure that requests meet, and that a batch which does not wait for it is not slow by chance.
LONG_US = 2_000_000
WIDTH = 256


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_identity(folder / "quick.onnx")
    # About 20 ms a row and more.
    save_slow(folder / "slow.onnx", WIDTH, 4000)
    return folder


def infer(server, model, rows, timeout_us=None, shape=None, seed=0):
    array = values("FP32", (rows, *(shape or [4])), seed)
    tensor = http.InferInput("x", array.shape, "FP32")
    tensor.set_data_from_numpy(array)
    with http.InferenceServerClient(server.http) as client:
        result = client.infer(model, [tensor], timeout=timeout_us)
    return array, result.as_numpy("y")


def statistics(server, model):
    (found,) = json.loads(server.get(f"/v2/models/{model}/stats")[2])["model_stats"]
    return found


def executions(server, model):
    found = statistics(server, model)
    return found["execution_count"], found["inference_count"], sorted(it["batch_size"] for it in found["batch_stats"])


def test_a_delay_lets_requests_meet(folder):
    with Server(folder / "quick.onnx", f"serve.queue_delay_us={LONG_US}") as server, ThreadPoolExecutor(4) as pool:
        for array, result in pool.map(lambda rows: infer(server, "quick", rows, seed=rows), [1, 2, 3, 4]):
            np.testing.assert_array_equal(result, array)
        assert executions(server, "quick") == (1, 10, [10])


def test_a_full_batch_does_not_wait(folder):
    flags = ["serve.queue_delay_us=60000000", "serve.max_batch_size=4"]
    with Server(folder / "quick.onnx", *flags) as server, ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda seed: infer(server, "quick", 1, seed=seed), range(4)))
        for array, result in results:
            np.testing.assert_array_equal(result, array)
        assert executions(server, "quick") == (1, 4, [4])


def test_without_a_delay_a_request_runs_alone_at_once(folder):
    with Server(folder / "quick.onnx") as server:
        for seed in range(10):
            infer(server, "quick", 2, seed=seed)
        assert executions(server, "quick") == (10, 20, [2])


def test_a_request_times_out(folder):
    with Server(folder / "quick.onnx", f"serve.queue_delay_us={LONG_US}") as server:
        with pytest.raises(InferenceServerException) as caught:
            infer(server, "quick", 1, timeout_us=1000)
        assert "timed out after 1 ms" in caught.value.message()
        found = statistics(server, "quick")
        assert found["inference_stats"]["success"]["count"] == 0


def test_a_full_queue_refuses_and_the_rest_is_answered(folder):
    with Server(folder / "slow.onnx", "serve.max_queue=2", "serve.max_batch_size=1") as server, ThreadPoolExecutor(12) as pool:

        def one(seed):
            try:
                infer(server, "slow", 1, shape=[WIDTH], seed=seed)
                return 200
            except InferenceServerException as error:
                return int(error.status())

        answers = list(pool.map(one, range(12)))
        assert set(answers) == {200, 503} and len(answers) == 12
        assert statistics(server, "slow")["inference_stats"]["success"]["count"] == answers.count(200)
        body = json.dumps({"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}]})
        assert server.get("/v2/models/slow/infer", body.encode())[0] == 400


def test_who_has_gone_is_not_run(folder):
    """Requests behind a busy model whose clients leave are counted, and do not run."""
    with Server(folder / "slow.onnx", "serve.max_batch_size=1") as server:
        rows = values("FP32", (1, WIDTH)).ravel().tolist()
        body = json.dumps({"inputs": [{"name": "x", "shape": [1, WIDTH], "datatype": "FP32", "data": rows}]}).encode()
        head = f"POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        host, port = server.http.split(":")
        clients = [socket.create_connection((host, int(port))) for _ in range(20)]
        for client in clients:
            client.sendall(head + body)
        busy = threading.Thread(target=lambda: infer(server, "slow", 1, shape=[WIDTH]))
        busy.start()
        for client in clients[3:]:
            client.close()
        busy.join()
        end = time.monotonic() + 60
        while statistics(server, "slow")["inference_stats"]["success"]["count"] < 4 and time.monotonic() < end:
            time.sleep(0.05)
        # The client that waits comes last, and those before it are gone.
        assert statistics(server, "slow")["execution_count"] < 21
