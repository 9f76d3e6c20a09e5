"""Model repositories of `serve`: layouts, config.pbtxt, model control, by Triton's own client."""

import json
import os
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import pytest
import tritonclient.http as triton
from serving import PATIENCE, Server, save, save_add, save_slow
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException


def client(server):
    return triton.InferenceServerClient(server.http, concurrency=4)


def add(server, model="m", version="", rows=1):
    """a + constant, where a is 0."""
    a = triton.InferInput("a", [rows, 4], "FP32").set_data_from_numpy(np.zeros((rows, 4), np.float32))
    with client(server) as it:
        return it.infer(model, [a], model_version=version).as_numpy("sum")[0, 0]


def wait(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def replace(path, write):
    """As a careful deployment does: the file appears whole."""
    temporary = path.with_name(".new")
    write(temporary)
    os.replace(temporary, path)


def index(server, **filters):
    status, _, body = server.get("/v2/repository/index", json.dumps(filters).encode(), method="POST")
    assert status == 200, body
    return json.loads(body)


def states(server, model="m"):
    return {it["version"]: it["state"] for it in index(server) if it["name"] == model and "version" in it}


@pytest.fixture
def repository(tmp_path):
    """A folder of models with m/1, which adds 1."""
    save_add(tmp_path / "models/m/1/model.onnx", constant=1)
    return tmp_path / "models"


def configure(repository, text, model="m"):
    (repository / model / "config.pbtxt").write_text(text)


# Layouts.


def test_a_file_a_folder_and_a_repository_are_served(tmp_path, repository):
    file = save_add(tmp_path / "adds.onnx", constant=2)
    save_add(tmp_path / "run/model.onnx", constant=3)
    save_add(repository / "flat.onnx", constant=4)
    with Server(file, tmp_path / "run", repository) as server:
        assert [add(server, name) for name in ["adds", "run", "flat", "m"]] == [2, 3, 4, 1]
        assert {it["name"] for it in index(server)} == {"adds", "run", "flat", "m"}
    with Server(file, "--name", "other") as server:
        assert add(server, "other", "1") == 2
    # A model's own folder, and a model that is a folder with files of weights.
    shutil.move(repository / "m/1/model.onnx", tmp_path / "model.onnx")
    (repository / "m/1/model.onnx").mkdir()
    shutil.move(tmp_path / "model.onnx", repository / "m/1/model.onnx/model.onnx")
    with Server(repository / "m") as server:
        assert add(server) == 1


def test_links_lead_nowhere_outside(tmp_path, repository):
    outside = save_add(tmp_path / "secret/model.onnx", constant=9)
    (repository / "m/1/model.onnx").unlink()
    (repository / "m/1/model.onnx").symlink_to(outside)
    save_add(repository / "n/..data/model.onnx", constant=5)
    (repository / "n/1").symlink_to("..data")
    with Server(repository, "serve.exit_on_error=false", "serve.strict_readiness=false") as server:
        assert add(server, "n") == 5
        with pytest.raises(InferenceServerException, match="has no available versions") as error:
            add(server)
        assert error.value.status() == "404"
        assert "a link out of" in next(it["reason"] for it in index(server) if it["name"] == "m")


@pytest.mark.parametrize("layout", ["repository", "model"])
def test_kserve_mounts_models_and_names_the_port(repository, layout):
    """In a mount namespace of its own, where /mnt is empty."""
    models = repository if layout == "repository" else repository / "m/1"
    script = 'mount -t tmpfs none /mnt && mkdir /mnt/models && cp -r "$0"/* /mnt/models && exec "$@"'
    runner = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, models]
    if subprocess.run([*runner, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    name = ["--name", "m"] if layout == "model" else []
    with Server(*name, env={"PORT": "0"}, runner=runner, ports=["grpc", "metrics"]) as server:
        assert not server.http.endswith(":8000")
        assert add(server) == 1
    with Server(env={"PORT": "http"}, runner=runner, ports=["grpc", "metrics"], wait=False) as server:
        assert server.process.wait(PATIENCE) == 2
        server.stop()
        assert "PORT=http: expected a port" in server.lines[-1], server.lines


# What the server says about itself and its models.


def test_metadata_config_and_statistics(repository):
    configure(repository, 'max_batch_size: 8 dynamic_batching { preferred_batch_size: [4] } instance_group { count: 2 }')
    with Server(repository) as server, client(server) as it:
        about = it.get_server_metadata()
        assert about["name"] == "pipegrad serve" and "binary_tensor_data" in about["extensions"]
        assert it.is_server_live() and it.is_server_ready() and it.is_model_ready("m") and it.is_model_ready("m", "1")
        assert not it.is_model_ready("n") and not it.is_model_ready("m", "2")
        sum_ = {"name": "sum", "datatype": "FP32", "shape": [-1, 4]}
        assert it.get_model_metadata("m") == {
            "name": "m",
            "versions": ["1"],
            "platform": "onnxruntime_onnx",
            "runtime": "native",
            "inputs": [sum_ | {"name": "a"}],
            "outputs": [sum_],
        }
        config = it.get_model_config("m", "1")
        assert (config["name"], config["backend"], config["max_batch_size"]) == ("m", "onnxruntime", 8)
        assert config["input"][0]["dims"] == [4] and config["output"][0]["data_type"] == "TYPE_FP32"
        assert config["instance_group"][0]["count"] == 2 and config["instance_group"][0]["kind"] == "KIND_CPU"
        assert config["dynamic_batching"]["preferred_batch_size"] == [4]
        assert config["version_policy"] == {"latest": {"num_versions": 1}}
        for rows in [1, 3, 3]:
            add(server, rows=rows)
        with pytest.raises(InferenceServerException):
            add(server, rows=9)
        (stats,) = it.get_inference_statistics("m", "1")["model_stats"]
        assert it.get_inference_statistics()["model_stats"] == [stats]
        assert (stats["name"], stats["version"]) == ("m", "1")
        assert (stats["inference_count"], stats["execution_count"]) == (7, 3)
        assert (stats["inference_stats"]["success"]["count"], stats["inference_stats"]["fail"]["count"]) == (3, 1)
        assert all(stats["inference_stats"][key]["ns"] > 0 for key in ["success", "queue", "compute_infer"])
        sizes = {it["batch_size"]: it["compute_infer"]["count"] for it in stats["batch_stats"]}
        assert sizes == {1: 1, 3: 2}
        assert abs(stats["last_inference"] / 1000 - time.time()) < PATIENCE


def test_settings_that_clients_see_and_cannot_change(repository):
    with Server(repository) as server, client(server) as it:
        assert it.get_log_settings()["log_verbose_level"] == 0
        assert it.update_log_settings({"log_info": True})["log_info"] is True
        with pytest.raises(InferenceServerException, match="log_verbose_level"):
            it.update_log_settings({"log_verbose_level": 1})
        assert it.get_trace_settings("m")["trace_level"] == ["OFF"]
        assert it.update_trace_settings("m", {"trace_level": ["OFF"], "trace_rate": None})["trace_rate"] == "1000"
        with pytest.raises(InferenceServerException, match="cannot be changed") as error:
            it.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]})
        assert error.value.status() == "501"
        assert it.get_system_shared_memory_status() == it.get_cuda_shared_memory_status() == []
        it.unregister_system_shared_memory()
        it.unregister_cuda_shared_memory()
        with pytest.raises(InferenceServerException, match="not supported"):
            it.register_system_shared_memory("r", "/r", 64)


