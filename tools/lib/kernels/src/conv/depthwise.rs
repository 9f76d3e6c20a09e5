//! Convolutions of each channel by itself, in NHWC: vectors over channels, tiles of neighbouring pixels.
//!
//! An element starts from 0; terms follow in row-major order of the kernel, each by a fused multiply-add, those that lie in padding
//! left out. Then bias, residual and activation.

use crate::{
    epilogue::Epilogue,
    gemm::tile::{read, write},
    isa::Isa,
    vector::{LANES, Line, Vector, dispatch_vector},
    windows::Windows,
};
use parallel::parallel_for;
use std::ops::Range;

/// Multiply-adds of a task, some tens of microseconds.
const TASK: usize = 1 << 20;

/// A plan of a depthwise convolution: as many output channels as input channels, one group each.
#[derive(Debug, Clone)]
pub struct DepthwiseConv {
    isa: Isa,
    windows: Windows,
    channels: usize,
    /// Of each element of the kernel from the first, in the input.
    offsets: Vec<usize>,
}

impl DepthwiseConv {
    /// Plans a convolution of NHWC images.
    pub fn new(windows: Windows, channels: usize) -> Self {
        Self::on(Isa::chosen(), windows, channels)
    }

    /// As [`Self::new`], for a given instruction set: for tests.
    fn on(isa: Isa, windows: Windows, channels: usize) -> Self {
        let [down, right] = windows.dilation;
        let offset = |tap: usize| {
            let [y, x] = [tap / windows.kernel[1], tap % windows.kernel[1]];
            (y * down * windows.input[1] + x * right) * channels
        };
        Self { isa, windows, channels, offsets: (0..windows.taps()).map(offset).collect() }
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.windows.images * self.windows.input_pixels() * self.channels
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.windows.images * self.windows.output_pixels() * self.channels
    }

    /// Multiply-adds of a run.
    pub fn cost(&self) -> usize {
        self.output_len().saturating_mul(self.windows.taps())
    }

    /// Packs `weights` `[channels, kernel]`: `[kernel, channels]`, and zeros up to whole lines.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn pack(&self, weights: &[f32]) -> Vec<f32> {
        let (taps, step) = (self.windows.taps(), Epilogue::padded_len(self.channels));
        assert_eq!(weights.len(), taps * self.channels, "weights of {} channels", self.channels);
        let mut packed = vec![0.0; taps * step];
        for (tap, line) in packed.chunks_exact_mut(step.max(1)).enumerate() {
            line.iter_mut().zip(weights[tap..].iter().step_by(taps)).for_each(|(to, from)| *to = *from);
        }
        packed
    }

    /// Writes `output` (NHWC) from `input` (NHWC) and the weights of [`Self::pack`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn run(&self, input: &[f32], packed: &[f32], epilogue: Epilogue<'_>, output: &mut [f32]) {
        let step = Epilogue::padded_len(self.channels);
        assert_eq!(input.len(), self.input_len(), "elements of the input");
        assert_eq!(output.len(), self.output_len(), "elements of the output");
        assert_eq!([packed.len(), epilogue.bias.len()], [self.windows.taps() * step, step], "packed weights and bias");
        assert!(epilogue.residual.is_empty() || epilogue.residual.len() == output.len(), "elements of the residual");
        let row_len = self.windows.output[1] * self.channels;
        let image_len = self.windows.input_pixels() * self.channels;
        let rows = (TASK / (row_len * self.windows.taps()).max(1)).max(1);
        let images = output.chunks_mut((self.windows.output[0] * row_len).max(1)).enumerate();
        let tasks = images.flat_map(|(image, output)| {
            let blocks = output.chunks_mut((rows * row_len).max(1)).enumerate();
            blocks.map(move |(block, output)| (image, block * rows, output))
        });
        parallel_for(tasks, |(image, row, output)| {
            let first = (image * self.windows.output[0] + row) * row_len;
            let epilogue = epilogue.part(first..first + output.len());
            rows_of(self.isa, self, &input[image * image_len..][..image_len], row, packed, &epilogue, output);
            epilogue.finish(self.isa, output);
        });
    }

    /// The first rows of the output, as many as it has, of one image.
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub(crate) fn run_rows(&self, image: &[f32], packed: &[f32], epilogue: &Epilogue<'_>, output: &mut [f32]) {
        let step = Epilogue::padded_len(self.channels);
        assert_eq!(image.len(), self.windows.input_pixels() * self.channels, "elements of the input");
        assert_eq!([packed.len(), epilogue.bias.len()], [self.windows.taps() * step, step], "packed weights and bias");
        rows_of(self.isa, self, image, 0, packed, epilogue, output);
        epilogue.finish(self.isa, output);
    }

    /// Elements of the kernel along an axis that lie on the input, for an index of the output.
    #[inline(always)]
    fn taps(&self, axis: usize, index: usize) -> Range<usize> {
        let w = &self.windows;
        let start = index * w.stride[axis];
        let before = |end: usize| end.saturating_sub(start).div_ceil(w.dilation[axis]).min(w.kernel[axis]);
        before(w.before[axis])..before(w.before[axis] + w.input[axis])
    }

    /// Indices of the output along the rows whose windows lie on the input.
    fn inside(&self) -> Range<usize> {
        let w = &self.windows;
        let extent = (w.kernel[1] - 1) * w.dilation[1] + 1;
        let first = w.before[1].div_ceil(w.stride[1]);
        let end = (w.input[1] + w.before[1]).checked_sub(extent).map_or(0, |last| last / w.stride[1] + 1);
        first.min(w.output[1])..end.clamp(first.min(w.output[1]), w.output[1])
    }
}

