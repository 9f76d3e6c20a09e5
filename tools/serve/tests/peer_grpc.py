"""`serve` over gRPC, by tritonclient and grpcio: every type, streams, errors, management, health and reflection."""

import asyncio
import queue
import signal
from concurrent.futures import ThreadPoolExecutor

import grpc
import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from serving import PATIENCE, TYPES, Server, save_add, save_identity, save_slow, values
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

SERVICE = "inference.GRPCInferenceService"

# The field of typed contents for each type.
CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


@pytest.fixture(scope="module")
def model_paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    paths = [save_identity(folder / f"{kind.lower()}.onnx", kind) for kind in [*TYPES, "BF16"]]
    paths += [save_add(folder / "add.onnx"), save_slow(folder / "slow.onnx")]
    return [*paths, save_identity(folder / "wide.onnx", shape=("n", "m"))]


@pytest.fixture(scope="module")
def server(model_paths):
    with Server(*model_paths) as server:
        yield server


@pytest.fixture(scope="module")
def address(server):
    return server.address("gRPC")


@pytest.fixture
def client(address):
    with triton.InferenceServerClient(address) as client:
        yield client


@pytest.fixture
def channel(address):
    with grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return service_pb2_grpc.GRPCInferenceServiceStub(channel)


def tensor(name, kind, array):
    tensor = triton.InferInput(name, array.shape, kind)
    tensor.set_data_from_numpy(array)
    return tensor


def request(model="fp32", shape=(1, 4), kind="FP32", raw=None, **fields):
    """A request of one input, as a message."""
    request = service_pb2.ModelInferRequest(model_name=model, **fields)
    request.inputs.add(name="x", datatype=kind, shape=shape)
    if raw is not None:
        request.raw_input_contents.append(raw)
    return request


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_comes_back_as_it_was(client, kind):
    array = values(kind, (5, 4))
    result = client.infer(kind.lower(), [tensor("x", kind, array)], request_id="r1")
    back = result.as_numpy("y")
    if kind == "BYTES":
        back = np.vectorize(bytes.decode, otypes=[object])(back)
    np.testing.assert_array_equal(back, array)
    response = result.get_response()
    assert (response.model_name, response.model_version, response.id) == (kind.lower(), "1", "r1")
    assert (response.outputs[0].datatype, list(response.outputs[0].shape)) == (kind, [5, 4])


def test_bfloat16(client):
    array = np.array([[1.0, -2.5, 0.0, 3e38]], ml_dtypes.bfloat16)
    back = client.infer("bf16", [tensor("x", "BF16", array)]).as_numpy("y")
    np.testing.assert_array_equal(back.astype(np.float32), array.astype(np.float32))


@pytest.mark.parametrize("kind", CONTENTS)
def test_typed_contents_of_every_type(stub, kind):
    array = values(kind, (2, 4))
    message = request(kind.lower(), (2, 4), kind)
    elements = [it.encode() for it in array.ravel()] if kind == "BYTES" else array.ravel().tolist()
    getattr(message.inputs[0].contents, CONTENTS[kind]).extend(elements)
    raw = triton.InferInput("x", array.shape, kind)
    raw.set_data_from_numpy(array)
    assert list(stub.ModelInfer(message).raw_output_contents) == [raw._get_content()]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_messages_are_compressed(client, algorithm):
    array = np.zeros((8, 4), np.float32)
    result = client.infer("fp32", [tensor("x", "FP32", array)], compression_algorithm=algorithm)
    np.testing.assert_array_equal(result.as_numpy("y"), array)


def test_a_message_larger_than_grpcs_default_limit(client):
    array = values("FP32", (2, 4_000_000))
    np.testing.assert_array_equal(client.infer("wide", [tensor("x", "FP32", array)]).as_numpy("y"), array)


def test_inputs_and_outputs_by_name_in_any_order(client):
    a, b = values("FP32", (3, 4), 1), values("FP32", (3, 4), 2)
    outputs = [triton.InferRequestedOutput("difference"), triton.InferRequestedOutput("sum")]
    result = client.infer("add", [tensor("b", "FP32", b), tensor("a", "FP32", a)], outputs=outputs)
    np.testing.assert_array_equal(result.as_numpy("sum"), a + b)
    np.testing.assert_array_equal(result.as_numpy("difference"), a - b)
    assert [output.name for output in result.get_response().outputs] == ["difference", "sum"]


