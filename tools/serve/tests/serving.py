"""What the tests of `serve` share: a server that is started and stopped, and small models of every kind."""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import onnx
from onnx import TensorProto, helper
from peers import BIN, onnx_runtime

# The protocol's name of each element type, NumPy's and ONNX's.
TYPES = {
    "BOOL": (np.bool_, TensorProto.BOOL),
    "UINT8": (np.uint8, TensorProto.UINT8),
    "UINT16": (np.uint16, TensorProto.UINT16),
    "UINT32": (np.uint32, TensorProto.UINT32),
    "UINT64": (np.uint64, TensorProto.UINT64),
    "INT8": (np.int8, TensorProto.INT8),
    "INT16": (np.int16, TensorProto.INT16),
    "INT32": (np.int32, TensorProto.INT32),
    "INT64": (np.int64, TensorProto.INT64),
    "FP16": (np.float16, TensorProto.FLOAT16),
    "FP32": (np.float32, TensorProto.FLOAT),
    "FP64": (np.float64, TensorProto.DOUBLE),
    "BYTES": (np.object_, TensorProto.STRING),
}

# NumPy has no type for it: the clients take and give FP32.
ONNX_TYPES = {kind: onnx_type for kind, (_, onnx_type) in TYPES.items()} | {"BF16": TensorProto.BFLOAT16}

# How long a server may take to start on a busy machine, in seconds.
PATIENCE = 60


class Server:
    """`serve` on free ports, or one for HTTP, ready to answer; stopped at the end of a `with`. `runner` is a command that runs it."""

    def __init__(
        self, *args, env=None, wait=True, log=None, runner=(), port=0, ports=("http", "grpc", "metrics")
    ):
        ports = [f"serve.{protocol}_port={port if protocol == 'http' else 0}" for protocol in ports]
        environment = os.environ | {"ORT_DYLIB_PATH": str(onnx_runtime())} | (env or {})
        self.process = subprocess.Popen(
            [*runner, BIN / "serve", *map(str, args), *ports], stderr=subprocess.PIPE, env=environment, text=True
        )
        self.lines = []
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if wait:
            self.http = self.address("HTTP")
            self.wait_ready()

    def _read(self):
        for line in self.process.stderr:
            with self._grown:
                self.lines.append(line)
                self._grown.notify_all()
        with self._grown:
            self._grown.notify_all()

    def wait_line(self, pattern):
        """The first line on standard error that the pattern matches, as a match; waits for it."""
        end = time.monotonic() + PATIENCE
        with self._grown:
            while True:
                for line in self.lines:
                    if found := re.search(pattern, line):
                        return found
                assert self.process.poll() is None and time.monotonic() < end, "".join(self.lines)
                self._grown.wait(0.1)

    def address(self, protocol):
        """host:port of HTTP, gRPC or metrics."""
        return self.wait_line(rf"{protocol} at (?:https?://)?([\d.:]+)")[1]

    @property
    def url(self):
        return f"http://{self.http}"

    def wait_ready(self):
        end = time.monotonic() + PATIENCE
        while self.get("/v2/health/ready")[0] != 200:
            assert self.process.poll() is None and time.monotonic() < end, "".join(self.lines)
            time.sleep(0.02)

    def get(self, path, body=None, headers=None, method=None):
        """Status, headers and body of an answer."""
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()
        except OSError:
            return 0, {}, b""

    def metrics(self, headers=None):
        """Status, headers and text of /metrics."""
        request = urllib.request.Request(f"http://{self.address('metrics')}/metrics", headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def connect(self):
        """A connection to HTTP, for bytes that no client would send."""
        host, port = self.http.rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=PATIENCE)

    def memory(self):
        """Resident memory in bytes."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def stop(self, how=signal.SIGTERM):
        """Exit status after the signal."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.stop(signal.SIGKILL)


def save(path, nodes, inputs, outputs, initializers=()):
    """Writes a model; inputs and outputs are (name, the protocol's type, shape)."""
    value = lambda name, kind, shape: helper.make_tensor_value_info(name, ONNX_TYPES[kind], shape)  # noqa: E731
    graph = helper.make_graph(nodes, "g", [value(*it) for it in inputs], [value(*it) for it in outputs], list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def save_identity(path, kind="FP32", shape=("n", 4)):
    """y = x."""
    return save(path, [helper.make_node("Identity", ["x"], ["y"])], [("x", kind, shape)], [("y", kind, shape)])


def save_add(path, shape=("n", 4), constant=None):
    """sum = a + b and difference = a - b; with a constant, sum = a + constant."""
    if constant is not None:
        nodes = [helper.make_node("Add", ["a", "c"], ["sum"])]
        c = onnx.numpy_helper.from_array(np.float32(constant), "c")
        return save(path, nodes, [("a", "FP32", shape)], [("sum", "FP32", shape)], [c])
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    both = [("a", "FP32", shape), ("b", "FP32", shape)]
    return save(path, nodes, both, [("sum", "FP32", shape), ("difference", "FP32", shape)])


def save_slow(path, width=256, depth=200):
    """A chain of matrix products, which takes some milliseconds a row: y = x w w w …, w orthogonal."""
    w, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(width, width)))
    names = ["x", *(f"h{i}" for i in range(depth - 1)), "y"]
    nodes = [helper.make_node("MatMul", [one, "w"], [two]) for one, two in zip(names, names[1:], strict=False)]
    w = onnx.numpy_helper.from_array(w.astype(np.float32), "w")
    return save(path, nodes, [("x", "FP32", ("n", width))], [("y", "FP32", ("n", width))], [w])


def values(kind, shape, seed=0):
    """Random values of a type."""
    rng = np.random.default_rng(seed)
    if kind == "BYTES":
        texts = ["", "a", "é", "tab\there", '"quoted"\\', "日本", "\U0001f600", "line\nend"]
        return rng.choice(np.array(texts, np.object_), shape)
    dtype = np.dtype(TYPES[kind][0])
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(np.bool_)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    return rng.normal(size=shape).astype(dtype)
