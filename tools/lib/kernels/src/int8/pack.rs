//! Packed weights.

use super::{
    dot::{Engine, GROUP, LANES, WeightLine},
    requantize::Affine,
};
use crate::isa::Isa;

/// Lines of a panel.
pub(super) const LINES: usize = 4;

/// Weights of a product or a convolution, packed once, with the sums' starts: biases less what the inputs' zero point adds.
#[derive(Debug)]
pub struct QuantizedWeights {
    pub(super) engine: Engine,
    /// Bytes of a pixel of the input.
    pub(super) channels: usize,
    pub(super) outputs: usize,
    /// Runs of bytes that are consecutive in the input, and bytes of each.
    pub(super) runs: usize,
    pub(super) run_len: usize,
    /// `[panel, runs, groups of a run, lines of the panel]`; zeros beyond the last column and the run's end.
    pub(super) lines: Vec<WeightLine>,
    /// `[outputs]`, and zeros up to a whole number of lines.
    pub(super) starts: Vec<[i32; LANES]>,
    pub(super) input: Affine,
}

impl QuantizedWeights {
    /// Packs `weights` `[outputs, channels, kernel]` for inputs that are quantized as `input` says; `bias` is `[outputs]` of int32 in
    /// units of both scales, or empty. With `dilated`, elements of a row of the kernel are not neighbours in the input.
    ///
    /// None if a sum might not fit int32.
    ///
    /// # Panics
    /// If the lengths do not match.
    pub fn new(
        weights: &[i8],
        [outputs, channels]: [usize; 2],
        kernel: [usize; 2],
        dilated: bool,
        bias: &[i32],
        input: Affine,
    ) -> Option<Self> {
        Self::on(Engine::of(Isa::chosen()), weights, [outputs, channels], kernel, dilated, bias, input)
    }

    pub(super) fn on(
        engine: Engine,
        weights: &[i8],
        [outputs, channels]: [usize; 2],
        kernel: [usize; 2],
        dilated: bool,
        bias: &[i32],
        input: Affine,
    ) -> Option<Self> {
        let taps = kernel[0] * kernel[1];
        let depth = channels * taps;
        assert_eq!(weights.len(), outputs * depth, "weights of {outputs} outputs");
        assert!(bias.is_empty() || bias.len() == outputs, "a bias of {} for {outputs} outputs", bias.len());
        let (runs, run_len) = if dilated { (taps, channels) } else { (kernel[0], kernel[1] * channels) };
        let starts = starts(weights, outputs, depth, bias, input)?;
        let mut lines = Vec::with_capacity(runs * run_len.div_ceil(GROUP) * starts.len());
        for first in (0..outputs).step_by(LINES * LANES) {
            let panel_lines = (outputs - first).div_ceil(LANES).min(LINES);
            for run in 0..runs {
                for group in 0..run_len.div_ceil(GROUP) {
                    lines.extend((0..panel_lines).map(|line| {
                        std::array::from_fn(|i| {
                            let (column, k) = (first + line * LANES + i / GROUP, group * GROUP + i % GROUP);
                            let (tap, channel) = (run * (run_len / channels) + k / channels, k % channels);
                            let is_zero = column >= outputs || k >= run_len;
                            if is_zero { 0 } else { weights[column * depth + channel * taps + tap] }
                        })
                    }));
                }
            }
        }
        Some(Self { engine, channels, outputs, runs, run_len, lines, starts, input })
    }

    /// Columns of the product: output channels.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Terms of a sum.
    pub fn depth(&self) -> usize {
        self.runs * self.run_len
    }

    pub(super) fn groups(&self) -> usize {
        self.run_len.div_ceil(GROUP)
    }
}

/// What the sums start from; none if a sum might not fit.
fn starts(weights: &[i8], outputs: usize, depth: usize, bias: &[i32], input: Affine) -> Option<Vec<[i32; LANES]>> {
    let mut starts = vec![[0; LANES]; outputs.div_ceil(LANES)];
    let zero = i64::from(input.zero_as_u8());
    let reach = zero.max(255 - zero);
    for (column, weights) in weights.chunks_exact(depth.max(1)).take(outputs).enumerate() {
        let bias = bias.get(column).copied().map_or(0, i64::from);
        let total: i64 = weights.iter().map(|&w| i64::from(w)).sum();
        let largest: i64 = weights.iter().map(|&w| i64::from(w).abs()).sum();
        let fits = largest.checked_mul(reach)?.checked_add(bias.abs())? <= i64::from(i32::MAX);
        fits.then_some(())?;
        // Sums wrap: only the last one must fit.
        starts[column / LANES][column % LANES] = (bias - zero * total) as i32;
    }
    Some(starts)
}
