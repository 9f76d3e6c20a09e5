"""`serve` over HTTP, by tritonclient: every type, JSON and binary, compression, classification, errors, batches."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.http as http
import tritonclient.http.aio as http_aio
from serving import TYPES, Server, save_add, save_identity, save_slow, values
from tritonclient.utils import InferenceServerException, serialize_byte_tensor


@pytest.fixture(scope="module")
def model_paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    paths = [save_identity(folder / f"{kind.lower()}.onnx", kind) for kind in TYPES]
    return [*paths, save_add(folder / "add.onnx"), save_slow(folder / "slow.onnx")]


@pytest.fixture(scope="module")
def server(model_paths):
    with Server(*model_paths) as server:
        yield server


@pytest.fixture
def client(server):
    with http.InferenceServerClient(server.http, concurrency=8) as client:
        yield client


def tensor(name, kind, array, binary=True):
    tensor = http.InferInput(name, array.shape, kind)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def as_text(array):
    """Strings come back as bytes in binary and as text in JSON."""
    return [it.decode() if isinstance(it, bytes) else it for it in array.ravel()] if array.dtype == object else array


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("kind", TYPES)
def test_every_type_comes_back_as_it_was(client, kind, binary):
    if kind == "FP16" and not binary:
        pytest.skip("half precision has no JSON form")
    array = values(kind, (5, 4))
    output = http.InferRequestedOutput("y", binary_data=binary)
    result = client.infer(kind.lower(), [tensor("x", kind, array, binary)], outputs=[output]).as_numpy("y")
    assert result.shape == (5, 4)
    np.testing.assert_array_equal(as_text(result), as_text(array))


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_bodies_are_compressed_both_ways(client, algorithm):
    array = np.zeros((8, 4), np.float32)
    how = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
    for binary in [True, False]:
        result = client.infer("fp32", [tensor("x", "FP32", array, binary)], **how)
        np.testing.assert_array_equal(result.as_numpy("y"), array)


def test_inputs_and_outputs_by_name_in_any_order(client):
    a, b = values("FP32", (3, 4), 1), values("FP32", (3, 4), 2)
    outputs = [http.InferRequestedOutput("difference"), http.InferRequestedOutput("sum", binary_data=False)]
    inputs = [tensor("b", "FP32", b, binary=False), tensor("a", "FP32", a)]
    result = client.infer("add", inputs, request_id="r1", outputs=outputs)
    np.testing.assert_array_equal(result.as_numpy("sum"), a + b)
    np.testing.assert_array_equal(result.as_numpy("difference"), a - b)
    response = result.get_response()
    assert response["id"] == "r1"
    assert [output["name"] for output in response["outputs"]] == ["difference", "sum"]


def test_all_outputs_where_none_is_named(client):
    a, b = values("FP32", (3, 4), 1), values("FP32", (3, 4), 2)
    result = client.infer("add", [tensor("a", "FP32", a), tensor("b", "FP32", b)])
    np.testing.assert_array_equal(result.as_numpy("sum"), a + b)
    np.testing.assert_array_equal(result.as_numpy("difference"), a - b)


def test_classification(client):
    array = np.array([[0.1, 0.7, 0.2, 0.0], [5, 4, 3, 6]], np.float32)
    output = http.InferRequestedOutput("y", class_count=2)
    result = client.infer("fp32", [tensor("x", "FP32", array)], outputs=[output]).as_numpy("y")
    assert result.tolist() == [[b"0.700000:1", b"0.200000:2"], [b"6.000000:3", b"5.000000:0"]]


def test_a_body_of_raw_data(server):
    array = values("FP32", (3, 4))
    headers = {"Inference-Header-Content-Length": "0", "Content-Type": "application/octet-stream"}
    status, answer, body = server.get("/v2/models/fp32/infer", array.tobytes(), headers)
    assert status == 200, body
    length = int(answer["Inference-Header-Content-Length"])
    assert json.loads(body[:length])["outputs"][0]["shape"] == [3, 4]
    np.testing.assert_array_equal(np.frombuffer(body[length:], "<f4").reshape(3, 4), array)
    status, _, body = server.get("/v2/models/fp32/infer", array.tobytes()[:-1], headers)
    assert status == 400, body


def test_the_asyncio_client(server):
    async def run():
        async with http_aio.InferenceServerClient(server.http) as client:
            arrays = [values("FP32", (2, 4), seed) for seed in range(20)]
            results = await asyncio.gather(*(client.infer("fp32", [tensor("x", "FP32", it)]) for it in arrays))
            for array, result in zip(arrays, results, strict=True):
                np.testing.assert_array_equal(result.as_numpy("y"), array)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        ("fp32", [("x", "FP64", (1, 4))], "data-type is 'FP64', but model 'fp32' expects 'FP32'"),
        ("fp32", [("x", "BYTES", (1, 4))], "data-type is 'BYTES', but model 'fp32' expects 'FP32'"),
        ("fp32", [("x", "FP32", (1, 5))], "unexpected shape for input 'x' for model 'fp32'. Expected [-1,4], got [1,5]"),
        ("fp32", [("x", "FP32", (4,))], "Expected [-1,4], got [4]"),
        ("fp32", [("z", "FP32", (1, 4))], "unexpected inference input 'z' for model 'fp32'"),
        ("fp32", [("x", "FP32", (33, 4))], "batch-size must be from 1 to 32"),
        ("fp32", [("x", "FP32", (0, 4))], "batch-size must be from 1 to 32"),
        ("add", [("a", "FP32", (1, 4))], "expected 2 inputs but got 1 inputs for model 'add'"),
        ("add", [("a", "FP32", (1, 4)), ("b", "FP32", (2, 4))], "batch size does not match"),
        ("add", [("a", "FP32", (1, 4)), ("a", "FP32", (1, 4))], '"a" is named twice'),
        ("bytes", [("x", "INT8", (1, 4))], "data-type is 'INT8', but model 'bytes' expects 'BYTES'"),
    ],
)
def test_requests_that_do_not_fit(client, model, inputs, message):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, [tensor(name, kind, values(kind, shape)) for name, kind, shape in inputs])
    assert caught.value.status() == "400"
    assert message in caught.value.message()


def test_unknown_models_and_versions_are_404(client):
    for model, version in [("none", ""), ("fp32", "2")]:
        with pytest.raises(InferenceServerException) as caught:
            client.infer(model, [tensor("x", "FP32", values("FP32", (1, 4)))], model_version=version)
        assert caught.value.status() == "404"


def test_text_that_is_not_utf8(client):
    array = np.array([[b"\xff", b"a", b"b", b"c"]], np.object_)
    tensor = http.InferInput("x", array.shape, "BYTES")
    tensor.set_data_from_numpy(array)
    with pytest.raises(InferenceServerException) as caught:
        client.infer("bytes", [tensor])
    assert caught.value.status() == "400" and "not UTF-8" in caught.value.message()


def test_answers_of_a_busy_model_go_to_who_asked(server):
    """Requests meet while the model runs, and are run together: each gets its own rows."""
    arrays = [values("FP32", (1 + seed % 3, 256), seed) for seed in range(64)]

    def infer(array):
        # A client of this kind is of one thread.
        with http.InferenceServerClient(server.http) as client:
            return client.infer("slow", [tensor("x", "FP32", array)]).as_numpy("y")

    alone = [infer(array) for array in arrays]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(infer, arrays))
    with http.InferenceServerClient(server.http) as client:
        statistics = client.get_inference_statistics("slow")["model_stats"][0]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert statistics["inference_stats"]["success"]["count"] == 128
    assert statistics["inference_count"] == 2 * sum(len(array) for array in arrays)
    assert statistics["execution_count"] < 128, "no requests were run together"


def test_a_byte_tensor_as_the_client_serializes_it(server):
    texts = np.array([["a", "é", "", "日本"]], np.object_)
    raw = serialize_byte_tensor(texts).item()
    head = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}]}
    head = json.dumps(head).encode()
    status, _, body = server.get("/v2/models/bytes/infer", head + raw, {"Inference-Header-Content-Length": str(len(head))})
    assert (status, json.loads(body)["outputs"][0]["data"]) == (200, ["a", "é", "", "日本"])
