//! Shape rules by operator.
//!
//! `rten-shape-inference` serves where its rule is the specification's and its input can be checked before. Rules of our own
//! are those that it has not (three-dimensional convolutions, products with vectors, `Split` into equal parts, `Resize` by
//! fractions), those where it does not see contradictions (`Concat`, `Gemm`), and those that read or compute sizes: to the crate,
//! one beyond `i32` is a symbol (`Reshape`, broadcasting, `Range`).

mod attention;
mod elementwise;
mod generate;
mod layout;
mod matmul;
mod recurrent;
mod reduce;
mod reshape;
mod resize;
mod select;
mod slice;
mod window;

use super::call::{Call, Outcome, shape_of};
use crate::operators::{self, Shape};
use rten_shape_inference::{SymTensor, ops};

/// Shapes of a node's outputs; None for an operator without a rule.
///
/// # Errors
/// When the inputs or attributes break the operator's rules.
pub(super) fn infer(call: &Call) -> Result<Option<Vec<SymTensor>>, crate::Problem> {
    match call.node.domain.as_str() {
        "" => standard(call),
        "com.microsoft" => microsoft(call),
        _ => Ok(None),
    }
}

fn standard(call: &Call) -> Result<Option<Vec<SymTensor>>, crate::Problem> {
    Ok(Some(match call.node.op_type.as_str() {
        "Neg" => call.rten(&ops::Neg)?,
        "Identity" => vec![call.tensor(0)?.clone()],
        "Cast" | "CastLike" => elementwise::cast(call)?,
        "BatchNormalization" => elementwise::batch_norm(call)?,
        "LayerNormalization" => elementwise::layer_norm(call)?,
        "Dropout" => call.rten(&ops::Dropout)?,
        "DynamicQuantizeLinear" => call.rten(&ops::DynamicQuantizeLinear)?,

        "Conv" | "ConvInteger" => window::conv(call, 1)?,
        "QLinearConv" => window::conv(call, 3)?,
        "DeformConv" => window::conv(call, 1)?,
        "ConvTranspose" => window::conv_transpose(call)?,
        "AveragePool" | "LpPool" | "MaxPool" => window::pool(call)?,
        "GlobalAveragePool" | "GlobalLpPool" | "GlobalMaxPool" => window::global_pool(call)?,

        "Gemm" => matmul::gemm(call)?,
        "MatMul" | "MatMulInteger" => matmul::matmul(call, 0, 1)?,
        "QLinearMatMul" => matmul::matmul(call, 0, 3)?,
        "Einsum" => matmul::einsum(call)?,
        "Det" => matmul::determinant(call)?,

        "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax" | "ReduceMean" | "ReduceMin"
        | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => reduce::reduce(call)?,
        "ArgMax" | "ArgMin" => reduce::arg(call)?,
        "TopK" => reduce::top_k(call)?,

        "Reshape" => reshape::reshape(call)?,
        "Flatten" => reshape::flatten(call)?,
        "Shape" => reshape::shape(call)?,
        "Size" => reshape::size(call)?,
        "Squeeze" => reshape::squeeze(call)?,
        "Unsqueeze" => reshape::unsqueeze(call)?,
        "Transpose" => layout::transpose(call)?,
        "Concat" => layout::concat(call)?,
        "Split" => layout::split(call)?,
        "Slice" => slice::slice(call)?,
        "Pad" => layout::pad(call)?,
        "Expand" => layout::expand(call)?,
        "Tile" => layout::tile(call)?,
        "DepthToSpace" => layout::depth_to_space(call)?,
        "SpaceToDepth" => layout::space_to_depth(call)?,

        "Gather" => select::gather(call)?,
        "GatherElements" => select::gather_elements(call)?,
        "GatherND" => select::gather_nd(call)?,
        "Compress" => select::compress(call)?,
        "NonZero" => call.rten(&ops::NonZero)?,
        "OneHot" => select::one_hot(call)?,
        "NonMaxSuppression" => call.rten(&ops::NonMaxSuppression)?,
        "Unique" => select::unique(call)?,
        "RoiAlign" | "MaxRoiPool" => select::regions(call)?,

        "Resize" => resize::resize(call)?,
        "Upsample" => resize::upsample(call)?,
        "GridSample" => call.rten(&ops::GridSample)?,

        "Constant" => generate::constant(call)?,
        "ConstantOfShape" => generate::constant_of_shape(call)?,
        "Range" => generate::range(call)?,
        "RandomNormal" | "RandomUniform" => generate::random(call)?,
        "Multinomial" => generate::multinomial(call)?,

        "LSTM" | "GRU" | "RNN" => recurrent::infer(call)?,
        "Attention" => attention::attention(call)?,
        op => match operators::shape(op) {
            Shape::SameShape => like_first(call)?,
            Shape::Broadcast => elementwise::infer(call)?,
            Shape::OwnShape => return Ok(None),
        },
    }))
}

/// Operators that ONNX Runtime adds: those that its optimizer and transformer exports write.
fn microsoft(call: &Call) -> Result<Option<Vec<SymTensor>>, crate::Problem> {
    Ok(Some(match call.node.op_type.as_str() {
        "BiasGelu" | "DequantizeLinear" | "FastGelu" | "Gelu" | "QLinearLeakyRelu" | "QLinearSigmoid"
        | "QLinearSoftmax" | "QuantizeLinear" | "QuickGelu" | "RotaryEmbedding" | "GroupNorm" | "Inverse" => {
            like_first(call)?
        }
        "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => attention::skip_layer_norm(call)?,
        "MultiHeadAttention" => attention::multi_head(call)?,
        "GroupQueryAttention" => attention::group_query(call)?,
        "MatMulNBits" => call.rten(&ops::MatMulNBits)?,
        "QLinearAdd" | "QLinearMul" => elementwise::broadcast_of(call, &[0, 3])?,
        _ => return Ok(None),
    }))
}

/// One output with the shape of the first input.
fn like_first(call: &Call) -> Outcome {
    Ok(vec![shape_of(call.tensor(0)?)])
}
