"""Full load for a while, and the server's memory meanwhile. Standard library and `cc` only: the tests of `serve` import it."""

import json
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
INFER = "/inference.GRPCInferenceService/ModelInfer"


def resident_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)


def soak(pid, requests, seconds, *, folder, connections=32, samples=60, report=None):
    """Sends each of `requests` in turn, over `connections` new connections for a sample's time, for `seconds` in all.

    A request is `(protocol, port, bytes)`: of `http` a whole one of HTTP/1.1, of `grpc` the message of ModelInfer. Returns
    [(second, resident MB, requests of the sample)]. An answer other than a success, a connection that breaks, and a server that
    ended are errors.
    """
    program, file = Path(folder) / "load", Path(folder) / "soak.request"
    subprocess.run(["cc", "-O2", "-o", program, HERE / "load.c"], check=True)
    rows, begin = [], time.monotonic()
    for sample in range(samples):
        protocol, port, request = requests[sample % len(requests)]
        file.write_bytes(request)
        command = [program, protocol, port, connections, seconds / samples, file, INFER]
        load = json.loads(subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE).stdout)
        if load["failures"]:
            raise RuntimeError(f"{protocol}: {load['failures']} of {load['all']} requests failed")
        rows.append((time.monotonic() - begin, resident_mb(pid), load["all"]))
        if report:
            report(f"{rows[-1][0]:6.0f} s  {rows[-1][1]:7.1f} MB  {rows[-1][2]} requests over {protocol}")
    return rows


def growth_mb(rows):
    """Median memory of the last fifth of the samples less that of the second fifth; the first is for caches to fill."""
    fifth = max(len(rows) // 5, 1)
    median = lambda part: sorted(memory for _, memory, _ in part)[len(part) // 2]  # noqa: E731
    return median(rows[-fifth:]) - median(rows[fifth : 2 * fifth])
