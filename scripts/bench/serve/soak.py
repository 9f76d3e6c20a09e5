"""Full load for a while, and the server's memory meanwhile. Standard library and `cc` only: the tests of `serve` import it."""

import json
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def resident_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)


def soak(pid, port, request, seconds, *, folder, connections=32, samples=60, report=None):
    """Sends `request`, a whole one of HTTP/1.1, over `connections` connections for `seconds`, one after the other on each.

    Returns [(second, resident MB, requests of the interval)]. Every interval is a load of its own, whose connections are new. An answer other
    than status 200, a connection that breaks, or a server that ended is an error.
    """
    program, file = Path(folder) / "load", Path(folder) / "soak.request"
    subprocess.run(["cc", "-O2", "-o", program, HERE / "load.c"], check=True)
    file.write_bytes(request)
    rows, begin = [], time.monotonic()
    for _ in range(samples):
        command = [program, "http", port, connections, seconds / samples, file]
        load = json.loads(subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE).stdout)
        if load["failures"]:
            raise RuntimeError(f"{load['failures']} of {load['all']} requests failed")
        rows.append((time.monotonic() - begin, resident_mb(pid), load["all"]))
        if report:
            report(f"{rows[-1][0]:6.0f} s  {rows[-1][1]:7.1f} MB  {rows[-1][2]} requests")
    return rows
