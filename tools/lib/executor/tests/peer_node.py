"""The operators against the ONNX project's own tests of nodes, and those of older operator sets against ONNX Runtime.

The example `run_model` of the library runs the models; `cargo test` builds it.
"""

import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper
from run_model import run_models

ort.set_default_logger_severity(3)

OPERATORS = set(
    """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast CastLike Ceil
    Celu Clip Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DepthToSpace
    DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand Flatten Floor Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GroupNormalization
    HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LayerNormalization LeakyRelu Less
    LessOrEqual Log LogSoftmax MatMul MatMulInteger Max MaxPool Mean Min Mish Mod Mul Neg NonZero Not OneHot Or
    PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization Range Reciprocal ReduceL1 ReduceL2
    ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape
    Resize Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign
    SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze
    Upsample Where Xor
    """.split()
)

# Why a test is skipped, by what its name begins with.
SKIPPED = {
    "test_training_dropout": "training: what is kept is random",
    "test_batchnorm_example_training_mode": "training",
    "test_batchnorm_epsilon_training_mode": "training",
    "test_maxpool_with_argmax": "indices of maxima",
    "test_resize_downsample_scales_linear_antialias": "antialiasing",
    "test_resize_downsample_sizes_linear_antialias": "antialiasing",
    "test_resize_downsample_scales_cubic_antialias": "antialiasing",
    "test_resize_downsample_sizes_cubic_antialias": "antialiasing",
    # ONNX Runtime, as the text of the specification, takes the length of the output.
    "test_resize_downsample_scales_linear_align_corners": "expected values of a fractional length of the output",
    "test_resize_downsample_scales_cubic_align_corners": "expected values of a fractional length of the output",
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


def difference(answer, expected, rtol=1e-5, atol=1e-6):
    """Why an answer is wrong; None if it is right."""
    kind, outputs = answer
    if kind != "ok":
        return f"{kind}: {outputs}"
    for index, (ours, theirs) in enumerate(zip(outputs, expected, strict=True)):
        theirs = np.asarray(theirs)
        if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
            return f"output {index} is {ours.dtype}{ours.shape}, expected {theirs.dtype}{theirs.shape}"
        rtol, atol = TOLERANCE.get(str(ours.dtype), (rtol, atol))
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
        if reason := difference(answer, expected, case.rtol if case.name in ROUNDED else 1e-5):
            wrong[case.name] = reason
    skipped = {name for name in wrong if any(name.startswith(prefix) for prefix in SKIPPED)}
    print(f"{len(found)} tests of nodes, {len(skipped)} skipped")
    unexpected = [f"{name}: {reason}" for name, reason in wrong.items() if name not in skipped]
    assert not unexpected, f"{len(unexpected)} of {len(found)} fail:\n" + "\n".join(unexpected)
    unused = [prefix for prefix in SKIPPED if not any(name.startswith(prefix) for name in skipped)]
    assert not unused, "tests that are skipped and pass"


def model(opset, op_type, inputs, outputs=1, **attributes):
    """A model of one node and the arrays that its inputs get."""
    names = [f"x{index}" for index in range(len(inputs))]
    given = ["" if array is None else name for name, array in zip(names, inputs, strict=True)]
    node = helper.make_node(op_type, given, [f"y{index}" for index in range(outputs)], **attributes)
    arrays = {name: np.asarray(array) for name, array in zip(names, inputs, strict=True) if array is not None}
    kinds = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in arrays.items()}
    values = [helper.make_tensor_value_info(name, kinds[name], array.shape) for name, array in arrays.items()]
    results = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output]
    graph = helper.make_graph([node], "g", values, results)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made, strict_mode=True), list(arrays.values())


