"""What the tests against Python peers share: where things are, commands in a shell, and files of NumPy and safetensors."""

import functools
import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(os.environ.get("PIPEGRAD_BIN", ROOT / "target" / "release")).resolve()
# DVC's experiments commit; nobody's git configuration is asked for that.
IDENTITY = {f"GIT_{who}_{what}": "test@localhost" for who in ["AUTHOR", "COMMITTER"] for what in ["NAME", "EMAIL"]}


@functools.cache
def onnx_runtime():
    """The shared library of the Python package onnxruntime, which is slow to import."""
    import onnxruntime

    return min((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.*"))


@functools.cache
def tensorrt():
    """TensorRT's library; None where trt-build is not built or the library not installed, as `make test-tensorrt` does both."""
    if not all((BIN / program).exists() for program in ("trt-build", "trt-run")):
        return None
    installed = ROOT.glob(".venv/lib/python3*/site-packages/tensorrt_rtx_libs/libtensorrt_rtx.so.1")
    return os.environ.get("TENSORRT_DYLIB_PATH") or next(map(str, installed), None)


def with_tools(*folders):
    """PATH with the tools first, then `folders`."""
    return ":".join(map(str, [BIN, *folders, os.environ["PATH"]]))


def shell(command, folder, env=None, status=0):
    """Runs bash in a folder, with the tools on its PATH unless `env` says otherwise; returns standard output."""
    env = os.environ | {"PATH": with_tools()} if env is None else env
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_tracked(folder, *paths):
    """Copies the files of the working tree that git knows, or those below `paths`."""
    tracked = subprocess.run(["git", "ls-files", "-z", *paths], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def npy(array, version=None):
    """The bytes of an array as NumPy saves it."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asanyarray(array), version=version)
    return buffer.getvalue()


def load_stream(data):
    """All arrays of a stream as one, as the tools themselves read it."""
    stream, arrays = io.BytesIO(data), []
    while stream.tell() < len(data):
        arrays.append(np.load(stream, allow_pickle=False))
    return np.concatenate(arrays)


def read_safetensors(path):
    """The tensors of a file, by hand from the format's description."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32"
        first, last = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[begin + first : begin + last], "<f4").reshape(entry["shape"])
    return tensors
