"""What benchmarks share: the programs of `cargo bench`, and programs that take turns, one measurement a line on stdin."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def bench(package, name):
    """Builds the program of `cargo bench -p PACKAGE --bench NAME` and returns its path."""
    command = [os.environ.get("CARGO", "cargo"), "bench", "--no-run", "--quiet", "--message-format", "json"]
    built = subprocess.run([*command, "-p", package, "--bench", name], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    programs = (json.loads(line).get("executable") for line in built.stdout.splitlines())
    return next(program for program in programs if program)


class Contestant:
    def __init__(self, command, **environment):
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def step(self):
        """Seconds: what it answers in a line."""
        self._ask()
        return float(self._line())

    def round(self):
        """Milliseconds of each layer and direction: lines of it, up to an empty one."""
        self._ask()
        times = dict(line.rsplit(maxsplit=1) for line in iter(self._line, "\n"))
        return {layer: float(time) for layer, time in times.items()}

    def close(self):
        """Ends it; returns its peak memory in MB."""
        self.process.stdin.close()
        _, _, usage = os.wait4(self.process.pid, 0)
        return usage.ru_maxrss / 1e3

    def _ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args}: ended with status {self.process.wait()}")
        return line
