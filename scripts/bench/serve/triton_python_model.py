"""The model of Triton's Python backend: one call of ONNX Runtime for the requests that Triton batched."""

import os
import sys
from pathlib import Path

sys.path.insert(0, os.environ["BENCH_PACKAGES"])  # the backend's interpreter ignores PYTHONPATH

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import triton_python_backend_utils as triton  # noqa: E402


class TritonPythonModel:
    def initialize(self, _):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ["BENCH_THREADS"])
        path = Path(__file__).with_name("model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.outputs = [output.name for output in self.session.get_outputs()]

    def execute(self, requests):
        inputs = [triton.get_input_tensor_by_name(request, self.input).as_numpy() for request in requests]
        outputs = self.session.run(self.outputs, {self.input: np.concatenate(inputs) if len(inputs) > 1 else inputs[0]})
        ends = np.cumsum([len(rows) for rows in inputs])[:-1]
        answers = zip(*(np.split(output, ends) for output in outputs))
        return [triton.InferenceResponse([triton.Tensor(*it) for it in zip(self.outputs, answer)]) for answer in answers]