def test_classification(client):
    array = np.array([[0.1, 0.7, 0.2, 0.0], [5, 4, 3, 6]], np.float32)
    output = triton.InferRequestedOutput("y", class_count=2)
    result = client.infer("fp32", [tensor("x", "FP32", array)], outputs=[output]).as_numpy("y")
    assert result.tolist() == [[b"0.700000:1", b"0.200000:2"], [b"6.000000:3", b"5.000000:0"]]


def test_callbacks(client):
    answers = queue.Queue()
    arrays = [values("FP32", (2, 4), seed) for seed in range(20)]
    for at, array in enumerate(arrays):
        client.async_infer("fp32", [tensor("x", "FP32", array)], lambda result, error: answers.put((result, error)), request_id=str(at))
    for _ in arrays:
        result, error = answers.get(timeout=PATIENCE)
        assert error is None
        np.testing.assert_array_equal(result.as_numpy("y"), arrays[int(result.get_response().id)])


def test_the_asyncio_client(address):
    async def run():
        async with triton_aio.InferenceServerClient(address) as client:
            assert await client.is_server_ready()
            arrays = [values("FP32", (2, 4), seed) for seed in range(20)]
            results = await asyncio.gather(*(client.infer("fp32", [tensor("x", "FP32", it)]) for it in arrays))
            for array, result in zip(arrays, results, strict=True):
                np.testing.assert_array_equal(result.as_numpy("y"), array)

            async def requests():
                for array in arrays:
                    yield {"model_name": "fp32", "inputs": [tensor("x", "FP32", array)]}

            streamed = [answer async for answer in client.stream_infer(requests())]
            assert len(streamed) == len(arrays)
            for array, (result, error) in zip(arrays, streamed, strict=True):
                assert error is None
                np.testing.assert_array_equal(result.as_numpy("y"), array)

    asyncio.run(run())


def test_a_stream_answers_in_order_and_survives_errors(client):
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    arrays = [values("FP32", (1 + seed % 3, 256), seed) for seed in range(30)]
    for at, array in enumerate(arrays):
        # Every fifth asks for another model.
        model = "slow" if at % 5 else "none"
        client.async_stream_infer(model, [tensor("x", "FP32", array)], request_id=str(at))
    alone = [client.infer("slow", [tensor("x", "FP32", array)]).as_numpy("y") for array in arrays]
    for at in range(len(arrays)):
        result, error = answers.get(timeout=PATIENCE)
        if at % 5:
            assert error is None
            response = result.get_response()
            assert (response.id, response.parameters["triton_final_response"].bool_param) == (str(at), True)
            np.testing.assert_allclose(result.as_numpy("y"), alone[at], rtol=1e-4, atol=1e-5)
        else:
            assert "'none' is not found" in error.message()
    client.stop_stream()


def test_an_error_in_a_stream_names_its_request(stub):
    responses = list(stub.ModelStreamInfer(iter([request(model="none", id="7"), request(raw=bytes(16), id="8")])))
    assert [it.infer_response.id for it in responses] == ["7", "8"]
    assert [bool(it.error_message) for it in responses] == [True, False]
    assert [list(it.infer_response.parameters) for it in responses] == [[], ["triton_final_response"]]


def test_a_stream_that_is_cancelled(client):
    client.start_stream(lambda result, error: None)
    for _ in range(64):
        client.async_stream_infer("slow", [tensor("x", "FP32", values("FP32", (32, 256)))])
    client.stop_stream(cancel_requests=True)
    # The others do not run: another client is answered at once.
    client.infer("slow", [tensor("x", "FP32", values("FP32", (1, 256)))], client_timeout=PATIENCE)


def code_of(call):
    with pytest.raises(InferenceServerException) as caught:
        call()
    return caught.value.status().removeprefix("StatusCode."), caught.value.message()


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        ("fp32", [("x", "FP64", (1, 4))], "data-type is 'FP64', but model 'fp32' expects 'FP32'"),
        ("fp32", [("x", "BYTES", (1, 4))], "data-type is 'BYTES', but model 'fp32' expects 'FP32'"),
        ("fp32", [("x", "FP32", (1, 5))], "unexpected shape for input 'x' for model 'fp32'. Expected [-1,4], got [1,5]"),
        ("fp32", [("z", "FP32", (1, 4))], "unexpected inference input 'z' for model 'fp32'"),
        ("fp32", [("x", "FP32", (33, 4))], "batch-size must be from 1 to 32"),
        ("fp32", [("x", "FP32", (0, 4))], "batch-size must be from 1 to 32"),
        ("add", [("a", "FP32", (1, 4))], "expected 2 inputs but got 1 inputs for model 'add'"),
    ],
)
def test_requests_that_do_not_fit(client, model, inputs, message):
    code, found = code_of(
        lambda: client.infer(model, [tensor(name, kind, values(kind, shape)) for name, kind, shape in inputs])
    )
    assert code == "INVALID_ARGUMENT" and message in found


