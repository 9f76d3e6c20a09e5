//! Work and memory traffic of a model: by node, and by fused layer.
//!
//! # What is counted
//! - **MACs**, multiply-accumulates: of convolutions, matrix products, recurrent layers and attention. Bias is not one.
//! - **FLOPs**: 2 a MAC, and everything else that is computed, bias, activations, normalization, pooling: one for each
//!   addition, multiplication, comparison, or elementary function (Exp, Erf, Tanh, Sqrt) of an element; what is composed of
//!   several is the sum (`elementwise.rs`): Sigmoid 4, Softmax 5. Integer operations count alike. Padding is counted
//!   as if it were computed, as is usual. Moving data (Transpose, Gather, Cast) computes nothing.
//! - **Bytes**: each value that a node reads or writes, once, by its element type. Weights are read once a run, whatever the
//!   batch size. Views (Reshape, Flatten) move nothing; Gather and Slice read what they output.
//! - **Parameters**: elements of the floating-point or quantized tensors that the node computes with; the first node that
//!   reads one has it. Running statistics of batch normalization, scales and zero points, and scalars do not count.
//!
//! Nodes that read only constants are computed when a runtime loads the model: they cost nothing in a run.
//!
//! # Sources
//! MACs of convolutions and linear layers are those of fvcore's `FlopCountAnalysis`, which calls them flops.

mod call;
mod contraction;
mod elementwise;
mod layers;
mod parameters;
mod rules;
#[cfg(test)]
mod tests;
mod traffic;
mod work;

pub use layers::{LayerCost, layer_costs};
pub use work::Work;

use crate::{DataType, Model, Problem, constants::constant_values, shape::Types};
use call::Call;
use parameters::Parameters;
use std::fmt;

/// What one node costs in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCost {
    /// Element type that the node computes in: that of its first input.
    pub dtype: DataType,
    /// Parameters that no node before it has.
    pub parameters: u64,
    /// What it computes.
    pub work: Result<Work, Unknown>,
    /// What it reads and writes.
    pub traffic: Result<Traffic, Unknown>,
    /// Whether it reads only constants: then it costs nothing in a run.
    pub is_constant: bool,
}

/// Bytes of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Activations read.
    pub read: u64,
    /// Constants read: weights.
    pub constants: u64,
    /// Written.
    pub written: u64,
}

/// Why a cost is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// There is no rule for the operator, given with its domain.
    Operator(String),
    /// The shape or element type of this value is not known.
    Type(String),
    /// The node's inputs or attributes are not as its operator has them.
    Malformed,
    /// The number has more than 64 bits.
    TooLarge,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => write!(f, "no rule for {name}"),
            Self::Type(value) => write!(f, "the shape of {value:?} is not known"),
            Self::Malformed => f.write_str("inputs or attributes are not those of the operator"),
            Self::TooLarge => f.write_str("more than 64 bits"),
        }
    }
}

impl Traffic {
    /// Bytes read and written.
    pub fn total(self) -> u64 {
        self.read.saturating_add(self.constants).saturating_add(self.written)
    }
}

/// Saturates: for totals over a model.
impl std::ops::Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            read: self.read.saturating_add(other.read),
            constants: self.constants.saturating_add(other.constants),
            written: self.written.saturating_add(other.written),
        }
    }
}

/// The cost of each node, in the order of `model.graph.nodes`.
///
/// # Errors
/// When an attribute has another type than its operator says.
pub fn cost(model: &Model, types: &Types) -> Result<Vec<NodeCost>, Problem> {
    let constants = constant_values(&model.graph);
    let mut parameters = Parameters::new(&model.graph);
    let mut costs = Vec::with_capacity(model.graph.nodes.len());
    for node in &model.graph.nodes {
        let call = Call { node, types, constants: &constants };
        let is_constant = call.is_constant();
        costs.push(NodeCost {
            dtype: call.dtype(),
            parameters: parameters.take(node),
            work: if is_constant { Ok(Work::default()) } else { rules::work(&call)? },
            traffic: if is_constant { Ok(Traffic::default()) } else { traffic::of_node(&call) },
            is_constant,
        });
    }
    Ok(costs)
}
