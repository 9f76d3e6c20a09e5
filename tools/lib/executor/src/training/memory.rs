//! The memory plan of the backward pass: which buffer holds the gradient of each step's output.

use super::{
    Op,
    fusion::{Fusion, NormFusion, Pass, Source, Step},
};
use crate::slots::Slots;

/// Buffers of the gradients with respect to the outputs of steps. A buffer is reused as soon as its gradient is consumed.
pub(super) struct MemoryPlan {
    /// For each step, the buffer with the gradient of its output.
    pub buffer: Vec<usize>,
    /// For each step, the destination of the gradients of its inputs.
    pub destinations: Vec<[Destination; 2]>,
    /// For each buffer, its elements a row.
    pub widths: Vec<usize>,
}

/// Destination of the gradient of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    /// Not needed.
    Discard,
    /// Overwrites the gradient of the output.
    InPlace,
    /// Written to a buffer, or added to it.
    Write { buffer: usize, accumulate: bool },
}

impl MemoryPlan {
    pub fn new(steps: &[Step]) -> Self {
        let mut buffer = vec![None; steps.len()];
        let mut destinations = vec![[Destination::Discard; 2]; steps.len()];
        let mut slots = Slots::default();
        for i in (0..steps.len()).rev() {
            let step = &steps[i];
            let needed = buffer[i].is_some() || i + 1 == steps.len();
            if !needed {
                continue;
            }
            // The loss writes the gradient of the last step's output.
            let own = *buffer[i].get_or_insert_with(|| slots.take(step.width()));
            for (k, source) in step.inputs.iter().enumerate() {
                let Source::Step(producer) = *source else { continue };
                if !steps[producer].needs_grad {
                    continue;
                }
                destinations[i][k] = match buffer[producer] {
                    Some(buffer) => Destination::Write { buffer, accumulate: true },
                    None if step.passes_gradient(k) => {
                        buffer[producer] = Some(own);
                        Destination::InPlace
                    }
                    None => {
                        let taken = slots.take(steps[producer].width());
                        buffer[producer] = Some(taken);
                        Destination::Write { buffer: taken, accumulate: false }
                    }
                };
            }
            // With a fused norm, the producer shares the buffer, and so may the step of the residual.
            if !buffer[..i].contains(&Some(own)) {
                slots.release(own);
            }
        }
        let buffer = buffer.into_iter().map(Option::unwrap_or_default).collect();
        Self { buffer, destinations, widths: slots.into_lens() }
    }
}

impl Step {
    /// Whether the gradient of this input may overwrite that of the output. The second input of a norm (the residual) gets the
    /// masked gradient itself, and so does either input of a sum. Where a norm's `grad_input` is fused into its producer, the
    /// buffer still holds `grad_output`.
    fn passes_gradient(&self, input: usize) -> bool {
        match self.op {
            Op::Norm { .. } => {
                let is_fused = matches!(self.fusion, Fusion::Norm(_, NormFusion { grad_input: Pass::Fused, .. }));
                input + 1 == self.inputs.len() || is_fused
            }
            Op::Activation(_) | Op::Scale { .. } => true,
            Op::Add => input == 1,
            Op::Conv { .. } | Op::Linear { .. } | Op::MaxPool { .. } | Op::AveragePool { .. } | Op::Flatten => false,
        }
    }
}
