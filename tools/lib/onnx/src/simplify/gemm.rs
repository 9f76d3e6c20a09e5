//! `MatMul` as `Gemm`, which has a bias.

use super::affine::is_arithmetic;
use crate::{DataType, Graph, Node, shape::Types};

/// Rewrites `MatMul` of a matrix and a constant matrix as `Gemm` where only a node reads it that scales or shifts its columns,
/// and can be folded into a `Gemm`; returns how many.
pub(super) fn rewrite(graph: &mut Graph, types: &Types) -> usize {
    let links = graph.links();
    let mut rewritten = 0;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let Some(output) = node.output(0).filter(|_| is_linear(graph, node, types)) else { continue };
        let &[reader] = links.consumers(output) else { continue };
        if !graph.is_output(output) && folds(graph, &graph.nodes[reader]) {
            let node = &mut graph.nodes[index];
            node.op_type = "Gemm".into();
            rewritten += 1;
        }
    }
    rewritten
}

/// Whether a node is `[rows, inputs] · [inputs, outputs]` with a constant on the right.
fn is_linear(graph: &Graph, node: &Node, types: &Types) -> bool {
    let rank = |name| types.get(name)?.shape.as_ref().map(Vec::len);
    let weight = graph.constant(node, 1);
    let is_matrix = weight.is_some_and(|weight| weight.dims().len() == 2 && weight.dtype() == DataType::Float);
    node.is("MatMul") && is_matrix && node.input(0).and_then(rank) == Some(2)
}

/// Whether a node scales or shifts by constants.
fn folds(graph: &Graph, node: &Node) -> bool {
    let by_constant = graph.constant(node, 0).is_some() || graph.constant(node, 1).is_some();
    node.is("BatchNormalization") || by_constant && is_arithmetic(node)
}
