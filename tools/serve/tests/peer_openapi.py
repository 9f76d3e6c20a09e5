"""The document at /openapi.json: schemathesis makes requests of it, valid and invalid, and checks every answer."""

import json
import subprocess

import pytest
from peers import ROOT
from serving import Server, save_add

SCHEMATHESIS = ROOT / ".venv" / "bin" / "schemathesis"
# Requests of each operation and phase; more find nothing that these do not, and take minutes.
EXAMPLES = 12
# The protocols have operations that this server refuses by name. Triton's answer to a model that cannot be loaded is 500.
CONFIG = """
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 501]

[[operations]]
include-path = "/v2/repository/models/{model}/load"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 500]
"""
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
    models = tmp_path_factory.mktemp("openapi")
    save_add(models / "add" / "1" / "model.onnx")
    with Server(models, "serve.model_control=explicit", "serve.load_models=[add]") as server:
        yield server


@pytest.fixture
def document(server):
    return json.loads(server.get("/openapi.json")[2])


def check(server, document, folder, checks, *options):
    """Runs schemathesis over a document."""
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "schemathesis.toml").write_text(CONFIG)
    command = [
        *[SCHEMATHESIS, f"--config-file={folder / 'schemathesis.toml'}", "run", folder / "openapi.json"],
        *[f"--url={server.url}", f"--checks={','.join(checks)}", f"--max-examples={EXAMPLES}", "--seed=20"],
        *["--continue-on-failure", "--no-color", "--warnings=off", "--request-timeout=10", *options],
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_answer_is_one_that_the_document_names(server, document, tmp_path):
    # Names that are there and names that are not.
    parameters = document["components"]["parameters"]
    parameters["model"]["schema"] = {"enum": ["add", "missing", "../add", "a b"]}
    parameters["version"]["schema"] = {"enum": ["1", "2"]}
    document["paths"].pop("/v2/repository/models/{model}/unload")
    # MLflow's own /version is text that says it is JSON.
    check(server, document, tmp_path, CHECKS, "--exclude-path=/version")
    status, _, body = server.get("/v2/models/add/infer", json.dumps(request([[1, 2, 3, 4]])).encode())
    assert status == 200 and json.loads(body)["outputs"][0]["data"] == [2, 4, 6, 8]


def request(data):
    inputs = [{"name": name, "datatype": "FP32", "shape": [1, 4], "data": data} for name in "ab"]
    return {"inputs": inputs}


def test_every_request_that_fits_the_model_is_answered(server, document, tmp_path):
    document["components"]["parameters"]["model"]["schema"] = {"const": "add"}
    schema = document["components"]["schemas"]["InferRequest"]
    number = {"type": "number", "minimum": -1e6, "maximum": 1e6}
    row = {"type": "array", "items": number, "minItems": 4, "maxItems": 4}
    rows = {"anyOf": [row, {"type": "array", "items": row, "minItems": 1, "maxItems": 1}]}

    def tensor(name):
        properties = {"name": {"const": name}, "datatype": {"const": "FP32"}, "shape": {"const": [1, 4]}, "data": rows}
        return {"type": "object", "required": list(properties), "properties": properties}

    # Other keys of a request are ignored, as Triton does.
    inputs = {"type": "array", "prefixItems": [tensor("a"), tensor("b")], "minItems": 2, "maxItems": 2}
    schema.update(properties={"id": schema["properties"]["id"], "inputs": inputs})
    path = "/v2/models/{model}/infer"
    document["paths"][path]["post"]["requestBody"]["content"].pop("application/octet-stream")
    document["paths"][path]["post"].pop("parameters")
    # What the model takes is less than what the protocol does: of requests that do not fit, the test above makes some.
    checks = [check for check in CHECKS if check != "negative_data_rejection"]
    found = check(server, document, tmp_path, [*checks, "positive_data_acceptance"], f"--include-path={path}")
    assert "1 selected" in found


def test_a_key_is_needed_where_the_document_says_so(document, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("of-a-test\n")
    keys.chmod(0o600)
    # Here a key is no choice.
    document["security"].remove({})
    with Server(save_add(tmp_path / "add.onnx"), f"serve.api_keys={keys}") as server:
        options = ["--header=Authorization: Bearer of-a-test", "--phases=fuzzing", "--max-examples=1", "--exclude-path=/v2/health/ready"]
        check(server, document, tmp_path, ["ignored_auth"], *options)
        operations = [(path, method) for path, item in document["paths"].items() for method in ("get", "post") if method in item]
        for path, method in operations:
            is_open = document["paths"][path][method].get("security") == [{}]
            path = path.replace("{file}", "main.js").replace("{", "").replace("}", "")
            status, _, _ = server.get(path, b"" if method == "post" else None)
            assert (status != 401) == is_open, path
