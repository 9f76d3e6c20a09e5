"""Clients of gRPC that misbehave, in frames of HTTP/2 written by hand: the server ends their requests, and others are served."""

import contextlib
import socket
import struct

import numpy as np
import pytest
import tritonclient.grpc as triton
from serving import PATIENCE, Server, save_identity
from tritonclient.grpc import service_pb2

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PATH = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = save_identity(tmp_path_factory.mktemp("models") / "x.onnx")
    limits = ["serve.max_body_bytes=1000000", "serve.body_timeout_ms=700", "serve.body_bytes_per_second=1000"]
    with Server(path, *limits, "serve.idle_timeout_ms=1500") as server:
        yield server


@pytest.fixture(autouse=True)
def others_are_served(server):
    yield
    with triton.InferenceServerClient(server.address("gRPC")) as client:
        x = triton.InferInput("x", (1, 4), "FP32")
        x.set_data_from_numpy(np.ones((1, 4), np.float32))
        assert client.infer("x", [x]).as_numpy("y").tolist() == [[1, 1, 1, 1]]
    assert server.process.poll() is None


def message():
    request = service_pb2.ModelInferRequest(model_name="x", raw_input_contents=[np.ones(4, np.float32).tobytes()])
    request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    return request.SerializeToString()


def prefixed(body, length=None):
    """A message as gRPC frames it; it may lie about its length."""
    return struct.pack(">BI", 0, len(body) if length is None else length) + body


class Connection:
    """Frames of HTTP/2 on a socket."""

    def __init__(self, server, preface=PREFACE):
        host, port = server.address("gRPC").rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), PATIENCE)
        self.socket.sendall(preface)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def frame(self, kind, flags=0, stream=0, payload=b""):
        self.socket.sendall(struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload)

    def settings(self):
        self.frame(SETTINGS)

    def headers(self, stream=1, flags=END_HEADERS, path=PATH, **more):
        fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x", "te": "trailers"}
        fields |= {"content-type": "application/grpc"} | {name.replace("_", "-"): value for name, value in more.items()}
        # Literal fields without indexing, their lengths in one byte each.
        block = b"".join(
            b"\0" + bytes([len(part)]) + part.encode() if at == 0 else bytes([len(part)]) + part.encode()
            for field in fields.items()
            for at, part in enumerate(field)
        )
        self.frame(HEADERS, flags, stream, block)

    def next_frame(self):
        """Kind, flags, stream and payload; None at the end of the connection."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3]):
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self.buffer += more
        end = 9 + int.from_bytes(self.buffer[:3])
        frame, self.buffer = self.buffer[:end], self.buffer[end:]
        return frame[3], frame[4], int.from_bytes(frame[5:9]), frame[9:]

    def end_of(self, stream=1):
        """What ends a stream, and the data of its answer; "closed" for the whole connection."""
        data = b""
        while frame := self.next_frame():
            kind, flags, found, payload = frame
            with contextlib.suppress(ConnectionError):
                if kind in (SETTINGS, PING) and not flags & ACK:
                    self.frame(kind, ACK, 0, payload if kind == PING else b"")
            if found == stream and kind == DATA:
                data += payload
            if found == stream and (kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM)):
                return ("reset" if kind == RST_STREAM else "ended"), data
        return "closed", data


def test_a_request_by_hand(server):
    """What the other tests do wrong, done right."""
    with Connection(server) as connection:
        connection.settings()
        connection.headers()
        connection.frame(DATA, END_STREAM, 1, prefixed(message()))
        how, data = connection.end_of()
        assert how == "ended"
        answer = service_pb2.ModelInferResponse.FromString(data[5:])
        assert answer.raw_output_contents[0] == np.ones(4, np.float32).tobytes()


@pytest.mark.parametrize("length", [0, 10, len(message()) - 1, len(message()) + 1, 10**6 + 1, 2**32 - 1])
def test_a_message_that_lies_about_its_length(server, length):
    with Connection(server) as connection:
        connection.settings()
        connection.headers()
        connection.frame(DATA, END_STREAM, 1, prefixed(message(), length))
        how, data = connection.end_of()
        assert (how, data) in [("ended", b""), ("reset", b"")]


def test_a_message_without_content_ends(server):
    with Connection(server) as connection:
        connection.settings()
        connection.headers(flags=END_HEADERS | END_STREAM)
        assert connection.end_of() == ("ended", b"")


def test_a_compressed_message_that_is_none(server):
    for encoding in ["gzip", "deflate", "br"]:
        with Connection(server) as connection:
            connection.settings()
            connection.headers(grpc_encoding=encoding)
            connection.frame(DATA, END_STREAM, 1, struct.pack(">BI", 1, 100) + b"\x1f\x8b" * 50)
            assert connection.end_of() == ("ended", b"")


def test_a_client_that_stops_half_way_is_not_waited_for(server):
    with Connection(server) as connection:
        connection.settings()
        connection.headers()
        connection.frame(DATA, 0, 1, prefixed(message())[:20])
        how, data = connection.end_of()
        assert how != "closed" and data == b""


def test_a_client_that_sends_a_byte_at_a_time_is_not_waited_for(server):
    with Connection(server) as connection:
        connection.settings()
        connection.headers()
        connection.socket.settimeout(0.02)
        for byte in prefixed(bytes(200)):
            connection.frame(DATA, 0, 1, bytes([byte]))
            with contextlib.suppress(TimeoutError):
                how, data = connection.end_of()
                assert how != "closed" and data == b""
                return
        raise AssertionError("every byte was taken")


def test_a_client_that_leaves(server):
    for sent in [b"", prefixed(message())[:7], prefixed(message())]:
        with Connection(server) as connection:
            connection.settings()
            connection.headers()
            connection.frame(DATA, 0, 1, sent)


@pytest.mark.parametrize(
    "bytes_",
    [
        b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0" * 100,
        PREFACE + b"\xff" * 100,
        PREFACE + struct.pack(">I", 2**24 - 1)[1:] + struct.pack(">BBI", HEADERS, 4, 1),
        # Headers that never end.
        PREFACE + b"\0\0\0\x04\0\0\0\0\0" + (b"\0\0\x05\x01\0\0\0\0\x01" + b"\0" * 5) * 2,
    ],
)
def test_bytes_that_are_no_http2(server, bytes_):
    with Connection(server, bytes_) as connection:
        assert connection.end_of()[0] == "closed"


def test_requests_that_are_cancelled_at_once(server):
    """A client that opens and cancels requests faster than they end is told to go away."""
    with Connection(server) as connection:
        connection.settings()
        with contextlib.suppress(ConnectionError):
            for at in range(20_000):
                connection.headers(stream=1 + 2 * at)
                connection.frame(RST_STREAM, 0, 1 + 2 * at, struct.pack(">I", 8))


def test_a_connection_without_requests_is_closed(server):
    with Connection(server) as connection:
        connection.settings()
        assert connection.end_of()[0] == "closed"


def test_a_large_number_of_requests_of_one_connection(server):
    """More than may run at a time: each is answered or refused, and the connection stays."""
    with Connection(server) as connection:
        connection.settings()
        streams = [1 + 2 * at for at in range(500)]
        for stream in streams:
            connection.headers(stream=stream)
            connection.frame(DATA, END_STREAM, stream, prefixed(message()))
        connection.frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 20))
        assert connection.end_of(streams[-1])[0] in ["ended", "reset"]
