"""The document at /openapi.json: schemathesis makes requests of it, valid and invalid, and checks every answer."""

import json
import subprocess

import numpy as np
import pytest
from peers import ROOT
from serving import Server, save_add

SCHEMATHESIS = ROOT / ".venv" / "bin" / "schemathesis"
# Requests of each operation and phase; more find nothing that these do not, and take minutes.
EXAMPLES = 12
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(save_add(tmp_path_factory.mktemp("openapi") / "add.onnx")) as server:
        yield server


def test_every_answer_is_one_that_the_document_names(server, tmp_path):
    command = [
        *[SCHEMATHESIS, "run", f"{server.url}/openapi.json", f"--url={server.url}"],
        *[f"--checks={','.join(CHECKS)}", f"--max-examples={EXAMPLES}", "--seed=20", "--continue-on-failure"],
        *["--workers=1", "--no-color", "--request-timeout=10"],
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    # It still answers.
    data = np.arange(4.0).reshape(1, 4).tolist()
    inputs = [{"name": name, "datatype": "FP32", "shape": [1, 4], "data": data} for name in "ab"]
    status, _, body = server.get("/v2/models/add/infer", json.dumps({"inputs": inputs}).encode())
    assert status == 200 and json.loads(body)["outputs"][0]["data"] == [0, 2, 4, 6]
