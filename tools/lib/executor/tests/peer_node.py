"""The operators against the ONNX project's own tests of nodes, and those of older operator sets against ONNX Runtime.

The example `run_model` of the library runs the models; `cargo test` builds it.
"""

import warnings

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from run_model import run_models

ort.set_default_logger_severity(3)

OPERATORS = set(
    """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast CastLike Ceil
    Celu Clip Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DepthToSpace
    DequantizeLinear Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp Expand Flatten Floor Gather GatherElements
    GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GroupNormalization HardSigmoid
    HardSwish Identity InstanceNormalization IsInf IsNaN LRN LayerNormalization LeakyRelu Less LessOrEqual Log
    LogSoftmax MatMul MatMulInteger Max MaxPool Mean Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow
    QLinearConv QLinearMatMul QuantizeLinear RMSNormalization Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round
    ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth
    Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
    """.split()
)

# Why a test is skipped, by what its name begins with.
SKIPPED = {
    "test_training_dropout": "training: what is kept is random",
}
# Expected values that are rounded to four digits.
ROUNDED = {"test_averagepool_2d_ceil_last_window_starts_on_pad"}

# The operator sets that models are read in. No operator above differs between them and those beyond that tests are for.
OPSETS = (7, 26)
# Relative and absolute tolerance; the ONNX project's own are 1e-3 and 1e-7.
TOLERANCE = {"float16": (1e-3, 1e-4), "bfloat16": (1e-2, 1e-2)}


def cases():
    """The tests of nodes of our operators alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    for case in found:
        nodes = case.model.graph.node
        if all(node.domain in ("", "ai.onnx") and node.op_type in OPERATORS for node in nodes):
            for opset in case.model.opset_import:
                opset.version = min(max(opset.version, OPSETS[0]), OPSETS[1])
            yield case


def arrays(values):
    """Whether all are arrays of elements that are numbers."""
    return all(isinstance(value, np.ndarray | np.generic) and np.asarray(value).dtype.kind != "O" for value in values)


def difference(case, answer, expected):
    """Why an answer is wrong; None if it is right."""
    kind, outputs = answer
    if kind != "ok":
        return f"{kind}: {outputs}"
    for index, (ours, theirs) in enumerate(zip(outputs, expected, strict=True)):
        theirs = np.asarray(theirs)
        if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
            return f"output {index} is {ours.dtype}{ours.shape}, expected {theirs.dtype}{theirs.shape}"
        rtol, atol = TOLERANCE.get(str(ours.dtype), (1e-5, 1e-6))
        rtol = case.rtol if case.name in ROUNDED else rtol
        if ours.dtype.kind in "fV":
            ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
            wrong = ~np.isclose(ours, theirs, rtol, atol, equal_nan=True)
        else:
            wrong = ours != theirs
        if wrong.any():
            where = tuple(np.argwhere(wrong)[0])
            return f"output {index}{list(where)}: {ours[where]}, expected {theirs[where]}; {wrong.sum()} of {wrong.size}"
    return None


def test_the_onnx_projects_own_tests_of_nodes():
    found = [case for case in cases() if all(arrays(part) for data in case.data_sets for part in data)]
    runs = [(case, inputs, outputs) for case in found for inputs, outputs in case.data_sets]
    answers = run_models((case.model, [value for value in inputs]) for case, inputs, _ in runs)
    wrong = {}
    for (case, _, expected), answer in zip(runs, answers, strict=True):
        if reason := difference(case, answer, expected):
            wrong[case.name] = reason
    skipped = {name for name in wrong if any(name.startswith(prefix) for prefix in SKIPPED)}
    print(f"{len(found)} tests of nodes, {len(skipped)} skipped")
    unexpected = [f"{name}: {reason}" for name, reason in wrong.items() if name not in skipped]
    assert not unexpected, f"{len(unexpected)} of {len(found)} fail:\n" + "\n".join(unexpected)
    unused = [prefix for prefix in SKIPPED if not any(name.startswith(prefix) for name in skipped)]
    assert not unused, "tests that are skipped and pass"
