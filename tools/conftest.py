"""What the tests against Python peers share: running the real binaries."""

import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")).resolve()


def load_stream(data):
    """All arrays of a stream as one, as the tools themselves read it."""
    stream, arrays = io.BytesIO(data), []
    while stream.tell() < len(data):
        arrays.append(np.load(stream, allow_pickle=False))
    return np.concatenate(arrays)


@pytest.fixture
def run(tmp_path):
    """Runs a tool in a temporary folder; returns its standard output as bytes, or fails with its message."""

    def run(tool, *args, stdin=b"", fails=None):
        command = [BIN / tool, *map(str, args)]
        done = subprocess.run(command, input=stdin, capture_output=True, cwd=tmp_path, timeout=300)
        if fails is not None:
            assert done.returncode == fails, done.stderr
            return done.stderr.decode()
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


@pytest.fixture
def run_npy(run):
    """As `run`, for a tool that writes NPY."""
    return lambda *args, **kwargs: load_stream(run(*args, **kwargs))


@pytest.fixture
def tensors():
    """Reads the tensors of a safetensors file, by hand from the format's description."""

    def tensors(path):
        data = path.read_bytes()
        begin = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:begin])
        header.pop("__metadata__")
        values = {}
        for name, entry in header.items():
            assert entry["dtype"] == "F32"
            first, last = entry["data_offsets"]
            values[name] = np.frombuffer(data[begin + first : begin + last], "<f4").reshape(entry["shape"])
        return values

    return tensors
