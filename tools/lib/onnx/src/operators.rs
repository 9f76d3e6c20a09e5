//! What several passes ask about the operators of ONNX's own domain, one line each.
//!
//! Only what is true of an operator itself stands here. What one pass decides by it is there: shapes that need a rule in
//! `shape::rules`, FLOPs in `cost`, what loses accuracy in float16 in `fp16`, which kernels a runtime has in `quantize`.

use crate::{DataType, Node};
use DataType::{Bool, Int32, Int64};
use Kind::{Activation, Arithmetic, Computes, IntegerLinear, Known, Linear, Moves, Random, Rearranges, View};
use Shape::{Broadcast, OwnShape, SameShape};
use Type::{CommonType, Is, OwnType, SameType};

/// Shape of the first output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the table names variants without their enum")]
pub(crate) enum Shape {
    /// That of the first input.
    SameShape,
    /// What the shapes of all inputs broadcast to.
    Broadcast,
    /// By a rule of its own.
    OwnShape,
}

/// Element type of the first output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the table names variants without their enum")]
pub(crate) enum Type {
    /// That of the first input, whatever the others have.
    SameType,
    /// The one that all inputs share.
    CommonType,
    /// Always this.
    Is(DataType),
    /// By a rule of its own.
    OwnType,
}

/// What an operator does to its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A convolution or matrix product with weights in floating point.
    Linear,
    /// The same on integers.
    IntegerLinear,
    /// Treats elements alike, with one input that is not constant: runtimes compute it before they write what is before it.
    Activation,
    /// Treats elements of two or more inputs alike.
    Arithmetic,
    /// Its output is its input, under another shape or name.
    View,
    /// Its output is known without running it.
    Known,
    /// Each element of its output is one of an input.
    Rearranges,
    /// It computes nothing else: it converts, selects or fills in elements.
    Moves,
    /// Its output differs from run to run.
    Random,
    /// Anything else.
    Computes,
}

