//! What computes a network and its gradients.

use crate::{Parameters, Result};

/// Rows that a network learns from, or a part of them.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// `[rows, input shape…]`, scaled.
    pub inputs: &'a [f32],
    /// `[rows, outputs]`, scaled; for [`Loss::CrossEntropy`](crate::Loss::CrossEntropy) also `[rows]`, the classes.
    pub targets: &'a [f32],
    /// `[rows]`: how much each row counts in the loss. Empty: each counts 1.
    pub weights: &'a [f32],
    /// `[outputs]` for [`Loss::CrossEntropy`](crate::Loss::CrossEntropy), `[2]` for
    /// [`Loss::BinaryCrossEntropy`](crate::Loss::BinaryCrossEntropy) of one output: how much each class counts, times
    /// the row's weight. Other losses have no classes. Empty: each counts 1.
    pub class_weights: &'a [f32],
}

impl<'a> Batch<'a> {
    /// Rows that all count the same.
    pub fn new(inputs: &'a [f32], targets: &'a [f32]) -> Self {
        Self { inputs, targets, weights: &[], class_weights: &[] }
    }
}

/// One way of computing a network, its loss and its gradients. The parameters are the caller's.
pub trait Engine {
    /// Overwrites `gradients`, laid out as the parameters are, with those of the batch's (weighted) mean loss,
    /// and returns that loss. What is not learned has none; statistics are brought up to date.
    ///
    /// # Errors
    /// When the backend refuses.
    fn gradients(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64>;

    /// The network's output `[rows, outputs]` for scaled `inputs` `[rows, input shape…]`: logits, where the
    /// loss takes logits.
    ///
    /// # Errors
    /// When the backend refuses.
    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()>;
}