def floats(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def integers(low, high, *shape, dtype=np.uint8):
    return np.random.default_rng(1).integers(low, high, shape).astype(dtype)


X, IMAGE, VOLUME = floats(2, 3, 4), floats(2, 4, 9, 11), floats(1, 2, 5, 6, 7)
INDEX = lambda *values: np.array(values, np.int64)
# Operator set, operator, inputs, attributes (and number of outputs): attributes that newer operator sets have as inputs, and
# combinations that the ONNX project does not test.
NODES = [
    (9, "Clip", [X], {"min": -0.5, "max": 0.25}),
    (7, "Slice", [X], {"starts": [1, -3], "ends": [10, -1], "axes": [0, 2]}),
    (9, "Slice", [X], {"starts": [0, 1], "ends": [1, 3]}),
    (7, "Squeeze", [floats(1, 3, 1)], {"axes": [0]}),
    (11, "Unsqueeze", [X], {"axes": [0, -1]}),
    (7, "Split", [floats(6, 2)], {"split": [1, 5], "outputs": 2}),
    (11, "Split", [floats(6, 2)], {"axis": 0, "outputs": 3}),
    (7, "Softmax", [X], {"axis": 1}),
    (11, "Softmax", [X], {}),
    (12, "LogSoftmax", [X], {"axis": 0}),
    (7, "ReduceMean", [X], {"axes": [1], "keepdims": 0}),
    (11, "ReduceL2", [X], {"axes": [-1, 0]}),
    (12, "ReduceSum", [X], {"keepdims": 0}),
    (17, "ReduceLogSumExp", [X], {"axes": [1]}),
    (10, "Pad", [X], {"pads": [0, 1, 2, 0, 0, 1], "mode": "constant", "value": 2.5}),
    (7, "Pad", [X], {"pads": [0, 1, 2, 0, 2, 1], "mode": "reflect"}),
    (7, "Upsample", [IMAGE], {"scales": [1.0, 1.0, 2.0, 3.0], "mode": "nearest"}),
    (9, "Upsample", [IMAGE, np.array([1, 1, 2, 2], np.float32)], {"mode": "linear"}),
    (10, "Resize", [IMAGE, np.array([1, 1, 0.5, 0.6], np.float32)], {"mode": "nearest"}),
    (10, "Resize", [IMAGE, np.array([1, 1, 1.5, 2.5], np.float32)], {"mode": "linear"}),
    (7, "TopK", [X], {"k": 2, "outputs": 2}),
    (10, "TopK", [X, INDEX(3)], {"outputs": 2, "axis": 1}),
    (7, "BatchNormalization", [IMAGE, *(np.abs(floats(4, seed=i)) for i in range(4))], {"epsilon": 1e-3}),
    (14, "BatchNormalization", [X[0], *(np.abs(floats(4, seed=i)) for i in range(4))], {}),
    (7, "Gemm", [floats(4, 3), floats(5, 4, seed=1), floats(5)], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 0.25}),
    (9, "PRelu", [IMAGE, floats(4, 1, 1)], {}),
    (7, "Dropout", [X], {"ratio": 0.5}),
    (8, "Expand", [floats(3, 1), INDEX(2, 1, 4)], {}),
    (7, "MaxPool", [IMAGE], {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [1, 0, 1, 1]}),
    (10, "MaxPool", [IMAGE], {"kernel_shape": [3, 3], "strides": [2, 2], "dilations": [2, 1], "ceil_mode": 1}),
    (12, "MaxPool", [integers(0, 255, 1, 2, 7, 7)], {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    (11, "MaxPool", [VOLUME], {"kernel_shape": [2, 3, 2], "auto_pad": "VALID"}),
    (7, "AveragePool", [IMAGE], {"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    (11, "AveragePool", [IMAGE], {"kernel_shape": [4, 4], "strides": [3, 3], "pads": [1, 2, 1, 0], "count_include_pad": 1}),
    (19, "AveragePool", [IMAGE], {"kernel_shape": [4, 4], "strides": [3, 3], "pads": [1, 2, 1, 0], "ceil_mode": 1}),
    (11, "Conv", [IMAGE, floats(6, 2, 3, 2), floats(6)], {"group": 2, "strides": [2, 1], "dilations": [1, 2], "pads": [1, 2, 0, 1]}),
    (11, "Conv", [IMAGE, floats(4, 1, 5, 5)], {"group": 4, "auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    (11, "Conv", [floats(2, 3, 3000), floats(2, 3, 7), floats(2)], {"pads": [3, 3]}),
    (11, "Conv", [VOLUME, floats(3, 2, 3, 2, 1), floats(3)], {"strides": [1, 2, 3]}),
    (11, "ConvTranspose", [IMAGE, floats(4, 3, 3, 2), floats(6)], {"group": 2, "strides": [2, 3], "output_padding": [1, 2]}),
    (11, "ConvTranspose", [IMAGE, floats(4, 2, 3, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    (11, "ConvTranspose", [VOLUME, floats(2, 3, 2, 3, 2)], {"pads": [0, 1, 0, 1, 1, 0], "dilations": [1, 2, 1]}),
    (13, "QuantizeLinear", [X, np.array([0.1, 0.02, 0.3], np.float32), integers(0, 9, 3)], {"axis": 1}),
    (13, "DequantizeLinear", [integers(-99, 99, 2, 3, 4, dtype=np.int8), np.array([0.1, 0.02], np.float32)], {"axis": 0}),
    (13, "DequantizeLinear", [integers(-99, 99, 2, 3, dtype=np.int32), np.float32(0.5)], {}),
    (17, "LayerNormalization", [X, floats(3, 4), floats(3, 4)], {"axis": 1, "outputs": 3}),
    (13, "QLinearConv", [
        integers(0, 255, 1, 4, 6, 6), np.float32(0.02), np.uint8(7), integers(-99, 99, 6, 2, 3, 3, dtype=np.int8),
        np.linspace(0.01, 0.03, 6, dtype=np.float32), np.zeros(6, np.int8), np.float32(0.1), np.uint8(100),
        integers(-99, 99, 6, dtype=np.int32),
    ], {"group": 2, "pads": [1, 1, 1, 1], "strides": [2, 2]}),
    (13, "ConvInteger", [integers(0, 255, 1, 4, 6, 6), integers(0, 255, 2, 4, 3, 3), np.uint8(7), np.uint8(9)], {"pads": [1, 1, 1, 1]}),
    (13, "MatMulInteger", [integers(0, 255, 2, 5, 4), integers(-9, 9, 4, 3, dtype=np.int8), np.uint8(3), integers(-3, 3, 3, dtype=np.int8)], {}),
    (13, "Pow", [np.abs(X), np.float32(2.5)], {}),
    (13, "Pow", [integers(1, 5, 4, dtype=np.int32), floats(4)], {}),
    (13, "Mod", [floats(7), floats(7, seed=1)], {"fmod": 1}),
    (11, "CumSum", [X, np.int32(1)], {"exclusive": 1, "reverse": 1}),
    (13, "Einsum", [floats(2, 3, 4, 5), floats(2, 3, 5, 4)], {"equation": "bhij, bhji -> hb"}),
    (13, "Einsum", [floats(4, 3, 3), floats(3, 2)], {"equation": "...ii,ij"}),
    (13, "Resize", [IMAGE, None, np.array([1, 1, 0.7, 1.3], np.float32)], {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
    (13, "Resize", [IMAGE, None, None, INDEX(2, 4, 5, 30)], {"mode": "cubic", "coordinate_transformation_mode": "pytorch_half_pixel"}),
    (13, "Resize", [IMAGE, None, np.array([1, 1, 2.5, 0.4], np.float32)], {"nearest_mode": "round_prefer_ceil"}),
]
MODELS = [model(opset, op_type, inputs, **attributes) for opset, op_type, inputs, attributes in NODES]


def test_older_operator_sets_and_further_attributes_agree_with_onnx_runtime():
    answers = run_models(MODELS)
    wrong = []
    for (made, inputs), answer in zip(MODELS, answers, strict=True):
        session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
        feeds = {value.name: array for value, array in zip(session.get_inputs(), inputs, strict=True)}
        if reason := difference(answer, session.run(None, feeds), 1e-4, 1e-5):
            wrong.append(f"{helper.printable_node(made.graph.node[0])}: {reason}")
    assert not wrong, f"{len(wrong)} of {len(MODELS)} differ:\n" + "\n".join(wrong)


def test_the_bits_do_not_depend_on_the_processor_or_the_number_of_threads():
    def bits(answers):
        return [(kind, [array.tobytes() for array in outputs]) for kind, outputs in answers]

    expected = bits(run_models(MODELS))
    assert {kind for kind, _ in expected} == {"ok"}
    assert bits(run_models(MODELS, threads=3)) == expected
    assert bits(run_models(MODELS, PIPEGRAD_ISA="baseline")) == expected