/// The operators of ONNX 1.23, older versions included, in the order of their names. Any other has rules of its own, and computes.
const TABLE: &[(&str, Shape, Type, Kind)] = &[
    ("Abs", SameShape, SameType, Activation),
    ("Acos", SameShape, SameType, Computes),
    ("Acosh", SameShape, SameType, Computes),
    ("Add", Broadcast, CommonType, Arithmetic),
    ("AffineGrid", OwnShape, SameType, Computes),
    ("And", Broadcast, Is(Bool), Computes),
    ("ArgMax", OwnShape, Is(Int64), Computes),
    ("ArgMin", OwnShape, Is(Int64), Computes),
    ("Asin", SameShape, SameType, Computes),
    ("Asinh", SameShape, SameType, Computes),
    ("Atan", SameShape, SameType, Computes),
    ("Atanh", SameShape, SameType, Computes),
    ("Attention", OwnShape, OwnType, Computes),
    ("AveragePool", OwnShape, SameType, Computes),
    ("BatchNormalization", OwnShape, OwnType, Computes),
    ("Bernoulli", SameShape, OwnType, Random),
    ("BitCast", OwnShape, OwnType, Computes),
    ("BitShift", Broadcast, SameType, Computes),
    ("BitwiseAnd", Broadcast, CommonType, Computes),
    ("BitwiseNot", SameShape, SameType, Computes),
    ("BitwiseOr", Broadcast, CommonType, Computes),
    ("BitwiseXor", Broadcast, CommonType, Computes),
    ("BlackmanWindow", OwnShape, OwnType, Computes),
    ("Cast", OwnShape, OwnType, Moves),
    ("CastLike", OwnShape, OwnType, Moves),
    ("CausalConvWithState", OwnShape, OwnType, Computes),
    ("Ceil", SameShape, SameType, Computes),
    ("Celu", SameShape, SameType, Activation),
    ("CenterCropPad", OwnShape, SameType, Moves),
    ("Clip", SameShape, SameType, Activation),
    ("Col2Im", OwnShape, SameType, Computes),
    ("Compress", OwnShape, SameType, Moves),
    ("Concat", OwnShape, CommonType, Rearranges),
    ("ConcatFromSequence", OwnShape, OwnType, Computes),
    ("Constant", OwnShape, OwnType, Known),
    ("ConstantOfShape", OwnShape, OwnType, Moves),
    ("Conv", OwnShape, CommonType, Linear),
    ("ConvInteger", OwnShape, Is(Int32), IntegerLinear),
    ("ConvTranspose", OwnShape, CommonType, Linear),
    ("Cos", SameShape, SameType, Computes),
    ("Cosh", SameShape, SameType, Computes),
    ("CumProd", OwnShape, OwnType, Computes),
    ("CumSum", SameShape, SameType, Computes),
    ("DFT", OwnShape, SameType, Computes),
    ("DeformConv", OwnShape, SameType, Computes),
    ("DepthToSpace", OwnShape, SameType, Rearranges),
    ("DequantizeLinear", SameShape, OwnType, Computes),
    ("Det", OwnShape, SameType, Computes),
    ("Div", Broadcast, CommonType, Arithmetic),
    ("Dropout", OwnShape, OwnType, View),
    ("DynamicQuantizeLinear", OwnShape, OwnType, Computes),
    ("Einsum", OwnShape, CommonType, Computes),
    ("Elu", SameShape, SameType, Activation),
    ("Equal", Broadcast, Is(Bool), Computes),
    ("Erf", SameShape, SameType, Activation),
    ("Exp", SameShape, SameType, Activation),
    ("Expand", OwnShape, SameType, Rearranges),
    ("EyeLike", SameShape, OwnType, Moves),
    ("Flatten", OwnShape, SameType, View),
    ("Floor", SameShape, SameType, Computes),
    ("GRU", OwnShape, OwnType, Computes),
    ("Gather", OwnShape, SameType, Rearranges),
    ("GatherElements", OwnShape, SameType, Moves),
    ("GatherND", OwnShape, SameType, Moves),
    ("Gelu", SameShape, SameType, Activation),
    ("Gemm", OwnShape, CommonType, Linear),
    ("GlobalAveragePool", OwnShape, SameType, Computes),
    ("GlobalLpPool", OwnShape, SameType, Computes),
    ("GlobalMaxPool", OwnShape, SameType, Computes),
    ("Greater", Broadcast, Is(Bool), Computes),
    ("GreaterOrEqual", Broadcast, Is(Bool), Computes),
    ("GridSample", OwnShape, SameType, Computes),
    ("GroupNormalization", SameShape, SameType, Computes),
    ("HammingWindow", OwnShape, OwnType, Computes),
    ("HannWindow", OwnShape, OwnType, Computes),
    ("HardSigmoid", SameShape, SameType, Activation),
    ("HardSwish", SameShape, SameType, Activation),
    ("Hardmax", SameShape, SameType, Computes),
    ("Identity", OwnShape, SameType, View),
    ("If", OwnShape, OwnType, Computes),
    ("ImageDecoder", OwnShape, OwnType, Computes),
    ("InstanceNormalization", SameShape, SameType, Computes),
    ("IsInf", SameShape, Is(Bool), Computes),
    ("IsNaN", SameShape, Is(Bool), Computes),
    ("LRN", SameShape, SameType, Computes),
    ("LSTM", OwnShape, OwnType, Computes),
    ("LayerNormalization", OwnShape, OwnType, Computes),
    ("LeakyRelu", SameShape, SameType, Activation),
    ("Less", Broadcast, Is(Bool), Computes),
    ("LessOrEqual", Broadcast, Is(Bool), Computes),
    ("LinearAttention", OwnShape, OwnType, Computes),
    ("Log", SameShape, SameType, Computes),
    ("LogSoftmax", SameShape, SameType, Computes),
    ("Loop", OwnShape, OwnType, Computes),
    ("LpNormalization", SameShape, SameType, Computes),
    ("LpPool", OwnShape, SameType, Computes),
    ("MatMul", OwnShape, CommonType, Linear),
    ("MatMulInteger", OwnShape, Is(Int32), IntegerLinear),
    ("Max", Broadcast, CommonType, Arithmetic),
    ("MaxPool", OwnShape, OwnType, Computes),
    ("MaxRoiPool", OwnShape, SameType, Computes),
    ("MaxUnpool", OwnShape, SameType, Computes),
    ("Mean", Broadcast, CommonType, Computes),
    ("MeanVarianceNormalization", SameShape, SameType, Computes),
    ("MelWeightMatrix", OwnShape, OwnType, Computes),
    ("Min", Broadcast, CommonType, Arithmetic),
    ("Mish", SameShape, SameType, Activation),
    ("Mod", Broadcast, CommonType, Computes),
    ("Mul", Broadcast, CommonType, Arithmetic),
    ("Multinomial", OwnShape, OwnType, Random),
    ("Neg", OwnShape, SameType, Activation),
    ("NegativeLogLikelihoodLoss", OwnShape, OwnType, Computes),
    ("NonMaxSuppression", OwnShape, Is(Int64), Computes),
    ("NonZero", OwnShape, Is(Int64), Moves),
    ("Not", SameShape, Is(Bool), Computes),
    ("OneHot", OwnShape, OwnType, Moves),
    ("Optional", OwnShape, OwnType, Computes),
    ("OptionalGetElement", OwnShape, OwnType, Computes),
    ("OptionalHasElement", OwnShape, OwnType, Computes),
    ("Or", Broadcast, Is(Bool), Computes),
    ("PRelu", SameShape, CommonType, Activation),
    ("Pad", OwnShape, SameType, Moves),
    ("Pow", Broadcast, SameType, Activation),
    ("QLinearConv", OwnShape, OwnType, IntegerLinear),
    ("QLinearMatMul", OwnShape, OwnType, IntegerLinear),
    ("QuantizeLinear", SameShape, OwnType, Computes),
    ("RMSNormalization", SameShape, SameType, Computes),
    ("RNN", OwnShape, OwnType, Computes),
    ("RandomNormal", OwnShape, OwnType, Random),
    ("RandomNormalLike", SameShape, OwnType, Random),
    ("RandomUniform", OwnShape, OwnType, Random),
    ("RandomUniformLike", SameShape, OwnType, Random),
    ("Range", OwnShape, SameType, Computes),
    ("Reciprocal", SameShape, SameType, Computes),
    ("ReduceL1", OwnShape, SameType, Computes),
    ("ReduceL2", OwnShape, SameType, Computes),
    ("ReduceLogSum", OwnShape, SameType, Computes),
    ("ReduceLogSumExp", OwnShape, SameType, Computes),
    ("ReduceMax", OwnShape, SameType, Computes),
    ("ReduceMean", OwnShape, SameType, Computes),
    ("ReduceMin", OwnShape, SameType, Computes),
    ("ReduceProd", OwnShape, SameType, Computes),
    ("ReduceSum", OwnShape, SameType, Computes),
    ("ReduceSumSquare", OwnShape, SameType, Computes),
    ("RegexFullMatch", OwnShape, OwnType, Computes),
    ("Relu", SameShape, SameType, Activation),
    ("Reshape", OwnShape, SameType, View),
    ("Resize", OwnShape, SameType, Computes),
    ("ReverseSequence", SameShape, SameType, Moves),
    ("RoiAlign", OwnShape, SameType, Computes),
    ("RotaryEmbedding", SameShape, SameType, Computes),
    ("Round", SameShape, SameType, Computes),
    ("STFT", OwnShape, SameType, Computes),
    ("Scan", OwnShape, OwnType, Computes),
    ("Scatter", SameShape, SameType, Moves),
    ("ScatterElements", SameShape, SameType, Moves),
    ("ScatterND", SameShape, SameType, Moves),
    ("Selu", SameShape, SameType, Activation),
    ("SequenceAt", OwnShape, OwnType, Computes),
    ("SequenceConstruct", OwnShape, OwnType, Computes),
    ("SequenceEmpty", OwnShape, OwnType, Computes),
    ("SequenceErase", OwnShape, OwnType, Computes),
    ("SequenceInsert", OwnShape, OwnType, Computes),
    ("SequenceLength", OwnShape, OwnType, Computes),
    ("SequenceMap", OwnShape, OwnType, Computes),
    ("Shape", OwnShape, Is(Int64), Known),
    ("Shrink", SameShape, SameType, Computes),
    ("Sigmoid", SameShape, SameType, Activation),
    ("Sign", SameShape, SameType, Computes),
    ("Sin", SameShape, SameType, Computes),
    ("Sinh", SameShape, SameType, Computes),
    ("Size", OwnShape, Is(Int64), Known),
    ("Slice", OwnShape, SameType, Rearranges),
    ("Softmax", SameShape, SameType, Computes),
    ("SoftmaxCrossEntropyLoss", OwnShape, OwnType, Computes),
    ("Softplus", SameShape, SameType, Activation),
    ("Softsign", SameShape, SameType, Activation),
    ("SpaceToDepth", OwnShape, SameType, Rearranges),
    ("Split", OwnShape, OwnType, Rearranges),
    ("SplitToSequence", OwnShape, OwnType, Computes),
    ("Sqrt", SameShape, SameType, Activation),
    ("Squeeze", OwnShape, SameType, View),
    ("StringConcat", OwnShape, OwnType, Computes),
    ("StringNormalizer", OwnShape, OwnType, Computes),
    ("StringSplit", OwnShape, OwnType, Computes),
    ("Sub", Broadcast, CommonType, Arithmetic),
    ("Sum", Broadcast, CommonType, Computes),
    ("SwiGLU", OwnShape, OwnType, Computes),
    ("Swish", SameShape, SameType, Activation),
    ("Tan", SameShape, SameType, Computes),
    ("Tanh", SameShape, SameType, Activation),
    ("TensorScatter", SameShape, SameType, Moves),
    ("TfIdfVectorizer", OwnShape, OwnType, Computes),
    ("ThresholdedRelu", SameShape, SameType, Activation),
    ("Tile", OwnShape, SameType, Rearranges),
    ("TopK", OwnShape, OwnType, Computes),
    ("Transpose", OwnShape, SameType, Rearranges),
    ("Trilu", SameShape, SameType, Moves),
    ("Unique", OwnShape, OwnType, Moves),
    ("Unsqueeze", OwnShape, SameType, View),
    ("Upsample", OwnShape, SameType, Computes),
    ("Where", Broadcast, OwnType, Moves),
    ("Xor", Broadcast, Is(Bool), Computes),
];

