"""`profile --run`: its times add up, every node of ONNX Runtime is in a row, and each backend runs its kind of model."""

import csv
import io
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from peers import BIN, onnx_runtime, shell, with_tools

ENV = os.environ | {"PATH": with_tools(), "ORT_DYLIB_PATH": str(onnx_runtime())}
QUICK = "profile.run.batch_sizes=[1,3] profile.run.seconds=0.02 profile.run.warm_up_seconds=0 profile.run.node_runs=5"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    random = np.random.default_rng(0)
    weights = {"w": random.standard_normal((8, 3, 3, 3)), "b": random.standard_normal(8), "v": random.standard_normal((8, 4))}
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("MatMul", ["f", "v"], ["y"], name="fc"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, "height", 16])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph(nodes, "net", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "net.onnx")
    shell("gen-data rows=300 | entropy | train -o run --quiet trainer.max_epochs=1 > events.ndjson", folder, ENV)
    shell("pipegrad export run", folder, ENV)
    return folder


def profile(folder, arguments):
    return shell(f"profile --run {arguments} {QUICK}", folder, ENV)


def test_times_are_ordered_and_rows_sum_to_the_whole(folder):
    document = json.loads(profile(folder, "net.onnx --dim height=20 --to json"))
    (run,) = document["runs"]
    assert [cell["batch_size"] for cell in run["latencies"]] == [1, 3]
    for cell in run["latencies"]:
        times = cell["latency_seconds"]
        assert 0 < times["min"] <= times["median"] <= times["p90"] <= times["p99"]
        assert cell["runs"] >= 20 and cell["memory_bytes"] > 1e6 and cell["load_seconds"] > 0
        assert cell["rows_per_second"] == pytest.approx(cell["batch_size"] / times["mean"])
    layers = run["layers"]
    assert layers["runs"] == 5
    assert sum(row["seconds"] for row in layers["rows"]) + layers["other_seconds"] == pytest.approx(layers["total_seconds"])
    assert all(row["seconds"] >= 0 for row in layers["rows"])


def test_every_node_that_onnx_runtime_runs_is_in_a_row(folder, tmp_path):
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    session = onnxruntime.InferenceSession(folder / "net.onnx", options)
    session.run(None, {"x": np.zeros((1, 3, 20, 16), np.float32)})
    with open(session.end_profiling()) as file:
        expected = {event["args"]["op_name"] for event in json.load(file) if event["cat"] == "Node"}
    document = json.loads(profile(folder, "net.onnx --dim height=20 --to json"))
    rows = document["runs"][0]["layers"]["rows"]
    assert {operator for row in rows for operator in row["operators"]} == expected
    # The fused convolution is found although ONNX Runtime renames it: its floor is there.
    conv = next(row for row in rows if "Conv" in row["operators"])
    layer = next(layer for layer in document["models"][0]["layers"] if "Conv" in layer["operators"])
    assert conv["floor_seconds"] == layer["floor_seconds"] > 0


def test_candle_runs_a_run_folder_beside_its_export(folder):
    rows = list(csv.DictReader(io.StringIO(profile(folder, "run run/model.onnx run/model.safetensors --to csv"))))
    assert [row["backend"] for row in rows] == ["candle"] * 2 + ["native"] * 2 + ["candle"] * 2
    rows = list(csv.DictReader(io.StringIO(profile(folder, "run/model.onnx profile.run.runtime=ort --to csv"))))
    assert [row["backend"] for row in rows] == ["onnxruntime"] * 2
    assert all(float(row["median"]) > 0 for row in rows)


def test_a_model_that_cannot_run_is_a_row_with_its_reason(folder):
    (folder / "x.engine").write_bytes(b"no engine")
    table = profile(folder, "run/model.onnx x.engine")
    assert "[other]" in table and "total" in table
    row = next(line for line in table.splitlines() if line.startswith("x.engine"))
    assert row.split()[1:4] == ["tensorrt", "1", "-"]
    assert "not run: " in table
    error = shell_fails(folder, "x.engine")
    assert error.startswith("profile: ") and len(error.splitlines()) == 1


def shell_fails(folder, arguments):
    return shell(f"! profile --run {arguments} {QUICK} 2>&1 > out", folder, ENV)


def fixed(folder, batch):
    """net.onnx with this batch size."""
    model = onnx.load(folder / "net.onnx")
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[0].dim_value, dims[2].dim_value = batch, 20
    onnx.save(model, folder / f"fixed{batch}.onnx")
    return f"fixed{batch}.onnx"


