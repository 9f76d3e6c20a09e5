"""`/metrics` and the log of `serve`, held against what the test sent."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from onnx import helper
from peers import BIN, onnx_runtime
from serving import PATIENCE, Server, save, save_identity, save_slow

# A line of Prometheus' text format: name, labels, value.
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? ([-+0-9.eE]+)')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """{(name, (label, value)…): value}, and the type of each name. Every sample stands below its own type."""
    samples, types = {}, {}
    name = None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split()
            assert name not in types
            types[name] = kind
            continue
        found = SAMPLE.fullmatch(line)
        assert found, line
        suffixes = ["", "_bucket", "_sum", "_count"] if types[name] == "histogram" else [""]
        assert found[1] in [name + suffix for suffix in suffixes], line
        key = (found[1], *LABEL.findall(found[2] or ""))
        assert key not in samples, line
        samples[key] = float(found[3])
    return samples, types


@pytest.fixture
def models(tmp_path):
    failing = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    inputs = [("x", "FP32", ("n", 4)), ("shape", "INT64", ("m", 1))]
    return [
        save_identity(tmp_path / "m.onnx"),
        save_slow(tmp_path / "slow.onnx"),
        save(tmp_path / "failing.onnx", failing, inputs, [("y", "FP32", ("a",))]),
    ]


def infer(server, model, rows=1, name="x", width=4):
    data = [0.5] * (rows * width)
    body = {"inputs": [{"name": name, "shape": [rows, width], "datatype": "FP32", "data": data}]}
    return server.get(f"/v2/models/{model}/infer", json.dumps(body).encode())[0]


def test_counters_are_exactly_what_was_sent(models):
    with Server(*models[:2]) as server:
        before, types = parse(server.metrics()[2])
        success = "nv_inference_request_success"
        assert before[(success, ("model", "m"), ("version", "1"))] == 0
        for rows in [1, 2, 3, 4, 5]:
            assert infer(server, "m", rows) == 200
        with triton_grpc.InferenceServerClient(server.address("gRPC")) as client:
            tensor = triton_grpc.InferInput("x", (7, 4), "FP32")
            tensor.set_data_from_numpy(np.ones((7, 4), np.float32))
            client.infer("m", [tensor])
        assert infer(server, "m", name="other") == 400
        assert infer(server, "unknown") == 404
        _, headers, text = server.metrics()
        assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        now, types = parse(text)

        def value(name, model="m", **labels):
            labels = {"model": model, "version": "1"} | labels
            return next(v for (n, *ls), v in now.items() if n == name and dict(ls) == labels)

        assert value(success) == value("nv_inference_exec_count") == 6
        assert value("nv_inference_count") == 22
        assert value("nv_inference_request_failure", reason="OTHER") == 1
        for reason in ["REJECTED", "CANCELED", "BACKEND"]:
            assert value("nv_inference_request_failure", reason=reason) == 0
        assert value("nv_inference_pending_request_count") == 0
        assert value(success, "slow") == value("nv_inference_count", "slow") == 0
        for part in ["request", "queue", "compute_input", "compute_infer", "compute_output"]:
            histogram, counter = f"nv_inference_{part}_duration_histogram_us", f"nv_inference_{part}_duration_us"
            assert types[histogram] == "histogram" and types[counter] == "counter"
            assert value(f"{histogram}_count") == value(f"{histogram}_bucket", le="+Inf") == 6
            assert value(f"{histogram}_sum") == value(counter)
            buckets = [v for (n, *ls), v in now.items() if n == f"{histogram}_bucket" and ("model", "m") in ls]
            assert buckets == sorted(buckets)
        parts = sum(value(f"nv_inference_{part}_duration_us") for part in ["queue", "compute_infer"])
        assert 0 < value("nv_inference_compute_infer_duration_us") <= parts <= value("nv_inference_request_duration_us") + 2

        # The process and the machine, against /proc.
        resident = now[("process_resident_memory_bytes",)]
        assert 0.5 < resident / server.memory() < 2
        assert now[("process_open_fds",)] == pytest.approx(len(os.listdir(f"/proc/{server.process.pid}/fd")), abs=8)
        assert abs(now[("process_start_time_seconds",)] - time.time()) < 3600
        assert now[("process_cpu_seconds_total",)] > 0
        assert 0 <= now[("nv_cpu_utilization",)] <= 1
        assert 0 < now[("nv_cpu_memory_used_bytes",)] < now[("nv_cpu_memory_total_bytes",)]
        assert set(types.values()) == {"counter", "gauge", "histogram"}


def test_bounds_are_the_settings(models):
    with Server(models[0], "serve.histogram_us=[1,10000000]") as server:
        assert infer(server, "m") == 200
        now, _ = parse(server.metrics()[2])
        name = "nv_inference_request_duration_histogram_us_bucket"
        bounds = {dict(labels)["le"]: value for (other, *labels), value in now.items() if other == name}
        assert bounds == {"1": 0, "10000000": 1, "+Inf": 1}
    with Server(models[0], "serve.histogram_us=[2,1]", wait=False) as server:
        assert server.stop(0) == 2
        assert "serve.histogram_us" in server.lines[-1]


def requests_of(server):
    """The log's lines about requests; every line that is no note of the tool's is JSON."""
    lines = [json.loads(line) for line in server.lines if not line.startswith("serve: ")]
    return [line for line in lines if line["event"] == "request"]


def test_every_request_is_a_line_with_its_id(models):
    with Server(models[0], "serve.log=info") as server:
        with triton_grpc.InferenceServerClient(server.address("gRPC")) as client:
            assert client.is_model_ready("m", headers={"triton-request-id": "ours-g"})
        status, headers, body = server.get("/v2/models/m/ready", headers={"X-Request-Id": "ours-1"})
        assert (status, headers["x-request-id"]) == (200, "ours-1")
        # What no id is, is replaced.
        _, headers, _ = server.get("/v2/models/m/ready", headers={"X-Request-Id": "a b"})
        made = headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]+-[0-9a-f]+", made)
        # What a terminal would obey does not come through, nor a line of its own, nor what is secret.
        evil = "/v2/%0a%1b[2J/\u00ff"
        with server.connect() as connection:
            headers = "Host: x\r\nAuthorization: Bearer hidden\r\nConnection: close"
            connection.sendall(f"GET {evil} HTTP/1.1\r\n{headers}\r\n\r\n".encode())
            while connection.recv(4096):
                pass
        assert infer(server, "m", 3) == 200
        server.stop()
        assert "hidden" not in "".join(server.lines)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", "".join(server.lines))
        lines = [line for line in requests_of(server) if line["path"] != "/v2/health/ready"]
        grpc, first, second, *_, last = lines
        assert grpc["request_id"] == "ours-g" and grpc["protocol"] == "grpc" and grpc["grpc_status"] == 0
        assert (first["request_id"], second["request_id"]) == ("ours-1", made)
        assert first["model"] == "m" and first["method"] == "GET" and first["level"] == "info" and first["complete"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
        assert last["path"] == "/v2/models/m/infer" and last["status"] == 200 and last["complete"]
        assert last["bytes_in"] > 0 and last["bytes_out"] > 0 and last["duration_us"] > 0
        assert last["peer"].startswith("127.0.0.1:")


def test_only_what_fails_is_logged_otherwise(models):
    with Server(models[0], "serve.log=warn") as server:
        assert infer(server, "m") == 200 and infer(server, "m", name="other") == 400
        _, headers, _ = server.get("/v2/models/m/ready")
        assert headers["x-request-id"] is None
        server.stop()
        assert not [line for line in server.lines if not line.startswith("serve: ")]


@pytest.mark.parametrize("kind", ["pipe", "full"])
def test_a_reader_that_does_not_read_and_a_full_disk_stop_nobody(models, kind):
    """A pipe that nobody reads, and /dev/full, as standard error."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = [f"serve.http_port={port}", "serve.grpc_port=null", "serve.metrics_port=null", "serve.log=info"]
    environment = os.environ | {"ORT_DYLIB_PATH": str(onnx_runtime())}
    with open("/dev/full", "w") as full:
        error = subprocess.PIPE if kind == "pipe" else full
        process = subprocess.Popen([BIN / "serve", models[0], *settings], stderr=error, env=environment)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        end = time.monotonic() + PATIENCE
        while connection.sock is None:
            assert process.poll() is None and time.monotonic() < end
            with contextlib.suppress(OSError):
                connection.connect()
        # Many times what the pipe and the queue of lines hold.
        for _ in range(8000):
            connection.request("GET", "/v2/health/live")
            response = connection.getresponse()
            response.read()
            assert response.status == 200
        process.send_signal(signal.SIGTERM)
        if kind == "pipe":
            lines = process.stderr.read().decode().splitlines()
            lines = [json.loads(line) for line in lines if not line.startswith("serve: ")]
            dropped = sum(line["lines"] for line in lines if line["event"] == "log_lines_dropped")
            # Each is written or counted; that of the signal may be the last to find no room.
            written = sum(line["event"] in ("request", "signal") for line in lines)
            assert dropped > 0 and dropped + written in (8000, 8001)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
