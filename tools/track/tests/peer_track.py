"""Against a real MLflow server, read back with MLflow's own client; files read back with DVC and TensorBoard."""

import csv
import http.client
import http.server
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

# Before mlflow is imported.
os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
from mlflow.entities import ViewType  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402
from peers import BIN, ROOT, shell, with_tools

PYTHON = Path(sys.executable)
# Patience with a machine that does other things as well, in seconds.
PATIENCE = 120
SETTINGS = ["interval=0.05", "retry_first=0.05", "retry_max=0.5", f"wait={PATIENCE}", "artifacts=['**']"]


class Server:
    """`mlflow server` with a SQLite store, which serves artifacts."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self):
        command = [PYTHON, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "artifacts"]
        env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
        wait_for(self.answers)

    def answers(self):
        try:
            return urllib.request.urlopen(f"{self.uri}/health", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            return False

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Proxy:
    """Stands between track and the server: loses answers, holds them back, or has a run created when track has
    given that up and another has been."""

    def __init__(self, server, lose=lambda number: False, late=False):
        self.requests, self.open, self.late = 0, threading.Event(), []
        self.open.set()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                number, proxy.requests = proxy.requests, proxy.requests + 1
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                proxy.open.wait()
                creates = self.path.endswith("/runs/create")
                if late and creates and not proxy.late:
                    proxy.late.append(body)
                    self.close_connection = True
                    return
                status, data = self.forward(body)
                if late and creates:
                    self.forward(proxy.late[0])
                if lose(number):
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def forward(self, body):
                connection = http.client.HTTPConnection("127.0.0.1", server.port)
                connection.request(self.command, self.path, body, {"content-type": "application/json"})
                answer = connection.getresponse()
                return answer.status, answer.read()

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def client(server):
    return MlflowClient(server.uri)


def start(name, **changes):
    event = {
        "event": "start",
        "name": name,
        "run_dir": f"runs/{name}",
        "config": {"model": {"hidden": [64, 64], "note": "x" * 7000}, "optimizer": {"learning_rate": 1e-3}},
        "seed": 7,
        "device": "cpu",
        "threads": 2,
        "rows": {"train": 80, "val": 10, "test": 10},
        "data_sha256": "ab" * 32,
        "parameters": 4801,
        "git": {"commit": "c" * 40, "dirty": True},
        "resumed": None,
        "version": "0.1.0",
        "time": 1.8e9,
    }
    return event | changes


def step(i):
    return {"event": "step", "epoch": 1, "step": i, "metrics": {"loss": 1 / i, "rate": 1e-3}, "time": 1.8e9 + i / 8}


def full_log(name, steps):
    """Events of every kind, and a kind that nobody knows."""
    at = {"epoch": 1, "step": steps}
    return [
        start(name),
        *map(step, range(1, steps + 1)),
        {"event": "validation", **at, "metrics": {"val_loss": None}, "time": 1.8e9 + 901.25},
        {"event": "confetti"},
        {"event": "epoch", **at, "metrics": {"train_loss": 0.1}, "seconds": 9.0, "time": 1.8e9 + 902},
        {"event": "checkpoint", **at, "path": "x", "metrics": {}, "time": 1.8e9 + 903},
        {"event": "test", **at, "metrics": {"test_mse": 1e-300, "test_r2": -3.5}, "time": 1.8e9 + 904},
        {"event": "end", "status": "FINISHED", "reason": "max_epochs", "time": 1.8e9 + 905.5},
    ]


def an_onnx_file():
    """Doubles a row of two numbers."""
    from onnx import TensorProto, helper

    row = ["batch", 2]
    double = helper.make_node("Add", ["x", "x"], ["prediction"])
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, row) for name in ("x", "prediction"))
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(helper.make_graph([double], "double", [x], [y]), opset_imports=opset, ir_version=8)


def lines(events):
    return "".join(json.dumps(event) + "\n" for event in events).encode()


def track(folder, *args, stdin=b"", env=None):
    done = subprocess.run(
        [BIN / "track", *args], input=stdin, capture_output=True, cwd=folder, env=os.environ | (env or {})
    )
    assert done.returncode == 0, done.stderr.decode()
    return done


def points(events):
    """(name, step, milliseconds, value) of each number, as the server should have them."""
    return sorted(
        (name, event["step"], round(event["time"] * 1000), repr(float("nan") if value is None else value))
        for event in events
        for name, value in event.get("metrics", {}).items()
    )


def logged(client, run, names=("loss", "rate", "val_loss", "train_loss", "test_mse", "test_r2")):
    history = [point for name in names for point in client.get_metric_history(run.info.run_id, name)]
    return sorted((point.key, point.step, point.timestamp, repr(point.value)) for point in history)


def runs(client, experiment):
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id]) if found else []


def only_run(client, experiment):
    (run,) = runs(client, experiment)
    return run


def test_a_run_is_logged_whole(server, client, tmp_path):
    folder = tmp_path / "runs" / "whole"
    (folder / "plots a").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(an_onnx_file().SerializeToString())
    files = {"config.yaml": b"a: 1\n", "model.safetensors": bytes(range(256)) * 999, "plots a/ü 1%.svg": b"<svg/>"}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    events = full_log("whole", 1500)
    (folder / "events.ndjson").write_bytes(lines(events[:1]))
    settings = [f"uri={server.uri}", "experiment='whole run'", "registered_model=net", "+tags.team=vision", "group=true"]
    done = track(tmp_path, *SETTINGS, *settings, stdin=lines(events))
    assert (done.stdout, done.stderr) == (lines(events), b"")

    child, group = sorted(runs(client, "whole run"), key=lambda run: run.info.run_name, reverse=True)
    assert (child.info.run_name, child.info.status, child.info.start_time) == ("whole", "FINISHED", 1_800_000_000_000)
    assert child.info.end_time == 1_800_000_905_500
    assert logged(client, child) == points(events)
    config = events[0]["config"]
    assert child.data.params == {
        "model.hidden": "[64,64]",
        "model.note": config["model"]["note"][:6000],
        "optimizer.learning_rate": "0.001",
    }
    tags = child.data.tags
    assert tags["mlflow.source.git.commit"] == "c" * 40 and tags["mlflow.source.git.dirty"] == "true"
    assert tags["mlflow.source.type"] == "LOCAL" and tags["team"] == "vision"
    assert tags["pipegrad.parameters"] == "4801" and tags["pipegrad.data_sha256"] == "ab" * 32
    assert group.info.run_name == "runs" and tags["mlflow.parentRunId"] == group.info.run_id
    (dataset,) = child.inputs.dataset_inputs
    assert dataset.dataset.digest == "ab" * 18
    for name, content in files.items():
        assert Path(client.download_artifacts(child.info.run_id, name, tmp_path)).read_bytes() == content, name
    (version,) = client.search_model_versions("name = 'net'")
    assert (version.run_id, version.source) == (child.info.run_id, child.info.artifact_uri + "/model")


def test_runs_of_one_sweep_meet_under_one_parent(server, client, tmp_path):
    """They make the experiment and the parent at once, too. An apostrophe is what MLflow's filters cannot have."""
    tmp_path = tmp_path / "it's a sweep"
    tmp_path.mkdir()
    command = [BIN / "track", *SETTINGS, f"uri={server.uri}", "experiment=sweep", "group=true"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "cwd": tmp_path}
    names = ["a", "b", "c"]
    children = [subprocess.Popen(command, **pipes) for _ in names]
    for child, name in zip(children, names, strict=True):
        child.stdin.write(lines(full_log(name, 20)))
        child.stdin.close()
    assert [child.wait() for child in children] == [0, 0, 0]
    found = {run.info.run_name: run for run in runs(client, "sweep")}
    assert sorted(found) == ["a", "b", "c", "runs"]
    parents = {found[name].data.tags["mlflow.parentRunId"] for name in names}
    assert parents == {found["runs"].info.run_id}
    assert all(logged(client, found[name]) == points(full_log(name, 20)) for name in names)


