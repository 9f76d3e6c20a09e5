"""`serve` beside Triton and MLflow: the same model files, the same ONNX Runtime, the same cores.

Contestants: serve; floor.c, which answers constant bytes, for what the network alone costs; tritonserver (of PyPI's nvidia-pytriton) with the thin ONNX Runtime backend of triton_backend/, which is ours, and
with its own Python backend; `mlflow models serve`. All of one model run at the same time, idle but for the one under load; every
load runs on each in turn, in several rounds, so that other work on the machine meets all alike. Ratios are computed round by round.

Server and load share one core (--server-cores, --load-cores): where they do not, half of what a request costs a fast server on a virtual
machine is to wake the other core, which floor.c shows. Sessions have one intra-op thread, batches at most 32 rows. Run by
`make bench-serve`, in an environment of its own (requirements/bench-serve.txt).
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
from contestants import HERE, Floor, MLflow, Serve, Triton, TritonPython, compile_c, memory_mb, onnxruntime_library
from load import Load, PerfAnalyzer, call
from models import BUILD, prepare, request
from soak import growth_mb, soak
from tritonclient import grpc

ROOT = HERE.parents[2]
TOOLS = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")).resolve()
CONTESTANTS = {"floor": Floor, "serve": Serve, "triton": Triton, "triton-python": TritonPython, "mlflow": MLflow}
WORDS = {"http": "HTTP, binary", "json": "HTTP, JSON", "grpc": "gRPC", "invocations": "/invocations"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of one load on one server")
    parser.add_argument("--models", nargs="+", default=list(BUILD), choices=BUILD)
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS), choices=CONTESTANTS)
    parser.add_argument("--protocols", nargs="+", default=list(WORDS), choices=WORDS)
    parser.add_argument("--concurrency", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--starts", type=int, default=5, help="times that each server is started to measure that; 0 for none")
    parser.add_argument("--perf-analyzer", action="store_true", help="load by perf_analyzer in place of load.c; without /invocations")
    parser.add_argument("--server-cores", default="0")
    other = str(os.cpu_count() - 1)
    parser.add_argument("--load-cores", help=f"default: the server's; of perf_analyzer, which starves on a core that it shares, {other}")
    parser.add_argument("--serve", type=Path, default=TOOLS / "serve", help="the binary")
    parser.add_argument("--set", nargs="+", default=[], help="settings of serve")
    parser.add_argument("--soak", type=float, default=0, metavar="SECONDS", help="only full load on serve, and its memory over time")
    parser.add_argument("--folder", type=Path, default=ROOT / "target" / "bench-serve", help="where models, logs and results.json go")
    options = parser.parse_args()
    options.load_cores = options.load_cores or (other if options.perf_analyzer else options.server_cores)
    return options


def spread(values, form=".2f"):
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def check(server, protocols):
    """The answer over each protocol is ONNX Runtime's."""
    model = server.model
    expected = model.session.run(None, {model.input[0]: model.rows()})[0].ravel()
    for protocol in set(protocols) & set(server.protocols) if server.checked else ():
        if protocol == "grpc":
            values = infer_grpc(server)
        else:
            status, body = call(server.port(protocol), request(model, protocol))
            if status != 200:
                raise RuntimeError(f"{server.name}, {protocol}: status {status}: {body[:300]}")
            values = read_answer(protocol, body, expected)
        np.testing.assert_allclose(np.ravel(values), expected, rtol=1e-4, atol=1e-6, err_msg=f"{server.name}, {protocol}")


def read_answer(protocol, body, expected):
    """Values of the first output; of `http` the last bytes of the body, as all models have one output."""
    if protocol == "http":
        return np.frombuffer(body[-expected.nbytes :], expected.dtype)
    answer = json.loads(body)
    if protocol == "json":
        return answer["outputs"][0]["data"]
    predictions = answer["predictions"]  # an array, or an object of arrays by output
    return next(iter(predictions.values())) if isinstance(predictions, dict) else predictions


def infer_grpc(server):
    name, datatype, _, _ = server.model.input
    rows = server.model.rows()
    tensor = grpc.InferInput(name, rows.shape, datatype)
    tensor.set_data_from_numpy(rows)
    client = grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")
    return client.infer(server.model.name, [tensor]).as_numpy(server.model.session.get_outputs()[0].name)


def starts(options, kinds, model):
    """Seconds to ready of each server, and of ONNX Runtime alone, in turn."""
    program = compile_c(HERE / "start.c", options.folder / "start")
    environment = os.environ | {"ORT_DYLIB_PATH": str(onnxruntime_library())}
    times = {"ONNX Runtime alone": []} | {kind.name: [] for kind in kinds}
    for _ in range(options.starts):
        begin = time.perf_counter()
        subprocess.run(["taskset", "-c", options.server_cores, program, model.onnx], env=environment, check=True)
        times["ONNX Runtime alone"].append(time.perf_counter() - begin)
        for kind in kinds:
            with kind(model, options.folder, options.server_cores) as server:
                times[kind.name].append(server.ready_seconds)
    return times


