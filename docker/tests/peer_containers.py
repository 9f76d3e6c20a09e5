"""The images of docker/Dockerfile, assembled without a container engine, and what runs in them.

By default `serve` alone, on this machine's own root. With CONTAINERS=1 (`make containers`) the images are those that
docker/rootfs.py assembled before, and docker/compose.yaml is followed: MLflow's server, moto's for MinIO, the job, `serve`.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import yaml
from peers import BIN, IDENTITY, ROOT, copy_tracked, load_stream, npy, onnx_runtime, shell, with_tools

sys.path.insert(0, str(ROOT / "docker"))
import rootfs  # noqa: E402

ALL = bool(os.environ.get("CONTAINERS"))
USER = 65532
PYTHON_BIN = Path(sys.executable).parent
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts and changes roots")
needs_all = pytest.mark.skipif(not ALL, reason="make containers assembles the images first")


def wait_for(condition, *processes, seconds=120):
    """Polls; a process that ends is an error."""
    end = time.monotonic() + seconds
    while not condition():
        for process in processes:
            assert process.poll() is None, f"exit status {process.returncode}"
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


class Container:
    """A program that was started in an image."""

    def __init__(self, image, *command, **options):
        self.image = image
        self.process = subprocess.Popen(
            rootfs.container(image, *command, **options), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def first(self):
        """The process that is number 1 inside, once it is the program itself."""
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            return next(pid for pid in map(int, children) if os.readlink(f"/proc/{pid}/exe").startswith(str(self.image.root)))
        except (OSError, StopIteration):
            return None

    def beside(self, command, **options):
        """Runs a program of this machine in the container's network."""
        command = ["nsenter", "-t", str(self.first()), "-n", *command]
        return subprocess.run(command, capture_output=True, text=True, **options)

    def is_healthy(self):
        """What HEALTHCHECK says."""
        within = ["nsenter", "-t", str(self.first()), "-n", *rootfs.container(self.image, *self.image.healthcheck)]
        return subprocess.run(within, capture_output=True).returncode == 0

    def stop(self):
        """Ends it as an engine does, by SIGTERM to process 1; its exit status."""
        os.kill(self.first(), signal.SIGTERM)
        return self.process.wait(timeout=60)


