"""Saves an ONNX file as an MLflow model: mlflow_model.py model.onnx folder"""

import sys

import mlflow
import onnx

model, folder = sys.argv[1:]
options = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
mlflow.onnx.save_model(onnx.load(model), folder, onnx_session_options=options, onnx_execution_providers=["CPUExecutionProvider"])
