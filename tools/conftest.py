"""Fixtures of the tests against Python peers; functions are in peers.py."""

import subprocess

import pytest
from peers import BIN, load_stream, onnx_runtime, read_safetensors


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
    """Reads the tensors of a safetensors file."""
    return read_safetensors


@pytest.fixture
def library(monkeypatch):
    """ONNX Runtime is the one that Python has."""
    monkeypatch.setenv("ORT_DYLIB_PATH", str(onnx_runtime()))