def test_answers_that_are_lost_double_nothing(server, client, tmp_path):
    """One answer in three is lost; the same ones each time."""
    chance = random.Random(3)
    proxy = Proxy(server, lose=lambda number: chance.random() < 1 / 3)
    (tmp_path / "runs" / "lossy").mkdir(parents=True)
    (tmp_path / "runs" / "lossy" / "model.onnx").write_bytes(an_onnx_file().SerializeToString())
    events = full_log("lossy", 2500)
    (tmp_path / "runs" / "lossy" / "events.ndjson").write_bytes(lines(events[:1]))
    track(tmp_path, *SETTINGS, f"uri={proxy.uri}", "experiment=lossy", "registered_model=lossy", stdin=lines(events))
    run = only_run(client, "lossy")
    assert logged(client, run) == points(events)
    assert run.info.status == "FINISHED"
    assert len(client.search_model_versions("name = 'lossy'")) == 1
    assert proxy.requests > 20


def test_a_run_that_was_created_too_late_is_taken_away(server, client, tmp_path):
    events = full_log("twin", 20)
    proxy = Proxy(server, late=True)
    track(tmp_path, *SETTINGS, f"uri={proxy.uri}", "experiment=twin", stdin=lines(events))
    run = only_run(client, "twin")
    assert logged(client, run) == points(events) and run.info.status == "FINISHED"
    (deleted,) = client.search_runs([run.info.experiment_id], run_view_type=ViewType.DELETED_ONLY)
    assert deleted.info.run_name == "twin" and not deleted.data.metrics


