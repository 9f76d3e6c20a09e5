//! The interface of everything that computes a network and its gradients.

use crate::{Parameters, Result};
use std::ops::Range;

/// Rows with their targets and weights. `rows` is `inputs.len()` over the elements of a row.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// `[rows, input shape…]`, scaled; images are NCHW.
    pub inputs: &'a [f32],
    /// `[rows, outputs]`, scaled; for [`Loss::CrossEntropy`](crate::Loss::CrossEntropy) also `[rows]`, class indices.
    pub targets: &'a [f32],
    /// `[rows]`: weight of each row in the loss; empty for 1 each.
    pub weights: &'a [f32],
    /// `[outputs]` for [`Loss::CrossEntropy`](crate::Loss::CrossEntropy), `[2]` for
    /// [`Loss::BinaryCrossEntropy`](crate::Loss::BinaryCrossEntropy) of one output: weight of each class, multiplied by
    /// the row's. Other losses do not read it. Empty for 1 each.
    pub class_weights: &'a [f32],
}

impl<'a> Batch<'a> {
    /// Rows of weight 1.
    pub fn new(inputs: &'a [f32], targets: &'a [f32]) -> Self {
        Self { inputs, targets, weights: &[], class_weights: &[] }
    }

    /// The targets and weights of some of its `rows` rows, without inputs.
    pub(crate) fn targets_of(self, range: Range<usize>, rows: usize) -> Self {
        let width = self.targets.len() / rows.max(1);
        let weights = self.weights.get(range.clone()).unwrap_or_default();
        Self { inputs: &[], targets: &self.targets[range.start * width..range.end * width], weights, ..self }
    }
}

/// Computes a network, its loss and its gradients for parameters that the caller owns. [`Autograd`](crate::Autograd) is
/// the reference that the others are tested against.
pub trait Engine {
    /// Overwrites `gradients`, in the layout of the parameters, with the gradients of the (weighted) mean loss over the
    /// batch, and returns that loss. Gradients of running statistics and frozen parameters are 0. Updates the running
    /// statistics in `parameters`, and nothing else there.
    ///
    /// # Errors
    /// When the backend cannot compute the network.
    fn gradients(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64>;

    /// Overwrites `outputs` with the network's output `[rows, outputs]` for scaled `inputs` `[rows, input shape…]`, with
    /// running statistics: logits, where the loss takes logits.
    ///
    /// # Errors
    /// When the backend cannot compute the network.
    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()>;
}