def loads(options, servers, generator):
    """{(protocol, connections): {contestant: [one measurement a round]}}"""
    results = {}
    for turn in range(options.rounds):
        for protocol in options.protocols:
            able = [server for server in servers if protocol in server.protocols]
            able = able[turn % len(able) :] + able[: turn % len(able)] if able else []
            for connections in options.concurrency:
                for server in able:
                    rows = results.setdefault((protocol, connections), {}).setdefault(server.name, [])
                    rows.append(generator(server, protocol, connections, options.seconds))
        print(f"{servers[0].model.name}: round {turn + 1} of {options.rounds}", flush=True)
    return results


def table(results):
    """What each server does under each load."""
    print("| load, connections | server | requests/s | median ms | p99 ms | CPU µs a request |\n| --- | --- | --- | --- | --- | --- |")
    for (protocol, connections), by_server in results.items():
        for name, rows in by_server.items():
            cells = [f"{WORDS[protocol]}, {connections}", name]
            for key, form in [("throughput", ".0f"), ("p50", ".3f"), ("p99", ".3f"), ("cpu", ".1f")]:
                cells.append(spread([row[key] for row in rows], form))
            print("| " + " | ".join(cells) + " |")


def ratios(results, own, peers):
    """How many times as much a peer needs, and how many times as many requests `own` answers, round by round."""
    print(f"| load, connections | peer | CPU a request, {own} | peer / {own} | median latency, {own} | peer / {own} | requests/s, {own} / peer |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for (protocol, connections), by_server in results.items():
        for peer in [peer for peer in peers if peer in by_server and own in by_server]:
            ours = by_server[own]
            pairs = list(zip(by_server[peer], ours))
            cells = [f"{WORDS[protocol]}, {connections}", peer]
            cells += [f"{statistics.median(row['cpu'] for row in ours):.1f} µs", spread([row["cpu"] / it["cpu"] for row, it in pairs])]
            cells += [f"{statistics.median(row['p50'] for row in ours):.3f} ms", spread([row["p50"] / it["p50"] for row, it in pairs])]
            cells.append(spread([it["throughput"] / row["throughput"] for row, it in pairs]))
            print("| " + " | ".join(cells) + " |")


def measure(options, kinds, name):
    model = prepare(TOOLS, name, options.folder)
    result = {"starts": starts(options, kinds, model) if options.starts else {}}
    servers = [kind(model, options.folder, options.server_cores) for kind in kinds]
    generator = (PerfAnalyzer if options.perf_analyzer else Load)(options.folder, options.load_cores)
    try:
        for server in servers:
            server.start()
            check(server, options.protocols)
        idle = {server.name: memory_mb(server.process.pid) for server in servers}
        result["loads"] = loads(options, servers, generator)
        result["memory"] = {it.name: (idle[it.name], memory_mb(it.process.pid), memory_mb(it.process.pid, "Rss")) for it in servers}
    finally:
        for server in servers:
            server.stop()
    return result


def report(name, result, generator):
    print(f"\n### {name}, load by {generator}\n")
    if len(result["memory"]) > 1:
        ratios(result["loads"], Serve.name, [it.name for it in CONTESTANTS.values() if it.checked and it is not Serve])
        print()
    table(result["loads"])
    print("\n| | ready after ms | memory (PSS) MB, idle | after the load | RSS MB |\n| --- | --- | --- | --- | --- |")
    for server in result["starts"] | result["memory"]:
        seconds = result["starts"].get(server)
        ready = spread([1e3 * it for it in seconds], ".0f") if seconds else "–"
        memory = [f"{it:.0f}" for it in result["memory"].get(server, [])] or ["–"] * 3
        print(f"| {server} | {ready} | {' | '.join(memory)} |")


def main():
    options = arguments()
    options.folder, options.serve = options.folder.resolve(), options.serve.resolve()
    Serve.binary, Serve.settings = options.serve, options.set
    kinds = [CONTESTANTS[name] for name in options.contestants]
    if options.perf_analyzer:
        options.protocols = [it for it in options.protocols if it != "invocations"]
        kinds = [kind for kind in kinds if set(kind.protocols) & set(options.protocols)]
    if Serve in kinds and not options.serve.exists():
        print(f"{options.serve} is not there: without serve")
        kinds.remove(Serve)
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.soak:
        return soak_serve(options)
    generator = PerfAnalyzer.name if options.perf_analyzer else Load.name
    results = {name: measure(options, kinds, name) for name in options.models}
    print(f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} cores; n = {options.rounds} rounds of {options.seconds} s")
    for name, result in results.items():
        report(name, result, generator)
        result["loads"] = [{"protocol": p, "connections": n, "rounds": rows} for (p, n), rows in result["loads"].items()]
    (options.folder / "results.json").write_text(json.dumps(results, indent=1))


def soak_serve(options):
    model = prepare(TOOLS, options.models[0], options.folder)
    with Serve(model, options.folder, options.server_cores) as server:
        requests = [("http", server.http_port, request(model, protocol)) for protocol in ("http", "json")]
        requests.append(("grpc", server.grpc_port, request(model, "grpc")))
        rows = soak(server.process.pid, requests, options.soak, folder=options.folder, report=lambda line: print(line, flush=True))
    print(f"{sum(row[2] for row in rows)} requests; memory grew by {growth_mb(rows):.1f} MB between the second and the last fifth")


if __name__ == "__main__":
    main()