def test_a_server_that_hangs_holds_nothing_back(server, client, tmp_path):
    proxy = Proxy(server)
    proxy.open.clear()
    events = full_log("slow", 5000)
    command = [BIN / "track", *SETTINGS, f"uri={proxy.uri}", "experiment=slow", "timeout=60"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path)
    passed = [child.stdout.readline() for event in events if child.stdin.write(lines([event])) and not child.stdin.flush()]
    assert b"".join(passed) == lines(events)
    assert not runs(client, "slow"), "nothing was answered yet"
    proxy.open.set()
    child.stdin.close()
    assert child.wait() == 0
    assert logged(client, only_run(client, "slow")) == points(events)


def test_what_was_left_is_sent_later(server, client, tmp_path):
    events = full_log("late", 1200)
    # A run that was cut off besides.
    done = track(tmp_path, "uri=http://127.0.0.1:9", "experiment=late", "wait=0", stdin=lines(events[:-1]))
    assert done.stdout == lines(events[:-1])
    spool = re.search(r"track --resume (\S+)", done.stderr.decode()).group(1)
    track(tmp_path, "--resume", spool, f"uri={server.uri}")
    run = only_run(client, "late")
    assert logged(client, run) == points(events)
    assert run.info.status == "FAILED"
    assert not Path(spool).exists()


def test_a_log_that_is_sent_again_doubles_nothing(server, client, tmp_path):
    """Whole, from its run folder, and where it was sent in part before."""
    folder = tmp_path / "runs" / "again"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("a: 1\n")
    events = full_log("again", 300)
    (folder / "events.ndjson").write_bytes(lines(events[:1]))
    resumed = start("again", resumed={"path": "runs/again/checkpoints/last", "step": 300}, time=1.8e9 + 2000)
    log = [*events, resumed, *(step(i) | {"time": 1.9e9 + i} for i in range(301, 351)), events[-1]]
    settings = [*SETTINGS, f"uri={server.uri}", "experiment=again"]
    track(tmp_path, *settings, stdin=lines(log[:100]))
    assert only_run(client, "again").info.status == "FAILED"
    for _ in range(2):
        track(tmp_path, *settings, stdin=lines(log))
    (folder / "events.ndjson").write_bytes(lines(log))
    (folder / "plots").mkdir()
    (folder / "plots" / "loss.svg").write_text("<svg/>")
    track(tmp_path / "runs", *settings, "again")
    second, first = runs(client, "again")
    assert (first.info.status, second.info.status) == ("FINISHED", "FINISHED")
    assert logged(client, first) == points(events)
    assert logged(client, second) == points(log[len(events) :])
    assert [file.path for file in client.list_artifacts(first.info.run_id, "plots")] == ["plots/loss.svg"]
    assert second.data.tags["pipegrad.resumed.step"] == "300"