# config.pbtxt.

REFUSED = {
    'name: "other"': 'name: "other", but the model',
    "max_batch_size: 8 input { name: 'a' data_type: TYPE_FP32 dims: [5] }": 'input "a": dims [5], but the model has [4]',
    "max_batch_size: 8 input { name: 'a' data_type: TYPE_INT64 dims: [4] }": "data_type TYPE_INT64, but the model has TYPE_FP32",
    "input { name: 'b' data_type: TYPE_FP32 dims: [4] }": 'input: "b", but the model has "a"',
    "output { name: 'b' data_type: TYPE_FP32 dims: [4] }": 'output: "b", but the model has "sum"',
    "max_batch_size: 8 input { name: 'a' data_type: TYPE_FP32 dims: [-1] }": "dims [-1], but the model has [4]",
    "instance_group { kind: KIND_GPU }": "KIND_GPU; only KIND_CPU",
    "instance_group { count: 100000 }": "100000 instances, at most 64",
    'backend: "python"': 'backend "python"',
    "sequence_batching { }": "sequence_batching",
    "version_policy { specific { versions: [7] } }": "at least one version must be available under the version policy",
    'default_model_filename: "../../secret.onnx"': "expected a file in the model's folder",
    'default_model_filename: "other.onnx"': "no other.onnx",
    'output { name: "sum" data_type: TYPE_FP32 dims: [4] label_filename: "none.txt" }': "none.txt",
    'parameters { key: "intra_op_thread_count" value { string_value: "two" } }': '"two", expected a whole number',
    "max_batch_size: 4 dynamic_batching { preferred_batch_size: [8] }": "preferred_batch_size: 8",
    "max_batch_size: 4 model_warmup { batch_size: 8 inputs { key: 'a' value { data_type: TYPE_FP32 dims: 4 zero_data: true } } }": "batch_size: 8, but",
    "model_warmup { inputs { key: 'a' value { data_type: TYPE_FP32 dims: 5 zero_data: true } } }": "model_warmup[0]",
    "model_warmup { inputs { key: 'a' value { data_type: TYPE_FP32 dims: 4 input_data_file: 'none' } } }": "warmup/none",
    "max_batch: 3": "config.pbtxt:1:1",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_configuration_that_does_not_fit_ends_the_server(repository, text):
    configure(repository, text)
    server = Server(repository, wait=False)
    assert server.process.wait(PATIENCE) == 2
    server.stop()
    line = server.lines[-1]
    assert line.startswith("serve: load failed for model 'm': ") and REFUSED[text] in line, line


def test_version_policies(repository):
    for version in [2, 3, 10]:
        save_add(repository / f"m/{version}/model.onnx", constant=version)
    save_add(repository / "m/011/model.onnx", constant=11)
    for policy, served in {
        "": [10],
        "version_policy { latest { num_versions: 2 } }": [3, 10],
        "version_policy { all { } }": [1, 2, 3, 10],
        "version_policy { specific { versions: [1, 3, 7] } }": [1, 3],
    }.items():
        configure(repository, policy)
        with Server(repository) as server, client(server) as it:
            assert it.get_model_metadata("m")["versions"] == [str(version) for version in served]
            assert add(server) == served[-1]
            assert [add(server, version=str(version)) for version in served] == served
            for version, status in {"4": "404", "011": "400", "x": "400"}.items():
                with pytest.raises(InferenceServerException) as error:
                    add(server, version=version)
                assert error.value.status() == status


def infer_slow(server):
    """The status of each of 4 × 6 requests that failed."""
    x = triton.InferInput("x", [1, 256], "FP32").set_data_from_numpy(np.ones((1, 256), np.float32))

    def infer(_):
        failed = []
        with client(server) as it:
            for _ in range(6):
                try:
                    it.infer("slow", [x])
                except InferenceServerException as error:
                    failed.append(error.status())
        return failed

    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(infer, range(4)), [])


