"""Full load for a minute over every protocol: each request is answered, and memory stays where it is.

`make soak` is the same for ten minutes; SOAK_SECONDS is another time here.
"""

import json
import os
import sys
from pathlib import Path

import pytest
from serving import Server, save_identity, values
from tritonclient.grpc import service_pb2 as pb

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts" / "bench" / "serve"))

from soak import growth_mb, soak  # noqa: E402

SECONDS = float(os.environ.get("SOAK_SECONDS", 60))
# A minute has about a million requests: a leak of 16 bytes each is more.
MOST_MB = 8


def http(path, body, **headers):
    headers = {"host": "127.0.0.1", "content-length": len(body), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def requests(server, rows):
    tensor = {"name": "x", "shape": rows.shape, "datatype": "FP32"}
    as_json = json.dumps({"inputs": [tensor | {"data": rows.ravel().tolist()}]}).encode()
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": rows.nbytes}}]}).encode()
    message = pb.ModelInferRequest(model_name="identity", raw_input_contents=[rows.tobytes()])
    message.inputs.add(name="x", datatype="FP32", shape=rows.shape)
    path, port = "/v2/models/identity/infer", int(server.http.rsplit(":")[-1])
    return [
        ("http", port, http(path, as_json)),
        ("http", port, http(path, head + rows.tobytes(), inference_header_content_length=len(head))),
        ("grpc", int(server.address("gRPC").rsplit(":")[-1]), message.SerializeToString()),
        ("http", port, http("/v2/models/identity/records", b'{"x":[1,2,3,4]}\n', content_type="application/x-ndjson")),
    ]


@pytest.mark.skipif(SECONDS <= 0, reason="SOAK_SECONDS is 0")
def test_memory_is_flat_under_full_load(tmp_path):
    save_identity(tmp_path / "identity.onnx")
    with Server(tmp_path / "identity.onnx") as server:
        rows = soak(server.process.pid, requests(server, values("FP32", (1, 4))), SECONDS, folder=tmp_path, samples=40)
        (found,) = json.loads(server.get("/v2/models/identity/stats")[2])["model_stats"]
    assert growth_mb(rows) < MOST_MB, rows
    assert found["inference_stats"]["success"]["count"] >= sum(sent for _, _, sent in rows)