@pytest.mark.parametrize(
    "message",
    [
        request(raw=bytes(15)),
        request(raw=bytes(17)),
        request(),
        request(shape=(-1, 4), raw=bytes(16)),
        request(shape=(2**62, 4), raw=b""),
        request(shape=(2**63 - 1, 2**63 - 1), raw=b""),
        request(shape=(1,) * 100, raw=bytes(4)),
        request(kind="FP8", raw=bytes(4)),
        request(kind="", raw=bytes(4)),
        request(model="bytes", kind="BYTES", raw=b"\xff\xff\xff\xffa"),
        request(model="bytes", kind="BYTES", raw=b"\x01\x00\x00\x00a"),
        request(model="bool", kind="BOOL", raw=b"\x00\x01\x02\x01"),
        service_pb2.ModelInferRequest(model_name="fp32", raw_input_contents=[b"1234"]),
        service_pb2.ModelInferRequest(model_name="fp32"),
    ],
)
def test_messages_that_lie(stub, message):
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(message)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, caught.value.details()
    # The server is well.
    assert stub.ModelInfer(request(raw=bytes(16))).raw_output_contents[0] == bytes(16)


def test_bytes_that_are_no_message(channel, stub):
    call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\xff" * 100)
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/NoSuchCall")(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert stub.ServerLive(service_pb2.ServerLiveRequest()).live


def test_a_message_beyond_the_limit(model_paths):
    with Server(model_paths[-1], "serve.max_body_bytes=1000000") as server:
        with triton.InferenceServerClient(server.address("gRPC")) as client:
            code, _ = code_of(lambda: client.infer("wide", [tensor("x", "FP32", values("FP32", (1, 300_000)))]))
            assert code == "OUT_OF_RANGE"
            # Compressed, it is as large.
            zeros = tensor("x", "FP32", np.zeros((1, 300_000), np.float32))
            assert code_of(lambda: client.infer("wide", [zeros], compression_algorithm="gzip"))[0] != "OK"
            array = values("FP32", (1, 200_000))
            np.testing.assert_array_equal(client.infer("wide", [tensor("x", "FP32", array)]).as_numpy("y"), array)


def test_unknown_models_and_versions_are_not_found(client):
    inputs = [tensor("x", "FP32", values("FP32", (1, 4)))]
    for model, version in [("none", ""), ("fp32", "2")]:
        assert code_of(lambda model=model, version=version: client.infer(model, inputs, version))[0] == "NOT_FOUND"
        assert not client.is_model_ready(model, version)
    assert code_of(lambda: client.is_model_ready("fp32", "first"))[0] == "INVALID_ARGUMENT"
    for call in [client.get_model_metadata, client.get_model_config, client.get_inference_statistics]:
        assert code_of(lambda call=call: call("none"))[0] == "NOT_FOUND"


def test_timeouts(client):
    inputs = [tensor("x", "FP32", values("FP32", (32, 256)))]
    code, message = code_of(lambda: client.infer("slow", inputs, timeout=1))
    assert code == "DEADLINE_EXCEEDED" and "timed out" in message
    assert code_of(lambda: client.infer("slow", inputs, client_timeout=1e-3))[0] == "DEADLINE_EXCEEDED"
    code, message = code_of(lambda: client.infer("fp32", inputs, sequence_id=1))
    assert code == "INVALID_ARGUMENT" and "sequence" in message


