//! What computes a network and its gradients.

use crate::{Parameters, Result};

/// Rows that a network learns from.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// `[rows, input shape…]`, scaled.
    pub inputs: &'a [f32],
    /// `[rows, outputs]`; for [`Loss::CrossEntropy`](crate::Loss::CrossEntropy) also `[rows]`, the classes.
    pub targets: &'a [f32],
}

/// One way of computing a network, its loss and its gradients. The parameters are the caller's.
pub trait Engine {
    /// Overwrites `gradients`, laid out as the parameters are, with those of the batch's mean loss,
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
