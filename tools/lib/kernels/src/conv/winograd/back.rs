//! `grad_input` of each block, computed while its `grad_output` is in cache.

use super::pass::Pass;
use crate::{
    conv::{GradInput, chunks::Chunk},
    epilogue::Store,
    isa::Isa,
    norm::{Reduction, statistics},
};
use std::mem::take;

/// Consecutive blocks that are still to be computed.
pub(super) struct Back<'a> {
    pass: &'a Pass,
    packed: &'a [f32],
    accumulate: bool,
    target: &'a mut [f32],
    reduction: Option<Reduction<'a>>,
    /// The partial sums of the reduction, by block.
    partials: &'a mut [f32],
}

impl<'a> Back<'a> {
    pub fn new(pass: &'a Pass, wanted: GradInput<'a>) -> Self {
        let GradInput { packed, grad_input: target, accumulate, reduction } = wanted;
        let (reduction, partials) = reduction.unzip();
        Self { pass, packed, accumulate, target, reduction, partials: partials.unwrap_or_default() }
    }

    /// Splits off the first `images` images, which are `blocks` blocks.
    pub fn split_off(&mut self, images: usize, blocks: usize) -> Self {
        let partial_len = self.reduction.map_or(0, |reduction| statistics::partial_len(reduction.channels));
        let (target, rest) = take(&mut self.target).split_at_mut(images * self.pass.target.image_len());
        self.target = rest;
        let (partials, rest) = take(&mut self.partials).split_at_mut(blocks * partial_len);
        self.partials = rest;
        Self { target, partials, ..*self }
    }

    /// Computes the next block, from its images of `grad_output`.
    pub fn make(&mut self, isa: Isa, chunk: Chunk, grad_output: &[f32], tiles: &mut [f32]) {
        let Self { pass, packed, accumulate, reduction, target, partials } = self.split_off(chunk.images, 1);
        pass.run_block(isa, chunk, grad_output, packed, target, &Store::adding(accumulate), tiles);
        if let Some(reduction) = reduction {
            reduction.take(chunk.images(pass.target.image_len()), target, partials);
        }
    }
}
