"""Runs models by the example `run_model`, many in one process."""

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from onnx import helper
from peers import BIN

RUN_MODEL = BIN / "examples" / "run_model"


def frame(path, inputs, threads):
    words, elements = [str(path), str(threads)], []
    for array in inputs:
        array = np.asarray(array)
        words.append(f"{helper.np_dtype_to_tensor_dtype(array.dtype)}:{','.join(map(str, array.shape))}")
        elements.append(np.ascontiguousarray(array).tobytes())
    return "\t".join(words).encode() + b"\n" + b"".join(elements)


def answer(stream, dtypes):
    """The outputs, or the kind and text of an error."""
    kind, *words = stream.readline().decode().rstrip("\n").split("\t")
    if kind != "ok":
        return kind, "\t".join(words)
    outputs = []
    for word, dtype in zip(words, dtypes, strict=True):
        length, sizes = word.split(":")
        shape = [int(size) for size in sizes.split(",") if size]
        outputs.append(np.frombuffer(stream.read(int(length)), dtype).reshape(shape))
    return kind, outputs


def run_models(cases, threads=1, **env):
    """Returns for each (model, inputs) in turn `("ok", outputs)`, `("error", text)` or `("unsupported", text)`."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as frames:
        dtypes = []
        for index, (model, inputs) in enumerate(cases):
            path = Path(folder) / f"{index}.onnx"
            path.write_bytes(model.SerializeToString())
            frames.write(frame(path, inputs, threads))
            kinds = [value.type.tensor_type.elem_type for value in model.graph.output]
            dtypes.append([helper.tensor_dtype_to_np_dtype(kind) for kind in kinds])
        frames.seek(0)
        with subprocess.Popen([RUN_MODEL], stdin=frames, stdout=subprocess.PIPE, env=os.environ | env) as process:
            answers = [answer(process.stdout, kinds) for kinds in dtypes]
        assert process.returncode == 0
    return answers