fn row(op_type: &str) -> (Shape, Type, Kind) {
    let found = TABLE.binary_search_by(|row| row.0.cmp(op_type));
    found.ok().and_then(|index| TABLE.get(index)).map_or((OwnShape, OwnType, Computes), |row| (row.1, row.2, row.3))
}

/// The names of the operators of ONNX's own domain, in order.
pub fn operators() -> impl Iterator<Item = &'static str> + Clone {
    TABLE.iter().map(|row| row.0)
}

/// How the shape of an operator's first output follows.
pub(crate) fn shape(op_type: &str) -> Shape {
    row(op_type).0
}

/// How the type of an operator's first output follows.
pub(crate) fn dtype(op_type: &str) -> Type {
    row(op_type).1
}

/// What an operator does.
pub(crate) fn kind(op_type: &str) -> Kind {
    row(op_type).2
}

/// What a node does; one of another domain computes.
pub(crate) fn kind_of(node: &Node) -> Kind {
    if node.domain.is_empty() { kind(&node.op_type) } else { Computes }
}

/// Whether an operator's values are sequences or optional, which no `Cast` takes.
pub(crate) fn is_sequence(op_type: &str) -> bool {
    op_type.contains("Sequence") && op_type != "ReverseSequence" || op_type.starts_with("Optional")
}

/// Whether each call with the same inputs gives the same outputs.
pub(crate) fn is_deterministic(op_type: &str) -> bool {
    // Dropout is random in training mode.
    op_type != "Dropout" && kind(op_type) != Random
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!((shape("Relu"), dtype("Shape"), kind("Nothing")), (SameShape, Is(Int64), Computes));
    }
}
