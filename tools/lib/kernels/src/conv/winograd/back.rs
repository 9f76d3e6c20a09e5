//! The gradient of the input, made piece by piece while that of the output is in a cache.

use super::pass::Pass;
use crate::{
    conv::{InputGradient, chunks::Chunk},
    isa::Isa,
    norm::{Reduction, moments},
};
use std::mem::take;

/// Some pieces that are still to be made, in their order.
pub(super) struct Back<'a> {
    pass: &'a Pass,
    packed: &'a [f32],
    accumulate: bool,
    target: &'a mut [f32],
    reduction: Option<Reduction<'a>>,
    /// Of each piece one, where there is a reduction.
    records: &'a mut [f32],
}

impl<'a> Back<'a> {
    pub fn new(pass: &'a Pass, wanted: InputGradient<'a>) -> Self {
        let InputGradient { packed, values: target, accumulate, then } = wanted;
        let (reduction, records) = then.unzip();
        Self { pass, packed, accumulate, target, reduction, records: records.unwrap_or_default() }
    }

    /// The first so many images, which are so many pieces; the others stay.
    pub fn split_off(&mut self, images: usize, pieces: usize) -> Self {
        let record_len = self.reduction.map_or(0, |reduction| moments::record_len(reduction.channels));
        let (target, rest) = take(&mut self.target).split_at_mut(images * self.pass.target.image_len());
        self.target = rest;
        let (records, rest) = take(&mut self.records).split_at_mut(pieces * record_len);
        self.records = rest;
        Self { target, records, ..*self }
    }

    /// Makes the next piece, from its images of the output's gradient.
    pub fn make(&mut self, isa: Isa, chunk: Chunk, delta: &[f32], tiles: &mut [f32]) {
        let Self { pass, packed, accumulate, reduction, target, records } = self.split_off(chunk.images, 1);
        pass.run_piece(isa, chunk, delta, packed, target, accumulate, tiles);
        if let Some(reduction) = reduction {
            reduction.take(chunk.images(pass.target.image_len()), target, records);
        }
    }
}
