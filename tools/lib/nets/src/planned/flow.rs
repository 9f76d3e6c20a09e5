//! How gradients flow back: which buffer holds each, and what writes it first.

use super::topology::{Source, Step};
use crate::graph::Op;

/// Where the gradients of the steps' results are kept. Buffers are used again as soon as they are free.
pub(super) struct Flow {
    /// Of each step, the buffer with the gradient of its result.
    pub buffer: Vec<usize>,
    /// Of each step, what becomes of the gradients of its inputs.
    pub routes: Vec<[Route; 2]>,
    /// Of each buffer, the most numbers a row that it holds.
    pub widths: Vec<usize>,
}

/// What becomes of an input's gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Nothing wants it.
    Nowhere,
    /// It takes the place of the result's.
    InPlace,
    /// It is written to a buffer, or added to what that holds.
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
            // The last step's gradient comes from the loss.
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
            // What a norm leaves to the convolution before it, a summand's step may have as well.
            if !buffer[..i].contains(&Some(own)) {
                buffers.free.push(own);
            }
        }
        let buffer = buffer.into_iter().map(Option::unwrap_or_default).collect();
        Self { buffer, routes, widths: buffers.widths }
    }
}

impl Step {
    /// Whether the gradient of its input can take the place of that of its result. Of two inputs, the second
    /// of a norm gets the masked gradient itself, and so does either of a sum. What a norm leaves to the convolution
    /// before it is still to be made of the gradient of its result.
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
