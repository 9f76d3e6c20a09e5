"""One answer of completion, pipegrad against Hydra on the same configs: whole processes, in turn.

Prints processor and wall time, medians with the extremes. Run by `make bench-completion`.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LINES = ["model=", "optimizer.", "data=line data.no"]
APP = f"""
import hydra

@hydra.main(version_base=None, config_path={str(ROOT / "configs")!r}, config_name="entropy")
def main(config):
    pass

main()
"""


def measure(command, env):
    """Processor and wall milliseconds of one run, with all that it starts."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0 or not done.stdout.strip():
        sys.exit(f"{command}: {done.stderr or 'no answer'}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1e3 * cpu, 1e3 * wall


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="answers of each contestant to each line")
    args = parser.parse_args()
    tools = os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app.py"
        app.write_text(APP)
        print(f"{platform.platform()}, {os.cpu_count()} cores, CPython {platform.python_version()}, n = {args.runs}\n")
        print("| line | pipegrad, CPU ms | Hydra, CPU ms | CPU, ratio | pipegrad, wall ms | Hydra, wall ms |")
        print("| --- | --- | --- | --- | --- | --- |")
        for line in LINES:
            ours = [Path(tools) / "pipegrad", "--complete", f"compose {line}"]
            theirs = [sys.executable, app, "-sc", "query=bash"]
            env = os.environ | {"COMP_LINE": f"python app.py {line}"}
            pairs = [(measure(ours, env), measure(theirs, env)) for _ in range(args.runs + 1)]
            del pairs[0]  # warm-up: files into the page cache
            columns = [[pair[who][what] for pair in pairs] for what in (0, 1) for who in (0, 1)]
            columns.insert(2, [theirs[0] / ours[0] for ours, theirs in pairs])
            cells = [f"{statistics.median(values):.3g} ({min(values):.3g}–{max(values):.3g})" for values in columns]
            print(f"| `{line}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