def test_the_server_and_its_models(client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("add", "1")
    metadata = client.get_server_metadata()
    assert metadata.name and metadata.version and "binary_tensor_data" in metadata.extensions
    metadata = client.get_model_metadata("add")
    assert (metadata.name, list(metadata.versions), metadata.platform) == ("add", ["1"], "onnxruntime_onnx")
    tensors = [(it.name, it.datatype, list(it.shape)) for it in [*metadata.inputs, *metadata.outputs]]
    assert tensors == [(name, "FP32", [-1, 4]) for name in ["a", "b", "sum", "difference"]]
    config = client.get_model_config("add", as_json=True)["config"]
    assert (config["name"], config["backend"], config["max_batch_size"]) == ("add", "onnxruntime", 32)
    assert config["input"][0] | {"name": "a", "data_type": "TYPE_FP32", "dims": ["4"]} == config["input"][0]


def test_statistics_count_requests_and_rows(model_paths):
    with Server(*model_paths) as server, triton.InferenceServerClient(server.address("gRPC")) as client:
        for rows in [1, 1, 3]:
            client.infer("fp32", [tensor("x", "FP32", values("FP32", (rows, 4)))])
        code_of(lambda: client.infer("fp32", [tensor("x", "FP64", values("FP64", (1, 4)))]))
        [statistics] = client.get_inference_statistics("fp32").model_stats
        assert (statistics.name, statistics.version) == ("fp32", "1")
        assert (statistics.inference_count, statistics.execution_count) == (5, 3)
        counts = statistics.inference_stats
        assert (counts.success.count, counts.fail.count, counts.compute_infer.count) == (3, 1, 3)
        assert counts.success.ns >= counts.compute_infer.ns > 0
        assert {it.batch_size: it.compute_infer.count for it in statistics.batch_stats} == {1: 2, 3: 1}
        assert statistics.last_inference > 1_600_000_000_000
        assert len(client.get_inference_statistics().model_stats) == len(model_paths)


def test_the_repository(client, model_paths):
    index = client.get_model_repository_index().models
    assert {(it.name, it.version, it.state) for it in index} == {(path.stem, "1", "READY") for path in model_paths}
    for call in [client.load_model, client.unload_model]:
        code, message = code_of(lambda call=call: call("fp32"))
        assert code == "UNAVAILABLE" and "not allowed" in message
    assert client.is_model_ready("fp32")


def test_models_are_loaded_and_unloaded(tmp_path):
    for name in ["one", "two"]:
        save_add(tmp_path / name / "1" / "model.onnx")
    (tmp_path / "one" / "config.pbtxt").write_text("max_batch_size: 4")
    inputs = [tensor(name, "FP32", values("FP32", (1, 4))) for name in ["a", "b"]]
    with Server(tmp_path, "serve.model_control=explicit") as server:
        with triton.InferenceServerClient(server.address("gRPC")) as client:
            assert not client.is_model_ready("one")
            client.load_model("one")
            assert client.is_model_ready("one") and not client.is_model_ready("two")
            assert client.get_model_config("one").config.max_batch_size == 4
            client.infer("one", inputs)
            client.load_model("one", config='{"max_batch_size": 2}')
            assert client.get_model_config("one").config.max_batch_size == 2
            index = {it.name: (it.version, it.state) for it in client.get_model_repository_index().models}
            assert index == {"one": ("1", "READY"), "two": ("", "")}
            client.unload_model("one")
            assert not client.is_model_ready("one")
            assert code_of(lambda: client.infer("one", inputs))[0] in ["NOT_FOUND", "UNAVAILABLE"]
            assert "failed to load 'none'" in code_of(lambda: client.load_model("none"))[1]
            files = {"file:1/model.onnx": b"bytes"}
            code, message = code_of(lambda: client.load_model("two", config="{}", files=files))
            assert code == "UNIMPLEMENTED" and "file:1/model.onnx" in message
            assert code_of(lambda: client.load_model("two", config="{"))[0] == "INVALID_ARGUMENT"
            assert not client.is_model_ready("two")


def test_shared_memory(client):
    assert not client.get_system_shared_memory_status().regions
    assert not client.get_cuda_shared_memory_status().regions
    for status in [client.get_system_shared_memory_status, client.get_cuda_shared_memory_status]:
        assert code_of(lambda status=status: status("r"))[0] == "NOT_FOUND"
    client.unregister_system_shared_memory()
    client.unregister_cuda_shared_memory()
    assert code_of(lambda: client.register_system_shared_memory("r", "/r", 64))[0] == "UNIMPLEMENTED"
    assert code_of(lambda: client.register_cuda_shared_memory("r", b"aGFuZGxl", 0, 64))[0] == "UNIMPLEMENTED"
    shared = triton.InferInput("x", (1, 4), "FP32")
    shared.set_shared_memory("r", 16)
    code, message = code_of(lambda: client.infer("fp32", [shared]))
    assert code == "INVALID_ARGUMENT" and "shared memory" in message


def test_trace_and_log_settings(client):
    assert client.get_trace_settings(as_json=True)["settings"]["trace_level"] == {"value": ["OFF"]}
    assert client.get_trace_settings("fp32", as_json=True)["settings"]["trace_rate"] == {"value": ["1000"]}
    assert client.update_trace_settings(settings={"trace_level": ["OFF"]}).settings["trace_level"].value == ["OFF"]
    assert code_of(lambda: client.update_trace_settings(settings={"trace_level": ["TENSORS"]}))[0] == "UNIMPLEMENTED"
    assert code_of(lambda: client.update_trace_settings(settings={"trace": ["x"]}))[0] == "INVALID_ARGUMENT"
    settings = client.get_log_settings().settings
    assert settings["log_error"].bool_param and settings["log_file"].string_param == ""
    assert client.update_log_settings({"log_error": True}).settings["log_error"].bool_param
    assert code_of(lambda: client.update_log_settings({"log_verbose_level": 1}))[0] == "UNIMPLEMENTED"


def test_health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ["", SERVICE]:
        status = stub.Check(health_pb2.HealthCheckRequest(service=service)).status
        assert status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="none"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_server_that_drains(model_paths):
    """It says that it is not ready, answers as before, and ends with open streams, whose requests are answered."""
    with Server(model_paths[0], "serve.drain_delay_ms=1000") as server:
        address = server.address("gRPC")
        with grpc.insecure_channel(address) as channel, triton.InferenceServerClient(address) as client:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
            answers = queue.Queue()
            client.start_stream(lambda result, error: answers.put((result, error)))
            server.process.send_signal(signal.SIGTERM)
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert not client.is_server_ready()
            array = values("BOOL", (1, 4))
            client.async_stream_infer("bool", [tensor("x", "BOOL", array)])
            result, error = answers.get(timeout=PATIENCE)
            assert error is None
            np.testing.assert_array_equal(result.as_numpy("y"), array)
            assert server.process.wait(PATIENCE) in [0, -signal.SIGTERM]


def test_reflection(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    services = {"grpc.health.v1.Health", SERVICE}
    assert services <= set(database.get_services())
    pool = descriptor_pool.DescriptorPool(database)
    service = pool.FindServiceByName(SERVICE)
    ours = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert [method.name for method in service.methods] == [method.name for method in ours.methods]
    # A client that knows the server by reflection alone.
    method = service.FindMethodByName("ModelReady")
    request_type, response_type = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
    call = channel.unary_unary(
        f"/{SERVICE}/ModelReady",
        request_serializer=request_type.SerializeToString,
        response_deserializer=response_type.FromString,
    )
    assert call(request_type(name="fp32")).ready


def test_reflection_of_version_1(channel):
    call = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    [response] = call(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    assert SERVICE in {service.name for service in response.list_services_response.service}


def same_fields(ours, theirs):
    """Fields of a reflected message and of Triton's own, by name, number and type."""
    fields = lambda it: [(f.name, f.number, f.type, f.is_repeated, f.message_type and f.message_type.full_name) for f in it.fields]  # noqa: E731
    return sorted(fields(ours)) == sorted(fields(theirs))


def test_the_messages_are_those_of_tritons_clients(channel):
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    def compare(theirs):
        ours = pool.FindMessageTypeByName(theirs.full_name)
        assert same_fields(ours, theirs), theirs.full_name
        for nested in theirs.nested_types:
            compare(nested)

    files = [service_pb2.DESCRIPTOR, *service_pb2.DESCRIPTOR.dependencies]
    for file in files:
        for message in file.message_types_by_name.values():
            compare(message)
        for enum in file.enum_types_by_name.values():
            ours = pool.FindEnumTypeByName(enum.full_name)
            assert {v.name: v.number for v in ours.values} == {v.name: v.number for v in enum.values}


def test_many_clients_at_once(address):
    """Requests of many streams of one connection, and of many connections, each get their own answer."""
    arrays = [values("FP32", (1 + seed % 4, 256), seed) for seed in range(64)]
    with triton.InferenceServerClient(address) as client, ThreadPoolExecutor(16) as pool:
        infer = lambda array: client.infer("slow", [tensor("x", "FP32", array)]).as_numpy("y")  # noqa: E731
        for one, other in zip(map(infer, arrays), pool.map(infer, arrays), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
