//! What trains a network.

use crate::{Parameters, Result};

/// One way of training: forward, loss, backward and optimizer.
pub trait Engine {
    /// One optimizer step on a batch; returns its loss before the step, the mean squared error.
    ///
    /// `inputs` is `[rows, inputs]`, scaled; `targets` is `[rows, outputs]`.
    ///
    /// # Errors
    /// When the backend refuses.
    fn step(&mut self, inputs: &[f32], targets: &[f32]) -> Result<f64>;

    /// The network's output `[rows, outputs]` for scaled `inputs` `[rows, inputs]`.
    ///
    /// # Errors
    /// When the backend refuses.
    fn predict(&mut self, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()>;

    /// The parameters as they are now.
    ///
    /// # Errors
    /// When the backend refuses.
    fn parameters(&self) -> Result<Parameters>;
}