def test_a_registered_model_is_loaded_and_served(server, client, tmp_path, monkeypatch):
    """A trained one: by `mlflow.pyfunc`, by `mlflow models serve`, against the ONNX file itself."""
    import mlflow
    import numpy as np
    import onnxruntime
    import pandas as pd

    train = "gen-data rows=500 | entropy | train --quiet trainer.max_epochs=1 -o runs/net | cat"
    env = os.environ | {"PATH": with_tools(), "MLFLOW_TRACKING_URI": server.uri}
    shell(train, tmp_path, env)
    settings = [*SETTINGS, f"uri={server.uri}", "experiment=model", "registered_model=entropy net"]
    left = track(tmp_path, *settings, "runs/net").stderr.decode()
    assert "model.onnx: not logged as a model" in left and "export" in left, left
    subprocess.run([BIN / "export", "runs/net"], cwd=tmp_path, env=env, check=True, stdout=subprocess.DEVNULL)
    for _ in range(2):
        track(tmp_path, *settings, "runs/net")
    (version,) = client.search_model_versions("name = 'entropy net'")
    assert version.status == "READY" and version.run_id == only_run(client, "model").info.run_id

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    mlflow.set_tracking_uri(server.uri)
    rows = np.random.default_rng(0).dirichlet(np.ones(8), 5).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(tmp_path / "runs/net/model.onnx").run(None, {"probs": rows})
    for uri in ["models:/entropy net/1", f"runs:/{version.run_id}/model"]:
        model = mlflow.pyfunc.load_model(uri)
        assert model.metadata.signature.inputs.input_names() == ["probs"]
        assert model.metadata.signature.inputs.inputs[0].shape == (-1, 8)
        assert model.metadata.signature.outputs.input_names() == ["prediction"]
        for given in [rows, {"probs": rows}]:
            assert np.array_equal(model.predict(given)["prediction"], expected)
        frame = pd.DataFrame({"probs": list(rows)})
        assert np.array_equal(model.predict(frame)["prediction"], expected)
        assert model.input_example["probs"].shape == (1, 8)
    assert mlflow.onnx.load_model("models:/entropy net/1").graph.input[0].name == "probs"

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PYTHON, "-m", "mlflow", "models", "serve", "-m", "models:/entropy net/1", "--env-manager", "local"]
    env["PATH"] = f"{PYTHON.parent}:{env['PATH']}"
    serving = subprocess.Popen([*command, "--port", str(port)], cwd=tmp_path, env=env, start_new_session=True)
    try:
        wait_for(lambda: is_up(f"http://127.0.0.1:{port}/ping", serving))
        body = json.dumps({"inputs": rows.tolist()}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"content-type": "application/json"}
        )
        answer = json.load(urllib.request.urlopen(request, timeout=PATIENCE))
    finally:
        os.killpg(serving.pid, signal.SIGKILL)
        serving.wait()
    assert np.allclose(answer["predictions"]["prediction"], expected, rtol=1e-6)


def is_up(url, process):
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except (urllib.error.URLError, OSError):
        assert process.poll() is None
        return False


def test_a_server_that_is_killed_and_comes_back_has_all(server, client, tmp_path):
    events = full_log("killed", 2000)
    command = [BIN / "track", *SETTINGS, f"uri={server.uri}", "experiment=killed"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=tmp_path)
    child.stdin.write(lines(events[:1000]))
    child.stdin.flush()
    wait_for(lambda: any(run.data.metrics for run in runs(client, "killed")))
    server.kill()
    child.stdin.write(lines(events[1000:]))
    child.stdin.close()
    server.start()
    assert child.wait() == 0
    run = only_run(client, "killed")
    assert logged(client, run) == points(events)
    assert run.info.status == "FINISHED"


def commands(page):
    """Those of a page's consoles that start a server, without that one."""
    blocks = re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    lines = [line[2:] for block in blocks if "mlflow server" in block for line in block.splitlines()]
    return [line for line in lines if not line.startswith("mlflow server")]


@pytest.mark.parametrize("page", [page for page in ["README.md", "docs/track.md"] if commands(page)])
def test_the_commands_of_a_page_run(server, client, tmp_path, page):
    env = os.environ | {"PATH": with_tools(), "MLFLOW_TRACKING_URI": server.uri}
    before = {run.info.run_id for name in experiments(page) for run in runs(client, name)}
    for command in commands(page):
        shell(command, tmp_path, env)
    for name in experiments(page):
        new = [run for run in runs(client, name) if run.info.run_id not in before]
        assert new and all(run.info.status == "FINISHED" for run in new)
        trained = [run for run in new if run.data.metrics]
        assert trained and all(run.data.metrics["test_mse"] > 0 for run in trained)
        assert all(run.data.params["model.name"] == "mlp" for run in trained)
    assert not any((tmp_path / ".pipegrad" / "spool").iterdir())


def experiments(page):
    return {name for command in commands(page) for name in re.findall(r"experiment=([\w-]+)", command)}


