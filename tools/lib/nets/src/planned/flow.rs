//! The memory plan of the backward pass: which buffer holds the gradient of each step's output.

use super::topology::{Source, Step};
use crate::graph::Op;

/// Buffers of the gradients with respect to the outputs of steps. A buffer is reused as soon as its gradient is consumed.
pub(super) struct Flow {
    /// For each step, the buffer with the gradient of its output.
    pub buffer: Vec<usize>,
    /// For each step, the destination of the gradients of its inputs.
    pub routes: Vec<[Route; 2]>,
    /// For each buffer, its elements a row.
    pub widths: Vec<usize>,
}

/// Destination of the gradient of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Not needed.
    Nowhere,
    /// Overwrites the gradient of the output.
    InPlace,
    /// Written to a buffer, or added to it.
    To { buffer: usize, accumulate: bool },
}

impl Flow {
    pub fn new(steps: &[Step]) -> Self {
        let mut buffer = vec![None; steps.len()];
        let mut routes = vec![[Route::Nowhere; 2]; steps.len()];
        let mut buffers = Buffers::default();
        for i in (0..steps.len()).rev() {
            let step = &steps[i];
            let wanted = buffer[i].is_some() || i + 1 == steps.len();
            if !wanted {
                continue;
            }
            // The loss writes the gradient of the last step's output.
            let own = *buffer[i].get_or_insert_with(|| buffers.take(step.width()));
            for (k, source) in step.inputs.iter().enumerate() {
                let Source::Step(before) = *source else { continue };
                if !steps[before].learns {
                    continue;
                }
                routes[i][k] = match buffer[before] {
                    Some(buffer) => Route::To { buffer, accumulate: true },
                    None if step.hands_on(k) => {
                        buffer[before] = Some(own);
                        Route::InPlace
                    }
                    None => {
                        let taken = buffers.take(steps[before].width());
                        buffer[before] = Some(taken);
                        Route::To { buffer: taken, accumulate: false }
                    }
                };
            }
            // With a fused norm, the convolution before it shares the buffer, and so may the step of the summand.
            if !buffer[..i].contains(&Some(own)) {
                buffers.free.push(own);
            }
        }
        let buffer = buffer.into_iter().map(Option::unwrap_or_default).collect();
        Self { buffer, routes, widths: buffers.widths }
    }
}

impl Step {
    /// Whether the gradient of this input may overwrite that of the output. The second input of a norm (the summand of a
    /// residual block) gets the masked gradient itself, and so does either input of a sum. Where a norm's `grad_input` is
    /// fused into the convolution before it, the buffer still holds `grad_output`.
    fn hands_on(&self, input: usize) -> bool {
        match self.op {
            Op::Norm { .. } => input + 1 == self.inputs.len() || self.left.gradient,
            Op::Activation(_) | Op::Scale { .. } => true,
            Op::Add => input == 1,
            Op::Conv { .. } | Op::Linear { .. } | Op::MaxPool { .. } | Op::AveragePool { .. } | Op::Flatten => false,
        }
    }
}

#[derive(Default)]
struct Buffers {
    widths: Vec<usize>,
    free: Vec<usize>,
}

impl Buffers {
    /// The smallest free buffer that is large enough, else the largest that is free, else a new one.
    fn take(&mut self, width: usize) -> usize {
        let fits = self.free.iter().enumerate().filter(|(_, i)| self.widths[**i] >= width);
        let smallest = fits.min_by_key(|(_, i)| self.widths[**i]).map(|(place, _)| place);
        let largest = || self.free.iter().enumerate().max_by_key(|(_, i)| self.widths[**i]).map(|(place, _)| place);
        let taken = match smallest.or_else(largest) {
            Some(place) => self.free.swap_remove(place),
            None => {
                self.widths.push(0);
                self.widths.len() - 1
            }
        };
        self.widths[taken] = self.widths[taken].max(width);
        taken
    }
}
