//! Nodes with weights: convolutions and matrix products.

use super::{Options, Target};
use crate::{
    DataType, Graph, Node, Problem, Tensor,
    operators::{Kind, kind_of},
};

/// A node whose weights, its second input, become int8.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    /// Index of the node.
    pub node: usize,
    /// Axis of the output channels; None if the weight has one scale.
    pub axis: Option<usize>,
    /// Whether its bias, the third input, becomes int32.
    pub bias: bool,
    /// What the weight is multiplied by: `alpha` of a Gemm.
    pub alpha: f32,
    /// What the bias is multiplied by: `beta` of a Gemm.
    pub beta: f32,
}

/// Whether the node is of an operator with weights.
pub(super) fn is_layer(node: &Node) -> bool {
    kind_of(node) == Kind::Linear
}

/// Whether the node has weights that can be quantized.
pub(super) fn has_weights(graph: &Graph, node: &Node) -> bool {
    let float = |tensor: &Tensor| tensor.dtype() == DataType::Float && !tensor.is_empty();
    let activation = node.input(0).is_some_and(|name| !graph.initializers.contains_key(name));
    is_layer(node) && activation && graph.constant(node, 1).is_some_and(float)
}

/// How a node with weights is quantized, or why it is not.
pub(super) fn plan(
    graph: &Graph,
    index: usize,
    node: &Node,
    options: &Options,
) -> Result<Result<Layer, String>, Problem> {
    let dims = graph.constant(node, 1).map_or(&[][..], Tensor::dims);
    let rank = if node.is("Gemm") {
        2..=2
    } else if node.is("MatMul") {
        1..=usize::MAX
    } else {
        3..=usize::MAX
    };
    if !rank.contains(&dims.len()) {
        return Err(Problem::node(node, format!("weights of shape {dims:?}")));
    }
    let channels = channel_axis(node, dims)?;
    let integer_bias = options.target == Target::OnnxRuntime && node.input(2).is_some();
    let bias = if integer_bias { bias_length(graph, node, channels.map(|axis| dims[axis])) } else { Ok(None) };
    let length = match bias {
        Ok(length) => length,
        Err(reason) => return Ok(Err(reason)),
    };
    // A grouped ConvTranspose has fewer channels on the axis than biases.
    let one_each = |axis: &usize| length.is_none_or(|length| length == dims[*axis]);
    let (alpha, beta) =
        if node.is("Gemm") { (node.float("alpha", 1.0)?, node.float("beta", 1.0)?) } else { (1.0, 1.0) };
    // In floating point the bias keeps its factor.
    let (alpha, beta) = if options.target == Target::OnnxRuntime { (alpha, beta) } else { (1.0, 1.0) };
    let axis = channels.filter(|_| options.per_channel).filter(one_each);
    Ok(Ok(Layer { node: index, axis, bias: length.is_some(), alpha, beta }))
}

/// Axis of the output channels of a weight; None for a product with a vector or with several matrices.
fn channel_axis(node: &Node, dims: &[usize]) -> Result<Option<usize>, Problem> {
    Ok(match node.op_type.as_str() {
        "Conv" => Some(0),
        "ConvTranspose" => Some(1),
        "Gemm" => Some(if node.int("transB", 0)? != 0 { 0 } else { 1 }),
        _ => (dims.len() == 2).then_some(1),
    })
}

/// Number of biases, or why they cannot be int32: an integer kernel adds one to each channel.
fn bias_length(graph: &Graph, node: &Node, channels: Option<usize>) -> Result<Option<usize>, String> {
    let Some(bias) = graph.constant(node, 2).filter(|bias| bias.dtype() == DataType::Float) else {
        return Err("its bias is no float32 constant".into());
    };
    let length = match bias.dims() {
        [length] | [1, length] => *length,
        dims => return Err(format!("its bias of shape {dims:?} does not add one value to each channel")),
    };
    if node.is("Gemm") && Some(length) != channels {
        return Err(format!("its bias of shape {:?} does not add one value to each channel", bias.dims()));
    }
    Ok(Some(length))
}
