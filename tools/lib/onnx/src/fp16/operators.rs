//! What is known of operators and float16.

use super::Form;
use crate::{
    Node,
    operators::{self, Kind},
};

/// Operators that lose much in float16, whose largest value is 65504 and which has 11 significant bits.
///
/// The list is that of operations which PyTorch's autocast runs in float32, by their ONNX names: exponentials, powers and
/// reciprocals leave the range; sums over many elements, and the norms and softmax that contain them, lose the small
/// summands. To these come `Range` and cumulative sums, where float16 cannot count beyond 2048, and what selects or places by
/// score (`TopK`, `NonMaxSuppression`, `RoiAlign`), where ties appear that float32 does not have; onnxconverter-common
/// and ModelOpt keep these. They also keep `Resize`, `Min` and `Max`: the first because its scales must be float32, which
/// [`convert`](super::convert) sees to, the others because old runtimes had no float16 kernel.
pub const SENSITIVE: &[&str] = &[
    "Acos",
    "ArgMax",
    "ArgMin",
    "Asin",
    "Cosh",
    "CumProd",
    "CumSum",
    "Exp",
    "GroupNormalization",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MeanVarianceNormalization",
    "NegativeLogLikelihoodLoss",
    "NonMaxSuppression",
    "Pow",
    "RMSNormalization",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMean",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "RoiAlign",
    "Sinh",
    "Softmax",
    "SoftmaxCrossEntropyLoss",
    "Softplus",
    "Tan",
    "TopK",
];

/// Operators that stay in float32 whatever the options say, as do random ones and those over sequences: ONNX defines them on
/// float32 only, in all or in older operator sets; or an attribute fixes the type of their output.
const ALWAYS_FULL: &[&str] = &[
    "BlackmanWindow",
    "Celu",
    "Constant",
    "CumSum",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "EyeLike",
    "HammingWindow",
    "HannWindow",
    "IsInf",
    "MelWeightMatrix",
    "NonMaxSuppression",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
    "Range",
    "TfIdfVectorizer",
];

/// Operators whose inputs may be of any type, with the same output.
const ANY_INPUT: &[&str] = &["Cast", "Shape", "Size"];

/// Whether a node cannot run in float16.
pub(super) fn is_always_full(node: &Node) -> bool {
    let op = node.op_type.as_str();
    !node.domain.is_empty()
        || operators::kind(op) == Kind::Random
        || operators::is_sequence(op)
        || ALWAYS_FULL.contains(&op)
        || node.subgraphs().next().is_some()
}

/// Whether a node only moves elements.
pub(super) fn is_move(node: &Node) -> bool {
    matches!(operators::kind_of(node), Kind::View | Kind::Rearranges)
}

/// The type in which a node of `form` reads a float32 value at an input; None for either.
pub(super) fn input_form(node: &Node, form: Form, input: usize) -> Option<Form> {
    match (node.op_type.as_str(), input) {
        _ if form == Form::Full => Some(Form::Full),
        // The region of interest, and the scales, which must be float32.
        ("Resize", 1 | 2) | ("Upsample", 1) => Some(Form::Full),
        (op, _) if ANY_INPUT.contains(&op) => None,
        _ => Some(Form::Half),
    }
}

/// The type in which a node of `form` computes an output that was float32.
pub(super) fn output_form(node: &Node, form: Form, output: usize) -> Form {
    match (node.op_type.as_str(), output) {
        // Mean and inverse deviation, of the type that `stash_type` says.
        ("LayerNormalization", 1 | 2) => Form::Full,
        _ => form,
    }
}

/// Whether an input is a bound or a filling, which float16's largest value serves as well as a larger one.
pub(super) fn saturates(node: &Node, input: usize) -> bool {
    match node.op_type.as_str() {
        "Clip" | "Min" | "Max" => true,
        "Where" | "Pad" => input > 0,
        _ => false,
    }
}

/// Whether an input can be the mask of an attention: added to, subtracted from or multiplied into scores.
pub(super) fn can_be_mask(node: &Node) -> bool {
    ["Add", "Sub", "Mul"].contains(&node.op_type.as_str())
}
