"""Load on a server, and what it costs the server: by load.c, or by Triton's perf_analyzer."""

import csv
import http.client
import json
import os
import subprocess
import sys
from pathlib import Path

from contestants import HERE, PACKAGES, compile_c, cpu_seconds
from models import request
from soak import INFER



class Load:
    """load.c: closed loop, one thread, requests prepared before."""

    name = "load.c"

    def __init__(self, folder, cores):
        self.folder, self.cores = folder, cores
        self.program = compile_c(HERE / "load.c", folder / "load")

    def __call__(self, server, protocol, connections, seconds):
        file = self.folder / f"{server.model.name}.{protocol}"
        file.write_bytes(request(server.model, protocol))
        kind = "grpc" if protocol == "grpc" else "http"
        command = [self.program, kind, server.port(protocol), connections, seconds, file, INFER]
        before = cpu_seconds(server.process.pid)
        run = subprocess.run(["taskset", "-c", self.cores, *map(str, command)], stdout=subprocess.PIPE, text=True)
        if run.returncode:
            raise RuntimeError(f"{server.name}, {protocol}, {connections} connections: the load ended with status {run.returncode}")
        result = json.loads(run.stdout)
        if result["failures"] or not result["requests"]:
            raise RuntimeError(f"{server.name}, {protocol}: {result['failures']} of {result['all']} requests failed")
        cpu = (cpu_seconds(server.process.pid) - before) / result["all"]
        milliseconds = {key: result[key] / 1e6 for key in ("p50", "p99")}
        return {"throughput": result["all"] / result["seconds"], "cpu": cpu * 1e6, **milliseconds}


class PerfAnalyzer:
    """perf_analyzer as it comes: three windows, its own random rows."""

    name = "perf_analyzer"

    def __init__(self, folder, cores):
        self.folder, self.cores = folder, cores

    def __call__(self, server, protocol, connections, seconds):
        file = self.folder / "perf_analyzer.csv"
        arguments = ["-m", server.model.name, "-u", f"127.0.0.1:{server.port(protocol)}", "-i", "grpc" if protocol == "grpc" else "http"]
        arguments += ["--concurrency-range", connections, "-p", int(seconds * 1000), "-r", 3, "-s", 1000, "-f", file]
        if protocol == "json":
            arguments += ["--input-tensor-format", "json", "--output-tensor-format", "json"]
        environment = os.environ | {"LD_LIBRARY_PATH": str(PACKAGES / "nvidia" / "cuda_runtime" / "lib")}
        command = ["taskset", "-c", self.cores, Path(sys.prefix) / "bin" / "perf_analyzer", *arguments]
        before = cpu_seconds(server.process.pid), answered(server)
        run = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        if run.returncode:
            raise RuntimeError(f"{server.name}, {protocol}: perf_analyzer: {run.stdout.strip()[-300:]}")
        cpu = (cpu_seconds(server.process.pid) - before[0]) / (answered(server) - before[1])
        with open(file) as lines:
            row = next(csv.DictReader(lines))
        milliseconds = {key: float(row[f"{key} latency"]) / 1e3 for key in ("p50", "p99")}
        return {"throughput": float(row["Inferences/Second"]), "cpu": cpu * 1e6, **milliseconds}


def call(port, message, timeout=60):
    """Sends a whole request of HTTP/1.1, as models.request makes it; returns the status and the body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.connect()
    connection.sock.sendall(message)
    response = http.client.HTTPResponse(connection.sock, method="POST")
    response.begin()
    try:
        return response.status, response.read()
    finally:
        connection.close()


def answered(server):
    """Requests that the server has answered, by its own statistics."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    connection.request("GET", f"/v2/models/{server.model.name}/stats")
    statistics = json.loads(connection.getresponse().read())
    connection.close()
    return statistics["model_stats"][0]["inference_stats"]["success"]["count"]
