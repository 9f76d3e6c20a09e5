//! Running statistics of norms, updated away from the engine that has seen the batch.

use crate::{Graph, graph::Op};

/// Where running statistics start so that an engine leaves the batch's own share in them, bit for bit: `-0 + x` is `x`, of a
/// negative zero too.
pub const NO_STATISTIC: f32 = -0.0;

impl Graph {
    /// Updates the running statistics in `values`, the parameters, by those of one batch, as every engine does:
    /// `running = (1 - momentum) · running + momentum · batch`. `shares` are the running statistics that an engine has left
    /// where they were [`NO_STATISTIC`] before: `momentum · batch`.
    pub fn add_statistics(&self, values: &mut [f32], shares: &[f32]) {
        let start = self.layout.trainable();
        for node in &self.nodes {
            let Op::Norm { mean, variance, momentum, .. } = node.op else { continue };
            for tensor in [mean, variance] {
                let range = self.layout.tensors()[tensor].range.clone();
                let shares = &shares[range.start - start..range.end - start];
                for (running, share) in values[range].iter_mut().zip(shares) {
                    *running = (1.0 - momentum) * *running + share;
                }
            }
        }
    }
}
