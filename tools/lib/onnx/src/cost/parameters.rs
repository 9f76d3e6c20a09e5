//! Which constants are parameters, and whose.

use crate::{DataType, Graph, Node, Tensor};
use std::collections::HashMap;

/// Elements of the constants that no node has taken yet.
pub(super) struct Parameters<'a> {
    left: HashMap<&'a str, (DataType, usize, u64)>,
}

impl<'a> Parameters<'a> {
    pub fn new(graph: &'a Graph) -> Self {
        let of = |tensor: &Tensor| (tensor.dtype(), tensor.dims().len(), tensor.len() as u64);
        let left = graph.initializers.iter().map(|(name, tensor)| (name.as_str(), of(tensor)));
        let mut left: HashMap<_, _> = left.collect();
        for node in graph.nodes.iter().filter(|node| node.is("Constant")) {
            // A value of another kind than a tensor is no weight.
            if let (Some(name), Ok(Some(tensor))) = (node.output(0), node.tensor("value")) {
                left.insert(name, of(&tensor));
            }
        }
        Self { left }
    }

    /// Parameters of a node, which later nodes that share them do not count again.
    pub fn take(&mut self, node: &Node) -> u64 {
        let mut total = 0u64;
        for (index, name) in node.inputs.iter().enumerate() {
            if self.left.get(name.as_str()).is_some_and(|(dtype, rank, _)| is_parameter(node, index, *dtype, *rank)) {
                let (_, _, elements) = self.left.remove(name.as_str()).unwrap_or_default();
                total = total.saturating_add(elements);
            }
        }
        total
    }
}

/// Whether the constant at an input is a parameter: a tensor of weights, not a scalar, a running statistic, a scale, a zero
/// point, a shape or an index.
fn is_parameter(node: &Node, index: usize, dtype: DataType, rank: usize) -> bool {
    match node.op_type.as_str() {
        "Constant" | "Shape" | "Size" | "Clip" | "Pad" | "Resize" | "Upsample" | "Dropout" | "OneHot" | "Range" => {
            false
        }
        "DequantizeLinear" => index == 0,
        "QuantizeLinear" => index == 0 && is_float(dtype) && rank > 0,
        "BatchNormalization" => index == 1 || index == 2,
        "QLinearConv" => index == 3 || index == 8,
        "QLinearMatMul" => index == 0 || index == 3,
        "ConvInteger" | "MatMulInteger" => index < 2,
        _ => is_float(dtype) && rank > 0,
    }
}

fn is_float(dtype: DataType) -> bool {
    use DataType::{
        Bfloat16, Double, Float, Float4e2m1, Float8e4m3fn, Float8e4m3fnuz, Float8e5m2, Float8e5m2fnuz, Float16,
    };
    matches!(
        dtype,
        Float | Double | Float16 | Bfloat16 | Float8e4m3fn | Float8e4m3fnuz | Float8e5m2 | Float8e5m2fnuz | Float4e2m1
    )
}
