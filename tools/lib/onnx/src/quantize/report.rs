//! What quantization did.

use super::plan::Plan;
use crate::{Graph, Node};

/// What quantization did to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Nodes that read integers, as [`Node::describe`] writes them, in the order of the graph.
    pub quantized: Vec<String>,
    /// Nodes that stay in float32.
    pub left: Vec<Left>,
    /// Bytes of all constants before.
    pub bytes_before: usize,
    /// Bytes of all constants after.
    pub bytes_after: usize,
}

/// A node that stays in float32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// As [`Node::describe`] writes it.
    pub node: String,
    /// Why.
    pub reason: String,
}

impl Report {
    /// A report on `graph` as it is before.
    pub(super) fn new(graph: &Graph, plan: &Plan) -> Self {
        let describe = |&index: &usize| Node::describe(&graph.nodes[index]);
        let left = |(index, reason): &(usize, String)| Left { node: describe(index), reason: reason.clone() };
        Self {
            quantized: plan.quantized.iter().map(describe).collect(),
            left: plan.left.iter().map(left).collect(),
            bytes_before: constant_bytes(graph),
            bytes_after: 0,
        }
    }

    pub(super) fn count_after(&mut self, graph: &Graph) {
        self.bytes_after = constant_bytes(graph);
    }
}

fn constant_bytes(graph: &Graph) -> usize {
    graph.initializers.values().map(|tensor| tensor.bytes().len()).sum()
}