def test_queue_policies(tmp_path):
    save_slow(tmp_path / "slow/1/model.onnx")
    for policy, statuses in {
        "default_timeout_microseconds: 1": {"504"},
        "default_timeout_microseconds: 1 timeout_action: DELAY": set(),
        "max_queue_size: 1": {"503"},
    }.items():
        configure(tmp_path, f"max_batch_size: 1 dynamic_batching {{ default_queue_policy {{ {policy} }} }}", "slow")
        with Server(tmp_path) as server:
            assert {*infer_slow(server)} == statuses, policy


def test_without_dynamic_batching_every_request_runs_alone(tmp_path):
    save_slow(tmp_path / "slow/1/model.onnx")
    text = """max_batch_size: 8 input {{ name: "x" data_type: TYPE_FP32 dims: 256 }}
              output {{ name: "y" data_type: TYPE_FP32 dims: 256 }} {}"""
    sizes = {}
    for batching in ["", "dynamic_batching { }"]:
        configure(tmp_path, text.format(batching), "slow")
        with Server(tmp_path) as server, client(server) as it:
            assert infer_slow(server) == []
            (stats,) = it.get_inference_statistics("slow")["model_stats"]
            assert stats["inference_count"] == 24
            sizes[batching] = max(it["batch_size"] for it in stats["batch_stats"])
    assert sizes[""] == 1 and sizes["dynamic_batching { }"] > 1


