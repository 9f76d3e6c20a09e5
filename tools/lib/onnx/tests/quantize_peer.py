"""What tests and benchmarks share that quantize a model twice: by lib onnx and by onnxruntime.quantization."""

import contextlib
import functools
import io
import logging
import subprocess
import sys
from unittest import mock

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import create_calibrator

# The package has a function of the same name.
MODULE = sys.modules["onnxruntime.quantization.quantize"]
# What lib onnx quantizes for ONNX Runtime; the peer's list is longer.
OPERATORS = [
    *["Conv", "ConvTranspose", "Gemm", "MatMul"],
    *["Add", "Concat", "GlobalAveragePool", "LeakyRelu", "Mul", "Sigmoid"],
    *["AveragePool", "Flatten", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"],
    *["Clip", "Relu"],
]
TYPES = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}


class Reader:
    """The batches of a calibration set, once."""

    def __init__(self, batches):
        self.batches = iter(batches)

    def get_next(self):
        return next(self.batches, None)


def session(model, optimized=None, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if optimized:
        options.optimized_model_filepath = str(optimized)
    model = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def peer(source, out, batches, method, per_channel=True, reduce_range=False, activations="uint8", calibration=None, **extra):
    """Quantizes by onnxruntime.quantization; `calibration` are options of its calibrator that it does not pass on itself."""

    def calibrator(*args, extra_options=(), **kwargs):
        return create_calibrator(*args, extra_options=dict(extra_options) | (calibration or {}), **kwargs)

    logging.disable(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()), mock.patch.object(MODULE, "create_calibrator", calibrator):
        quantize_static(
            str(source),
            str(out),
            Reader(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            per_channel=per_channel,
            reduce_range=reduce_range,
            activation_type=TYPES[activations],
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[method],
            extra_options=extra,
        )
    logging.disable(logging.NOTSET)
    return onnx.load(out)


def frames(source, names, batches):
    """What lib onnx's example reads: the batches of the named values, computed as the peer computes them, unoptimized."""
    model = onnx.shape_inference.infer_shapes(onnx.load(source))
    known = {value.name: value for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]}
    outputs = {value.name for value in model.graph.output}
    model.graph.output.extend(known[name] for name in names if name not in outputs)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    run = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run
    for batch in batches:
        for name, value in zip(names, run(names, batch), strict=True):
            yield f"{name}\t{value.size}\n".encode() + np.ascontiguousarray(value, "<f4").tobytes()


def ours(program, source, out, batches, method, *keys):
    """Quantizes by lib onnx's example; returns the model and its report."""
    call = functools.partial(subprocess.run, check=True, stdout=subprocess.PIPE)
    names = call([program, "values", source, *keys]).stdout.decode().splitlines()
    observed = b"".join(frames(source, names, batches))
    report = call([program, "model", source, out, method, *keys], input=observed).stdout.decode()
    return onnx.load(out), report