@pytest.fixture(scope="session")
def assembled(tmp_path_factory):
    """Gives an image by name."""
    if ALL:
        return rootfs.load
    folder = tmp_path_factory.mktemp("containers")
    # Where this machine is no Debian of the Dockerfile's, its root would be of the wrong libraries.
    release = Path("/etc/os-release").read_text()
    if "VERSION_CODENAME=bookworm" not in release or not shutil.which("git"):
        pytest.skip("only on Debian bookworm can the machine's own root stand for the base image")
    command = [sys.executable, ROOT / "docker/rootfs.py", "serve", "--base", "host", "--binaries", BIN, "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return lambda name: rootfs.load(name, folder)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A trained model in a model repository, with its rows and the predictions of `infer`."""
    folder = tmp_path_factory.mktemp("model")
    env = os.environ | {"PATH": with_tools(), "ORT_DYLIB_PATH": str(onnx_runtime())}
    shell("gen-data rows=2000 --to npy | entropy | train --quiet trainer.max_epochs=2 -o run > /dev/null", folder, env)
    shell("mkdir -p models/entropy/1 && pipegrad export run -o models/entropy/1/model.onnx", folder, env)
    rows = np.random.default_rng(0).dirichlet(np.ones(8), 5).astype("f4")
    (folder / "rows.npy").write_bytes(npy(rows))
    shell("infer -m models/entropy/1/model.onnx rows.npy -o predictions.npy", folder, env)
    predictions = load_stream((folder / "predictions.npy").read_bytes())["prediction"]
    return folder / "models", rows, predictions


def request(rows):
    """A request for predictions, as the Open Inference Protocol has it, as arguments of curl."""
    tensor = {"name": "probs", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}
    return ["-sSf", "http://127.0.0.1:8000/v2/models/entropy/infer", "--json", json.dumps({"inputs": [tensor]})]


def test_the_dockerfile_has_no_finding():
    done = subprocess.run([PYTHON_BIN / "hadolint", ROOT / "docker/Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_compose_file_is_valid():
    if not (compose := shutil.which("docker-compose")):
        pytest.skip("docker-compose is not installed")
    env = os.environ | {"COMPOSE_PROJECT_NAME": "pipegrad", "MINIO_PASSWORD": "another"}
    done = subprocess.run([compose, "-f", ROOT / "docker/compose.yaml", "config"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)["services"]
    secrets = read["train"]["environment"]["AWS_SECRET_ACCESS_KEY"], read["minio"]["environment"]["MINIO_ROOT_PASSWORD"]
    assert secrets == ("another", "another")
    # The file in the root is only a way to it, which this parser is too old for.
    assert yaml.safe_load((ROOT / "compose.yaml").read_text())["include"] == ["docker/compose.yaml"]


def test_a_compose_service_is_open_to_this_machine_only():
    for name, service in COMPOSE["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service.get("read_only") or service["image"].startswith("minio/"), name
        assert "build" not in service or service["build"]["target"] in rootfs.parse(rootfs.DOCKERFILE.read_text()), name


def test_base_images_have_a_version_and_the_user_is_never_root():
    stages = rootfs.parse(rootfs.DOCKERFILE.read_text())
    for stage in stages.values():
        assert stage.base in stages or stage.base == "scratch" or re.fullmatch(r"\w+:[\w.-]+", stage.base)
    for name in ["serve", "train", "cuda", "mlflow"]:
        assert ("USER", f"{USER}:{USER}") in stages[name].steps
    build = next(rest for word, rest in stages["build"].steps if word == "RUN")
    assert "cargo build --locked --profile dist" in build


def test_the_context_has_what_the_build_needs_and_no_more(tmp_path):
    names = set(rootfs.context())
    unwanted = re.compile(r"(\.git|target|\.venv|runs|docs|fuzz)/.*|(data|models)/(?!\.gitignore).*|.*/tests/.*")
    assert [name for name in names if unwanted.fullmatch(name)] == []
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    shutil.rmtree(tmp_path / "docker")
    command = ["cargo", "metadata", "--locked", "--offline", "--format-version", "1", "--no-deps"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    targets = [target for package in json.loads(done.stdout)["packages"] for target in package["targets"]]
    built = {target["name"] for target in targets if "bin" in target["kind"]}
    assert {"serve", "train", "pipegrad"} <= built


@needs_root
def test_serve_is_small_and_holds_nothing_but_itself(assembled):
    root = assembled("serve").root
    assert rootfs.sizes(root)[0] <= 80e6
    assert sorted(path.name for path in (root / "usr/bin").iterdir()) == ["serve"]
    for path in root.rglob("*"):
        found = path.lstat()
        assert not found.st_mode & 0o6000, f"{path} changes its user"
        assert not found.st_mode & 0o002 or found.st_mode & 0o1000 or path.is_symlink(), f"{path} is open to all"
    own = {str(path.relative_to(root)) for path in root.rglob("*") if path.lstat().st_uid == USER}
    assert own == {"home/pipegrad", "mnt/models"}


@needs_root
def test_serve_answers_as_another_user_than_root_on_a_root_that_cannot_be_written(assembled, model):
    models, rows, predictions = model
    image = assembled("serve")
    with Container(image, writable={"/mnt/models": models}, network=False) as container:
        wait_for(lambda: container.first() and container.is_healthy(), container.process)
        status = Path(f"/proc/{container.first()}/status").read_text()
        assert re.search(rf"^Uid:\s+{USER}\s+{USER}\s+{USER}", status, re.M)
        assert re.search(r"^CapEff:\s+0+$", status, re.M)
        answer = json.loads(container.beside(["curl", *request(rows)], check=True).stdout)
        assert answer["outputs"][0]["data"] == pytest.approx(predictions.ravel().tolist())
        assert container.stop() == 0


@needs_root
def test_serve_is_not_healthy_without_a_server(assembled):
    image = assembled("serve")
    with Container(image, *image.healthcheck, network=False) as container:
        assert container.process.wait(timeout=30) != 0


@needs_root
@needs_all
def test_train_runs_the_job_where_only_its_folder_can_be_written(assembled, tmp_path):
    image = assembled("train")
    work = tmp_path / "work"
    copy_tracked(work)
    shell("git init -q && git add -A && git commit -qm start", work, os.environ | IDENTITY)
    subprocess.run(["chown", "-R", f"{USER}:{USER}", work], check=True)

    def run(command, status=0, user=None):
        bash = ["/bin/bash", "-euo", "pipefail", "-c", command]
        with Container(image, *bash, env=IDENTITY, writable={"/work": work}, user=user, network=False) as container:
            out = container.process.communicate(timeout=300)[0]
            assert container.process.returncode == status, out
            return out

    assert run("id -u && id -g").split() == [str(USER), str(USER)]
    run("touch /opt/x", status=1)
    assert "Running stage" in run("rm -f dvc.lock && dvc repro")
    assert "Running stage" not in run("dvc repro")
    assert "mse" in run("dvc metrics show")
    run("git add -A && git commit -qm ran && git log -1 --format=%s | grep -x ran")
    run("dvc exp run -S optimizer.learning_rate=0.01")
    assert "0.01" in run("dvc params diff")
    # A folder of one's own, by one's own number.
    subprocess.run(["chown", "-R", "1234:1234", work], check=True)
    assert "Running stage" in run("dvc repro --force", user="1234:1234")
    # Every tool starts.
    tools = sorted(path.name for path in (image.root / "opt/pipegrad/bin").iterdir())
    assert {"train", "serve", "pipegrad"} <= set(tools)
    run("for tool in /opt/pipegrad/bin/*; do $tool --version; done")


@needs_root
@needs_all
def test_cuda_has_what_training_on_a_gpu_loads_but_the_driver(assembled):
    image = assembled("cuda")
    libraries = {name: image.env[f"{name}_DYLIB_PATH"] for name in ["CUBLAS", "CUDNN", "NVRTC"]}
    for name, path in libraries.items():
        assert (image.root / path.lstrip("/")).is_file(), name
    # cuDNN opens it by its name, and it needs others of cuDNN's.
    listed = ["/usr/lib64/ld-linux-x86-64.so.2", "--list", libraries["CUDNN"].replace("cudnn", "cudnn_cnn")]
    with Container(image, *listed, network=False) as container:
        out = container.process.communicate(timeout=60)[0]
        assert container.process.returncode == 0 and "not found" not in out, out
    command = ["/opt/pipegrad/bin/entropy", "device=cuda:0", "/dev/null"]
    with Container(image, *command, network=False) as container:
        out = container.process.communicate(timeout=60)[0]
        assert container.process.returncode == 2 and "no NVIDIA driver" in out, out


@needs_root
@needs_all
def test_what_compose_starts_works_together(assembled, tmp_path, monkeypatch):
    import boto3
    from moto.server import ThreadedMotoServer

    services = COMPOSE["services"]
    volumes = {name: tmp_path / name for name in COMPOSE["volumes"]}
    for path in volumes.values():
        path.mkdir()
        os.chown(path, USER, USER)

    def mounts(service):
        return {target.split(":")[0]: volumes[name] for name, target in (v.split(":", 1) for v in services[service]["volumes"])}

    minio = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    minio.start()
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    endpoint = "http://{}:{}".format(*minio.get_host_and_port())
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=services["train"]["environment"]["S3_BUCKET"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def has(path, header={}):
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=header)
            return urllib.request.urlopen(request, timeout=5).read()
        except OSError:
            return None

    tracking = assembled("mlflow")
    env = services["mlflow"]["environment"] | {"MLFLOW_PORT": str(port)}
    env["MLFLOW_SERVER_ALLOWED_HOSTS"] = env["MLFLOW_SERVER_ALLOWED_HOSTS"].replace("8080", str(port))
    with Container(tracking, env=env, writable=mounts("mlflow")) as mlflow:
        wait_for(lambda: has("/health"), mlflow.process)
        assert b"<html" in has("/").lower(), "the page of MLflow"
        # By its name in the network of compose, and by no other.
        assert has("/api/2.0/mlflow/experiments/get?experiment_id=0", {"Host": f"mlflow:{port}"})
        assert not has("/api/2.0/mlflow/experiments/get?experiment_id=0", {"Host": "elsewhere.example"})

        job = assembled("job")
        env = services["train"]["environment"] | keys
        env |= {"S3_ENDPOINT": endpoint, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
        for again in [False, True]:
            with Container(job, env=env, writable=mounts("train")) as train:
                out = train.process.communicate(timeout=300)[0]
                assert train.process.returncode == 0, out
                assert ("Running stage" in out) != again
        search = ["curl", "-sSf", f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/search", "--json", '{"experiment_ids": ["0"]}']
        (run,) = json.loads(subprocess.run(search, check=True, capture_output=True).stdout)["runs"]
        assert run["info"]["status"] == "FINISHED"
        assert {m["key"]: m["value"] for m in run["data"]["metrics"]}["test_mse"] < 1e-3
        artifacts = {str(path.relative_to(volumes["mlflow"])) for path in (volumes["mlflow"] / "artifacts").rglob("model.onnx")}
        assert artifacts, "the model is an artifact of the run"
        assert len(client.list_objects_v2(Bucket="pipegrad")["Contents"]) >= 8
    minio.stop()
    assert (volumes["models"] / "entropy/1/model.onnx").read_bytes() == (volumes["work"] / "models/entropy.onnx").read_bytes()

    image = assembled("serve")
    with Container(image, writable=mounts("serve"), network=False) as serve:
        wait_for(lambda: serve.first() and serve.is_healthy(), serve.process)
        rows = np.full((1, 8), 1 / 8, "f4")
        answer = json.loads(serve.beside(["curl", *request(rows)], check=True).stdout)
        assert answer["outputs"][0]["data"][0] == pytest.approx(np.log(8), abs=0.2)