def test_labels_and_warm_up_data(repository):
    (repository / "m/labels.txt").write_text("zero\none\ntwo\nthree\n")
    (repository / "m/warmup").mkdir()
    (repository / "m/warmup/row").write_bytes(np.arange(4, dtype="<f4").tobytes())
    sample = "model_warmup {{ name: 'w' batch_size: 2 count: 3 inputs {{ key: 'a' value {{ data_type: TYPE_FP32 dims: 4 {} }} }} }}"
    samples = [sample.format(data) for data in ["zero_data: true", "random_data: true", "input_data_file: 'row'"]]
    output = "output { name: 'sum' data_type: TYPE_FP32 dims: 4 label_filename: 'labels.txt' }"
    configure(repository, "\n".join(["max_batch_size: 4", output, *samples]))
    with Server(repository) as server, client(server) as it:
        a = triton.InferInput("a", [1, 4], "FP32").set_data_from_numpy(np.float32([[0, 5, 1, 2]]))
        output = triton.InferRequestedOutput("sum", class_count=2)
        top = it.infer("m", [a], outputs=[output]).as_numpy("sum")
        assert top.tolist() == [[b"6.000000:1:one", b"3.000000:3:three"]]
        assert it.get_inference_statistics("m")["model_stats"][0]["execution_count"] == 1
    (repository / "m/warmup/row").write_bytes(b"123")
    server = Server(repository, wait=False)
    assert server.process.wait(PATIENCE) == 2
    server.stop()
    assert "model_warmup[2]" in server.lines[-1], server.lines


