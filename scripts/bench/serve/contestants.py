"""The servers: how each is started on a model, how it says that it is ready, and what its processes use."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from models import triton_config

HERE = Path(__file__).resolve().parent
PACKAGES = Path(sys.prefix) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
TRITON = PACKAGES / "pytriton" / "tritonserver"
START_SECONDS = 120


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def compile_c(source, output, *flags):
    output.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", *flags, "-o", output, source, "-ldl"], check=True)
    return output


def onnxruntime_library():
    return next((PACKAGES / "onnxruntime" / "capi").glob("libonnxruntime.so.*"))


def family(pid):
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        below = [int(child) for task in children.parent.parent.iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(it for child in below for it in family(child))]


def cpu_seconds(pid):
    """CPU time of a process and its descendants, to the nanosecond; without descendants that ended."""
    clocks = ((~it << 3) | 2 for it in family(pid))  # CPUCLOCK_SCHED of a process, as clock_getcpuclockid(3) has it
    return sum(time.clock_gettime(clock) for clock in clocks)


def memory_mb(pid, kind="Pss"):
    """Resident memory, with pages that processes share divided among them (Pss) or not (Rss)."""
    total = 0
    for it in family(pid):
        for line in Path(f"/proc/{it}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                total += int(line.split()[1])
    return total * 1024 / 1e6


class Server:
    """A contestant on one model. `protocols` are the keys of `ports`."""

    name = ready_path = None
    protocols = ()
    checked = True  # whether its answers are those of the model

    def __init__(self, model, folder, cores):
        self.model, self.folder, self.cores = model, folder / type(self).__name__.lower() / model.name, cores
        self.folder.mkdir(parents=True, exist_ok=True)
        self.http_port, self.grpc_port, self.metrics_port = free_port(), free_port(), free_port()
        self.process = self.ready_seconds = None

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {"ORT_DYLIB_PATH": str(onnxruntime_library()), "BENCH_THREADS": "1", "OMP_NUM_THREADS": "1"}

    def port(self, protocol):
        return self.grpc_port if protocol == "grpc" else self.http_port

    def start(self):
        command = ["taskset", "-c", self.cores, *map(str, self.command())]
        with open(self.folder / "log", "w") as log:
            begin = time.perf_counter()
            environment = os.environ | self.environment()
            # In a folder without configs/, so that `serve` has its own.
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        while not self.ready():
            if self.process.poll() is not None or time.perf_counter() - begin > START_SECONDS:
                self.stop()
                raise RuntimeError(f"{self.name} did not start; see {self.folder / 'log'}")
            time.sleep(0.001)
        self.ready_seconds = time.perf_counter() - begin
        return self

    def ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=5)
        try:
            connection.request("GET", self.ready_path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                pass
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Serve(Server):
    name, ready_path = "serve", "/v2/health/ready"
    protocols = ("http", "json", "grpc", "invocations")
    binary = settings = None

    def command(self):
        ports = [f"{it}_port={getattr(self, f'{it}_port')}" for it in ("http", "grpc", "metrics")]
        return [self.binary, self.model.repository, *(f"serve.{it}" for it in [*ports, "threads=1", *self.settings])]


class Floor(Server):
    """floor.c: reads requests and answers constant bytes. What any server costs at least, here."""

    name, ready_path = "nothing (floor.c)", "/"
    protocols = ("http",)
    checked = False

    def command(self):
        return [compile_c(HERE / "floor.c", self.folder / "floor"), self.http_port]


class Triton(Server):
    """tritonserver with the backend of triton_backend/."""

    name, ready_path = "Triton", "/v2/health/ready"
    protocols = ("http", "json", "grpc")

    backend = "onnxruntime"

    def repository(self):
        repository = self.folder / "repository"
        model = repository / self.model.name
        (model / "1").mkdir(parents=True, exist_ok=True)
        (model / "config.pbtxt").write_text(triton_config(self.model, self.backend))
        shutil.copy(self.model.onnx, model / "1" / "model.onnx")
        return repository

    def backends(self):
        folder = self.folder / "backends"
        compile_c(HERE / "triton_backend" / "backend.c", folder / "onnxruntime" / "libtriton_onnxruntime.so", "-shared", "-fPIC")
        return folder

    def command(self):
        ports = ["--http-port", self.http_port, "--grpc-port", self.grpc_port, "--metrics-port", self.metrics_port]
        addresses = ["--http-address", "127.0.0.1", "--grpc-address", "127.0.0.1", "--metrics-address", "127.0.0.1"]
        folders = ["--model-repository", self.repository(), "--backend-directory", self.backends()]
        return [TRITON / "bin" / "tritonserver", *folders, *ports, *addresses]


class TritonPython(Triton):
    """tritonserver with its Python backend, whose model calls the onnxruntime package."""

    name, backend = "Triton, Python backend", "python"

    def repository(self):
        repository = super().repository()
        shutil.copy(HERE / "triton_python_model.py", repository / self.model.name / "1" / "model.py")
        return repository

    def backends(self):
        folder = self.folder / "backends" / "python"
        shutil.copytree(TRITON / "backends" / "python", folder, dirs_exist_ok=True)
        stub = folder / "triton_python_backend_stub"
        stub.unlink(missing_ok=True)
        # A link: the program finds its libraries from where it lies.
        stub.symlink_to(TRITON / "python_backend_stubs" / f"3.{sys.version_info.minor}" / stub.name)
        return folder.parent

    def environment(self):
        return super().environment() | {"BENCH_PACKAGES": str(PACKAGES)}


class MLflow(Server):
    """`mlflow models serve` of the same ONNX file, in its own flavor, with one worker."""

    name, ready_path = "MLflow", "/ping"
    protocols = ("invocations",)

    def command(self):
        model = self.folder / "model"
        if not model.exists() or model.stat().st_mtime < self.model.onnx.stat().st_mtime:
            shutil.rmtree(model, ignore_errors=True)
            subprocess.run([sys.executable, HERE / "mlflow_model.py", self.model.onnx, model], check=True, stdout=subprocess.DEVNULL)
        arguments = ["-m", model, "-h", "127.0.0.1", "-p", self.http_port, "--env-manager", "local", "--workers", 1]
        return [Path(sys.prefix) / "bin" / "mlflow", "models", "serve", *arguments]

    def environment(self):
        path = f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"
        return super().environment() | {"PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