dispatch_vector! {
    fn rows_of(conv: &DepthwiseConv, image: &[f32], first: usize, packed: &[f32], epilogue: &Epilogue<'_>, output: &mut [f32]) => rows_kernel
}

/// Pixels of a row of the output.
struct Row<'a> {
    conv: &'a DepthwiseConv,
    image: &'a [f32],
    weights: &'a [Line],
    epilogue: &'a Epilogue<'a>,
    /// Index of the row, and where its elements begin in the output.
    y: usize,
    at: usize,
    bounds: [f32; 2],
}

#[inline(always)]
fn rows_kernel<V: Vector, const M: usize>(
    zero: V,
    conv: &DepthwiseConv,
    image: &[f32],
    first: usize,
    packed: &[f32],
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
) {
    let row_len = conv.windows.output[1] * conv.channels;
    let (inside, weights) = (conv.inside(), packed.as_chunks::<LANES>().0);
    // All rows of one line of channels: those that the next row reads again stay in the L1 cache.
    let rows = output.len() / row_len;
    let row =
        |y: usize| Row { conv, image, weights, epilogue, y: first + y, at: y * row_len, bounds: epilogue.bounds() };
    for line in 0..conv.channels / LANES {
        for y in 0..rows {
            line_of::<V, M, false>(zero, &row(y), line, inside.clone(), output);
        }
    }
    if !conv.channels.is_multiple_of(LANES) {
        for y in 0..rows {
            line_of::<V, M, true>(zero, &row(y), conv.channels / LANES, inside.clone(), output);
        }
    }
}

/// A line of channels of a row; with PART it is not whole.
#[inline(always)]
fn line_of<V: Vector, const M: usize, const PART: bool>(
    zero: V,
    row: &Row<'_>,
    line: usize,
    inside: Range<usize>,
    output: &mut [f32],
) {
    let width = row.conv.windows.output[1];
    let mut x = 0;
    while x < width {
        if inside.contains(&x) && inside.end - x >= 6 && M > 2 {
            tile::<V, 6, PART>(zero, row, line, x, output);
            x += 6;
        } else if inside.contains(&x) && inside.end - x >= 2 {
            tile::<V, 2, PART>(zero, row, line, x, output);
            x += 2;
        } else {
            tile::<V, 1, PART>(zero, row, line, x, output);
            x += 1;
        }
    }
}

/// N neighbouring pixels, which all have the same elements of the kernel on the input.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
fn tile<V: Vector, const N: usize, const PART: bool>(
    zero: V,
    row: &Row<'_>,
    line: usize,
    x: usize,
    output: &mut [f32],
) {
    let (w, channels) = (&row.conv.windows, row.conv.channels);
    let channel = line * LANES;
    let part = if PART { channels - channel } else { LANES };
    let (rows, columns) = (row.conv.taps(0, row.y), row.conv.taps(1, x));
    let mut sums = [zero; N];
    if columns.len() == w.kernel[1] {
        let taps = rows.start * w.kernel[1]..rows.end * w.kernel[1];
        sums = accumulate::<V, N, PART>(zero, row, taps, x, line, sums);
    } else {
        for y in rows {
            let taps = y * w.kernel[1] + columns.start..y * w.kernel[1] + columns.end;
            sums = accumulate::<V, N, PART>(zero, row, taps, x, line, sums);
        }
    }
    let Some(bias) = row.epilogue.bias.as_chunks::<LANES>().0.get(line) else { return };
    let (bias, low, high) = (zero.load(bias), zero.splat(row.bounds[0]), zero.splat(row.bounds[1]));
    let first = row.at + x * channels + channel;
    for n in 0..N {
        sums[n] = sums[n].add(bias);
    }
    if !row.epilogue.residual.is_empty() {
        for n in 0..N {
            let residual = &row.epilogue.residual[first + n * channels..];
            sums[n] = sums[n].add(read::<V, PART>(zero, residual, part));
        }
    }
    for n in 0..N {
        write::<V, PART>(sums[n].clamp(low, high), &mut output[first + n * channels..], part);
    }
}