def test_a_model_that_fails_with_made_up_rows(tmp_path):
    """A dimension of any size is one element at warm-up, which may be none that the graph takes: no error."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 3])
    for dim, is_broken in {"w": False, 4: True}.items():
        save(
            tmp_path / "models/m/1/model.onnx",
            [helper.make_node("Reshape", ["x", "shape"], ["y"])],
            [("x", "FP32", [1, dim])],
            [("y", "FP32", ["m", 3])],
            [shape],
        )
        with Server(tmp_path / "models", wait=not is_broken) as server:
            if is_broken:
                assert server.process.wait(PATIENCE) == 2
            else:
                assert server.get("/v2/models/m/ready")[0] == 200


# Model control.


def test_none_changes_nothing(repository):
    with Server(repository) as server, client(server) as it:
        for change in [lambda: it.load_model("m"), lambda: it.unload_model("m")]:
            with pytest.raises(InferenceServerException, match="explicit model load / unload is not allowed") as error:
                change()
            assert error.value.status() == "503"
        assert add(server) == 1


def test_explicit_loads_unloads_and_takes_configurations(repository):
    save_add(repository / "n/1/model.onnx", constant=2)
    with Server(repository, "--model-control", "explicit", "--load-model", "m") as server, client(server) as it:
        assert index(server) == [{"name": "m", "version": "1", "state": "READY", "reason": ""}, {"name": "n"}]
        assert index(server, ready=True) == index(server)[:1]
        with pytest.raises(InferenceServerException, match="unknown model"):
            add(server, "n")
        it.load_model("n")
        assert add(server, "n") == 2
        it.load_model("n", config=json.dumps({"max_batch_size": 2}))
        assert it.get_model_config("n")["max_batch_size"] == 2
        with pytest.raises(InferenceServerException):
            add(server, "n", rows=3)
        it.load_model("n")
        assert it.get_model_config("n")["max_batch_size"] == 32
        it.unload_model("n")
        wait(lambda: states(server, "n") == {"1": "UNAVAILABLE"})
        assert [it["reason"] for it in index(server) if it["name"] == "n"] == ["unloaded"]
        for version, status in {"": "404", "1": "503"}.items():
            with pytest.raises(InferenceServerException) as error:
                add(server, "n", version=version)
            assert error.value.status() == status
        assert it.is_server_ready()
        with pytest.raises(InferenceServerException, match="failed to load 'none'") as error:
            it.load_model("none")
        assert error.value.status() == "500"
        for name in ["../m", "m/1", "", "."]:
            status, _, _ = server.get(f"/v2/repository/models/{quote(name, safe='')}/load", b"", method="POST")
            assert status >= 400, name
        with pytest.raises(InferenceServerException, match="max_batch_size"):
            it.load_model("m", config=json.dumps({"max_batch_size": -1}))
        status, _, body = server.get(
            "/v2/repository/models/m/load", json.dumps({"parameters": {"file:1/model.onnx": "AAAA"}}).encode(), method="POST"
        )
        assert status == 501 and b"files are read from the repository only" in body
        assert add(server) == 1


class Load:
    """Requests without a pause on several connections; every answer, and every error."""

    def __init__(self, server, threads=3):
        self.answers, self.errors, self.ends = [], [], False
        self.threads = [threading.Thread(target=self._run, args=[server]) for _ in range(threads)]

    def _run(self, server):
        with client(server) as it:
            a = triton.InferInput("a", [1, 4], "FP32").set_data_from_numpy(np.zeros((1, 4), np.float32))
            while not self.ends:
                try:
                    self.answers.append(it.infer("m", [a]).as_numpy("sum")[0, 0])
                except InferenceServerException as error:
                    self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("mode", ["poll", "explicit"])
def test_a_reload_under_load_fails_no_request(repository, mode):
    flags = ["--model-control", mode, "serve.poll_seconds=1"] + (["--load-model", "*"] if mode == "explicit" else [])
    with Server(repository, *flags) as server, Load(server) as load, client(server) as it:
        file = repository / "m/1/model.onnx"

        def reload(fails=False):
            if mode == "explicit" and fails:
                with pytest.raises(InferenceServerException, match="load failed for model 'm'") as error:
                    it.load_model("m")
                assert error.value.status() == "400"
            elif mode == "explicit":
                it.load_model("m")

        # Another file of the same version, a new version, a broken file over a working one, a broken new version.
        replace(file, lambda path: save_add(path, constant=2))
        reload()
        wait(lambda: load.answers[-1:] == [2])
        save_add(repository / "m/2/.model.onnx", constant=3)
        os.replace(repository / "m/2/.model.onnx", repository / "m/2/model.onnx")
        reload()
        wait(lambda: load.answers[-1:] == [3])
        wait(lambda: states(server) == {"1": "UNAVAILABLE", "2": "READY"})
        replace(repository / "m/2/model.onnx", lambda path: path.write_bytes(b"garbage"))
        reload(fails=True)
        wait(lambda: "not replaced" in index(server)[-1]["reason"])
        (repository / "m/3").mkdir()
        (repository / "m/3/model.onnx").write_bytes(b"garbage")
        reload(fails=True)
        wait(lambda: states(server).get("3") == "UNAVAILABLE")
        configure(repository, "max_batch_size: -1")
        reload(fails=True)
        wait(lambda: any("max_batch_size" in it.get("reason", "") for it in index(server)))
        assert states(server)["2"] == "READY" and it.is_server_ready()
        count = len(load.answers)
        wait(lambda: len(load.answers) > count + 10)
        assert load.answers[-1] == 3
        configure(repository, "")
        replace(repository / "m/3/model.onnx", lambda path: save_add(path, constant=4))
        reload()
        wait(lambda: load.answers[-1:] == [4])
        wait(lambda: states(server) == {"1": "UNAVAILABLE", "2": "UNAVAILABLE", "3": "READY"})
    assert load.errors == [] and set(load.answers) == {1, 2, 3, 4}


def test_poll_finds_new_models_and_misses_removed_ones(repository):
    with Server(repository, "--model-control", "poll", "serve.poll_seconds=1") as server:
        save_add(repository / "n.onnx", constant=7)
        wait(lambda: "n" in {it["name"] for it in index(server, ready=True)})
        assert add(server, "n") == 7
        shutil.rmtree(repository / "m")
        wait(lambda: [it["name"] for it in index(server)] == ["n"])
        with pytest.raises(InferenceServerException, match="'m' is not found"):
            add(server)


def test_unloading_gives_memory_back(tmp_path, repository):
    """60 instances of 3 MB each; what was free and stayed with the process would be more than 50 MB."""
    weights = [helper.make_tensor(f"w{i}", TensorProto.FLOAT, [64, 64], np.random.default_rng(i).normal(size=4096)) for i in range(200)]
    nodes = [helper.make_node("MatMul", [f"h{i}", f"w{i}"], [f"h{i + 1}"]) for i in range(200)]
    shape = ("n", 64)
    save(repository / "big/1/model.onnx", nodes, [("h0", "FP32", shape)], [("h200", "FP32", shape)], weights)
    configure(repository, "instance_group { count: 60 }", "big")
    with Server(repository, "--model-control", "explicit", "serve.threads=1", "serve.warmup_ms=0") as server, client(server) as it:
        it.load_model("m")
        before = server.memory()
        for _ in range(3):
            it.load_model("big")
            assert server.memory() > before + 150e6
            it.unload_model("big")
            wait(lambda: server.memory() < before + 50e6)


def test_readiness_waits_for_models_and_liveness_does_not(repository):
    """The configuration is a named pipe: loading waits until it is written."""
    config = repository / "m/config.pbtxt"
    os.mkfifo(config)
    server = Server(repository, wait=False)
    with server:
        server.http = server.address("HTTP")
        assert server.get("/v2/health/live")[0] == 200
        assert server.get("/v2/health/ready")[0] == 503
        assert server.get("/v2/models/m/ready")[0] == 400
        config.write_text("max_batch_size: 4")
        server.wait_ready()
        assert add(server) == 1


def test_one_bad_model_does_not_hold_up_the_others(tmp_path, repository):
    with Server(repository, "--model-control", "poll", "serve.poll_seconds=1") as server:
        save_add(tmp_path / "secret/1/model.onnx", constant=9)
        (repository / "bad").symlink_to(tmp_path / "secret")
        save_add(repository / "m.onnx", constant=8)
        save_add(repository / "n/1/model.onnx", constant=2)
        wait(lambda: states(server, "n") == {"1": "READY"})
        reasons = {it["name"]: it["reason"] for it in index(server)}
        assert "a link out of" in reasons["bad"] and "another model is called so" in reasons["m"]
        assert add(server) == 1 and server.get("/v2/health/ready")[0] == 200


def test_a_broken_model_at_the_start(repository):
    (repository / "m/1/model.onnx").write_bytes(b"garbage")
    save_add(repository / "n/1/model.onnx", constant=2)
    server = Server(repository, wait=False)
    assert server.process.wait(PATIENCE) == 2
    server.stop()
    assert "load failed for model 'm': version 1: " in server.lines[-1], server.lines
    with Server(repository, "serve.exit_on_error=false", wait=False) as server:
        server.http = server.address("HTTP")
        wait(lambda: states(server, "n") == {"1": "READY"})
        assert states(server) == {"1": "UNAVAILABLE"}
        assert server.get("/v2/health/ready")[0] == 503
        assert add(server, "n") == 2