def test_dvc_reads_the_files(tmp_path):
    events = full_log("files", 30)
    track(tmp_path, "--no-mlflow", "--dvclive", "dvclive", stdin=lines(events))
    # As DVCLive writes it, and as the page says.
    (declared,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "track.md").read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "dvc.yaml").write_text(declared)
    dvc = [PYTHON, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], cwd=tmp_path, check=True)
    show = subprocess.run([*dvc, "metrics", "show", "--json", "dvclive/metrics.json"], cwd=tmp_path, capture_output=True, check=True)
    (shown,) = json.loads(show.stdout)[""]["data"].values()
    expected = {"loss": 1 / 30, "rate": 1e-3, "step": 30, "val_loss": "nan", "train_loss": 0.1}
    assert shown["data"] == expected | {"test_mse": 1e-300, "test_r2": -3.5}
    plots = subprocess.run([*dvc, "plots", "show", "--json"], cwd=tmp_path, capture_output=True, check=True)
    data = json.loads(plots.stdout)["data"]
    (loss,) = [plot for name, group in data.items() if name.endswith("loss.tsv") and "_" not in name for plot in group]
    rows = loss["datapoints"] if "datapoints" in loss else loss["content"]["data"]["values"]
    rows = [row for rows in rows.values() for row in rows] if isinstance(rows, dict) else rows
    assert [(int(row["step"]), float(row["loss"])) for row in rows] == [(i, 1 / i) for i in range(1, 31)]


def test_tensorboard_reads_the_files(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = full_log("files", 30)
    track(tmp_path, "--no-mlflow", "--tensorboard", "board", stdin=lines(events))
    board = EventAccumulator(str(tmp_path / "board"), size_guidance={"scalars": 0})
    board.Reload()
    tags = board.Tags()["scalars"]
    seen = sorted((tag, point.step, round(point.wall_time * 1000)) for tag in tags for point in board.Scalars(tag))
    assert seen == [point[:3] for point in points(events)]
    assert [point.value for point in board.Scalars("loss")] == pytest.approx([1 / i for i in range(1, 31)], rel=1e-7)


def test_lightnings_readers_read_the_files(tmp_path):
    events = full_log("files", 30)
    track(tmp_path, "--no-mlflow", "--csv", "csv", stdin=lines(events))
    rows = list(csv.DictReader((tmp_path / "csv" / "metrics.csv").open()))
    assert list(rows[0]) == sorted(["epoch", "step", "loss", "rate", "val_loss", "train_loss", "test_mse", "test_r2"])
    measured = [event for event in events if event.get("metrics")]
    seen = [{name: float(cell) for name, cell in row.items() if cell} for row in rows]
    expected = [
        {"epoch": event["epoch"], "step": event["step"]}
        | {name: float("nan") if value is None else value for name, value in event["metrics"].items()}
        for event in measured
    ]
    assert repr([sorted(row.items()) for row in seen]) == repr(
        [sorted((name, float(value)) for name, value in row.items()) for row in expected]
    )
    assert yaml.safe_load((tmp_path / "csv" / "hparams.yaml").read_text()) == events[0]["config"]


def test_a_resumed_run_leaves_the_files_of_one_that_never_stopped(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    whole = full_log("run", 30)
    lost = [event | {"metrics": {"loss": 99, "rate": 99, "late": 1}} for event in whole[21:24]]
    resumed = start("run", resumed={"path": "last.safetensors", "step": 20})
    cut = [*whole[:21], *lost, resumed, *whole[21:]]
    board = {}
    for name, events in [("whole", whole), ("cut", cut)]:
        flags = [f"--{kind}={name}/{kind}" for kind in ("dvclive", "csv", "tensorboard")]
        track(tmp_path, "--no-mlflow", *flags, stdin=lines(events))
        read = EventAccumulator(str(tmp_path / name / "tensorboard"), size_guidance={"scalars": 0})
        read.Reload()
        board[name] = {tag: [(p.step, p.value) for p in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
    # What only the lost steps measured keeps its name.
    assert board["cut"].pop("late", []) == []
    assert repr(board["cut"]) == repr(board["whole"])
    plots = {name: tmp_path / name / "dvclive" / "plots" / "metrics" for name in board}
    assert (plots["cut"] / "late.tsv").read_text() == "step\tlate\n"
    for plot in plots["whole"].iterdir():
        assert plot.read_text() == (plots["cut"] / plot.name).read_text()
    rows = {name: list(csv.DictReader((tmp_path / name / "csv" / "metrics.csv").open())) for name in board}
    assert [row.pop("late") for row in rows["cut"]] == [""] * len(rows["whole"])
    assert rows["cut"] == rows["whole"]
