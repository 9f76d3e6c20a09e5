"""Saves an ONNX file as an MLflow model: mlflow_model.py model.onnx folder"""

import sys

import mlflow
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

path, folder = sys.argv[1:]
model = onnx.load(path)
graph_input = model.graph.input[0]
kind = graph_input.type.tensor_type
dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
row = [dimension.dim_value for dimension in kind.shape.dim[1:]]
mlflow.onnx.save_model(
    model,
    folder,
    signature=ModelSignature(inputs=Schema([TensorSpec(dtype, (-1, *row), graph_input.name)])),
    onnx_session_options={"intra_op_num_threads": 1, "inter_op_num_threads": 1},
    onnx_execution_providers=["CPUExecutionProvider"],
)