/// Adds consecutive elements of the kernel, all of which lie on the input.
#[inline(always)]
#[allow(unsafe_code, reason = "a check of bounds for each load takes longer than what is computed of it")]
#[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
fn accumulate<V: Vector, const N: usize, const PART: bool>(
    zero: V,
    row: &Row<'_>,
    taps: Range<usize>,
    x: usize,
    line: usize,
    mut sums: [V; N],
) -> [V; N] {
    let (w, channels) = (&row.conv.windows, row.conv.channels);
    let (step, lines) = (w.stride[1] * channels, channels.div_ceil(LANES));
    let part = channels - line * LANES;
    // Wraps where the window begins in padding: offsets of the elements that lie on the input lead out of it.
    let pixel = (row.y * w.stride[0]).wrapping_sub(w.before[0]).wrapping_mul(w.input[1]);
    let pixel = pixel.wrapping_add(x * w.stride[1]).wrapping_sub(w.before[1]);
    let base = pixel.wrapping_mul(channels).wrapping_add(line * LANES);
    let offsets = &row.conv.offsets[taps.clone()];
    let weights = &row.weights[..w.taps() * lines];
    // Offsets ascend.
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return sums };
    let (first, last) = (base.wrapping_add(*first), base.wrapping_add(*last));
    let lanes = if PART { part } else { LANES };
    assert!(first <= last && last + (N - 1) * step + lanes <= row.image.len() && line < lines, "a window on the input");
    for (offset, tap) in offsets.iter().zip(taps) {
        // SAFETY: there are `lines` lines for each of `w.taps()` elements of the kernel; `tap` is less, as it indexes `offsets`.
        let weight = zero.load(unsafe { weights.get_unchecked(tap * lines + line) });
        let at = base.wrapping_add(*offset);
        for n in 0..N {
            let input = if PART {
                read::<V, true>(zero, &row.image[at + n * step..], part)
            } else {
                // SAFETY: `at` is at most `last`, so the line ends within the image, as was checked.
                let values = unsafe { row.image.get_unchecked(at + n * step..at + n * step + LANES) };
                values.first_chunk::<LANES>().map_or(zero, |line| zero.load(line))
            };
            sums[n] = input.mul_add(weight, sums[n]);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Activation,
        conv::windowed_tests::{SHAPES, draw, reference},
    };

    /// The bits of the plain loop, on every instruction set.
    #[test]
    fn gives_the_bits_of_the_plain_loop() {
        for (windows, channels) in SHAPES.into_iter().flat_map(|windows| [1, 16, 21, 48].map(|c| (windows, c))) {
            let input = draw(1, windows.images * windows.input_pixels() * channels);
            let weights = draw(2, channels * windows.taps());
            let sums = reference(&windows, [channels, channels, channels], &input, &weights);
            let residual = draw(3, sums.len());
            let mut bias = draw(4, channels);
            bias.resize(Epilogue::padded_len(channels), 0.0);
            for isa in Isa::supported() {
                for activation in [Activation::Identity, Activation::Clip(0.0, 6.0), Activation::LeakyRelu(0.1)] {
                    for residual in [&[][..], &residual] {
                        let element =
                            |i: usize| sums[i] + bias[i % channels] + residual.get(i).copied().unwrap_or_default();
                        let mut expected: Vec<f32> = (0..sums.len()).map(element).collect();
                        activation.apply(&mut expected);
                        let conv = DepthwiseConv::on(isa, windows, channels);
                        let mut output = vec![f32::NAN; conv.output_len()];
                        conv.run(
                            &input,
                            &conv.pack(&weights),
                            Epilogue { bias: &bias, residual, activation },
                            &mut output,
                        );
                        assert!(output == expected, "{windows:?}, {channels} channels, {isa}, {activation:?}");
                    }
                }
            }
        }
    }
}