@pytest.mark.parametrize("batch", [1, 5])
def test_a_model_of_a_fixed_batch_size_is_run_at_that_size(folder, batch):
    name = fixed(folder, batch)
    document = json.loads(profile(folder, f"{name} --to json 2> notes"))
    (run,) = document["runs"]
    assert [cell["batch_size"] for cell in run["latencies"]] == [batch]
    assert run["layers"]["batch_size"] == document["models"][0]["batch_size"] == batch
    notes = (folder / "notes").read_text().splitlines()
    assert f"profile: {name}: the batch size is fixed: {batch}; profile.run.batch_sizes has no effect" in notes


def test_a_batch_size_that_is_given_by_name_is_run(folder):
    document = json.loads(profile(folder, "net.onnx --dim height=20 --dim batch=5 --to json 2> notes"))
    (run,) = document["runs"]
    assert [cell["batch_size"] for cell in run["latencies"]] == [5]
    assert run["layers"]["batch_size"] == document["models"][0]["batch_size"] == 5


def test_one_input_without_a_batch_axis_does_not_fix_the_batch_size(folder):
    x, state = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in [("x", ["n", 4]), ("state", [2, 4])])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    nodes = [helper.make_node("Gemm", ["x", "state"], ["y"], name="fc", transB=1)]
    graph = helper.make_graph(nodes, "net", [x, state], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "state.onnx")
    rows = list(csv.DictReader(io.StringIO(profile(folder, "state.onnx --to csv"))))
    assert [row["batch_size"] for row in rows] == ["1", "3"]


def test_the_hint_for_a_missing_library_is_this_tools_own_and_works(folder, tmp_path):
    # Neither near the binary nor in the environment is a library.
    shutil.copy(BIN / "profile", tmp_path)
    shutil.copy(folder / "run/model.onnx", tmp_path)
    env = {name: value for name, value in ENV.items() if name not in ("ORT_DYLIB_PATH", "VIRTUAL_ENV")}
    command = f"./profile --run model.onnx {QUICK} profile.run.runtime=ort"
    assert "native" in shell(f"./profile --run model.onnx {QUICK}", tmp_path, env | {"ORT_DYLIB_PATH": ""})
    error = shell(f"! {command} 2>&1 > out", tmp_path, env)
    assert error.endswith("or name it with ORT_DYLIB_PATH or profile.run.onnxruntime\n"), error
    library = onnx_runtime()
    assert "onnxruntime" in shell(f"{command} profile.run.onnxruntime={library}", tmp_path, env)
    assert "onnxruntime" in shell(command, tmp_path, env | {"ORT_DYLIB_PATH": str(library)})
    error = shell(f"! {command} profile.run.onnxruntime=/nowhere.so 2>&1 > out", tmp_path, env | {"ORT_DYLIB_PATH": str(library)})
    assert error.endswith("; correct profile.run.onnxruntime, or leave it out to search for the library\n"), error
    error = shell(f"! {command} 2>&1 > out", tmp_path, env | {"ORT_DYLIB_PATH": "/nowhere.so"})
    assert error.endswith("; correct ORT_DYLIB_PATH, or leave it out to search for the library\n"), error


def test_the_process_of_a_measurement_ends_with_its_caller(folder):
    arguments = ["--run", "run/model.onnx", "profile.run.seconds=60", "profile.run.batch_sizes=[1]"]
    caller = subprocess.Popen([BIN / "profile", *arguments], cwd=folder, env=ENV, stdout=subprocess.DEVNULL)
    children = Path(f"/proc/{caller.pid}/task/{caller.pid}/children")
    worker = wait_for(lambda: children.read_text().split())[0]
    caller.kill()
    caller.wait()
    wait_for(lambda: not Path(f"/proc/{worker}").exists() or "State:\tZ" in Path(f"/proc/{worker}/status").read_text())


def wait_for(condition):
    for _ in range(400):
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("not in 8 s")


def test_what_cannot_be_measured_is_told(folder):
    for arguments, expected in [
        ("net.onnx", "--dim 'height=224'"),
        ("- < net.onnx", "--run takes models by name"),
        ("none.onnx", "none.onnx"),
        ("run/model.onnx profile.run.batch_sizes=[0]", "profile.run.batch_sizes: 0"),
        ("run/model.onnx profile.run.min_runs=0", "profile.run.min_runs: 0"),
        ("run/model.onnx run profile.run.input_bytes=31", "inputs at batch size 1 have more than 31 bytes (profile.run.input_bytes)"),
        ("run profile.run.batch_sizes=[1000000000000000000]", "inputs at batch size 1000000000000000000 have more than"),
    ]:
        error = shell(f"! profile --run {arguments} 2>&1 > out", folder, ENV)
        assert expected in error and len(error.splitlines()) == 1, error
