//! Depthwise convolutions of quantized operands.
//!
//! Integers are computed in float32, where a sum of magnitudes up to 2²⁴ is exact in any order: [`DepthwiseWeights::new`] refuses others.

use super::{
    elementwise::dequantize_block,
    requantize::{Affine, Requantization, quantize_block, round},
};
use crate::{
    conv::DepthwiseConv,
    epilogue::{Activation, Epilogue, clamp},
    isa::{Isa, dispatch},
    windows::Windows,
};
use parallel::parallel_for_with_workspace;
use std::{ops::Range, sync::Arc};

/// Most elements of a block of the input, in float32: 128 KiB.
const BLOCK: usize = 1 << 15;
/// The largest integer up to which float32 has all.
const EXACT: i64 = 1 << 24;

/// Weights and bias of each channel.
#[derive(Debug)]
pub struct DepthwiseWeights {
    /// `[channels, kernel]`.
    weights: Vec<f32>,
    /// `[channels]`, and zeros up to a whole number of lines.
    bias: Vec<f32>,
    channels: usize,
    input: Affine,
}

impl DepthwiseWeights {
    /// Of `weights` `[channels, kernel]` and a bias `[channels]` in units of both scales, or an empty one. None if a sum might not be exact.
    ///
    /// # Panics
    /// If the bias has another length.
    pub fn new(weights: &[i8], channels: usize, bias: &[i32], input: Affine) -> Option<Self> {
        assert!(bias.is_empty() || bias.len() == channels, "a bias of {} for {channels} channels", bias.len());
        let zero = i64::from(input.zero_as_u8());
        let reach = zero.max(255 - zero);
        let taps = weights.len() / channels.max(1);
        for (channel, weights) in weights.chunks_exact(taps.max(1)).enumerate() {
            let largest: i64 = weights.iter().map(|&w| i64::from(w).abs()).sum();
            let bias = bias.get(channel).copied().map_or(0, i64::from);
            (largest.checked_mul(reach)? + bias.abs() <= EXACT).then_some(())?;
        }
        let mut floats: Vec<f32> = bias.iter().map(|&bias| bias as f32).collect();
        floats.resize(Epilogue::padded_len(channels), 0.0);
        Some(Self { weights: weights.iter().map(|&w| w.into()).collect(), bias: floats, channels, input })
    }

    /// Channels of input and output.
    pub fn channels(&self) -> usize {
        self.channels
    }
}

/// A plan of a depthwise convolution of NHWC integers.
#[derive(Debug)]
pub struct QuantizedDepthwise {
    windows: Windows,
    weights: Arc<DepthwiseWeights>,
    /// `[kernel, channels]`, in whole lines.
    packed: Vec<f32>,
    requantization: Requantization,
    /// Of a block: rows of zeros stand for the padding above and below.
    conv: DepthwiseConv,
    /// Rows of the output of a block.
    block: usize,
}

impl QuantizedDepthwise {
    /// Plans a convolution with weights whose kernel is that of the windows.
    pub fn new(windows: Windows, weights: Arc<DepthwiseWeights>, requantization: Requantization) -> Self {
        let row_len = (windows.input[1] * weights.channels * windows.stride[0]).max(1);
        let block = (BLOCK / row_len).clamp(1, windows.output[0].max(1));
        let conv = DepthwiseConv::new(
            Windows {
                images: 1,
                input: [windows.reach(0, block), windows.input[1]],
                output: [block, windows.output[1]],
                before: [0, windows.before[1]],
                ..windows
            },
            weights.channels,
        );
        let packed = conv.pack(&weights.weights);
        Self { windows, weights, packed, requantization, conv, block }
    }

    /// Elements of workspace for so many threads, in float32.
    pub fn workspace_len(&self, threads: usize) -> usize {
        threads.max(1) * self.thread_len()
    }

    fn thread_len(&self) -> usize {
        self.conv.input_len() + self.conv.output_len()
    }

    /// Multiply-adds of a run.
    pub fn cost(&self) -> usize {
        self.output_len().saturating_mul(self.windows.taps())
    }

    /// Whether the output is float32.
    pub fn is_float(&self) -> bool {
        self.requantization.is_float()
    }

    /// Bytes of the input.
    pub fn input_len(&self) -> usize {
        self.windows.images * self.windows.input_pixels() * self.weights.channels
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.windows.images * self.windows.output_pixels() * self.weights.channels
    }

    /// As [`super::QuantizedConv::integers`].
    ///
    /// # Panics
    /// If a length does not match the plan, or the output is of the other type.
    pub fn integers(&self, input: &[u8], residual: &[f32], output: &mut [u8], workspace: &mut [f32]) {
        assert!(!self.is_float(), "a convolution of float32");
        self.each_block(input, residual, output, workspace, |sums, output| {
            let Some(affine) = self.requantization.output else { return };
            if self.requantization.direct {
                integers_block(Isa::chosen(), &self.requantization, self.weights.channels, sums, output);
            } else {
                quantize_block(Isa::chosen(), affine, sums, output);
            }
        });
    }

    /// As [`super::QuantizedConv::floats`].
    ///
    /// # Panics
    /// As [`Self::integers`].
    pub fn floats(&self, input: &[u8], residual: &[f32], output: &mut [f32], workspace: &mut [f32]) {
        assert!(self.is_float(), "a convolution of integers");
        self.each_block(input, residual, output, workspace, |sums, output| output.copy_from_slice(sums));
    }

    /// Calls `work` with each block of the sums, if they become integers at once, or of what follows them, and of the output.
    fn each_block<T: Send>(
        &self,
        input: &[u8],
        residual: &[f32],
        output: &mut [T],
        workspace: &mut [f32],
        work: impl Fn(&[f32], &mut [T]) + Sync,
    ) {
        assert_eq!(input.len(), self.input_len(), "bytes of the input");
        assert_eq!(output.len(), self.output_len(), "elements of the output");
        assert!(residual.is_empty() || residual.len() == output.len(), "elements of the residual");
        let row_len = (self.windows.output[1] * self.weights.channels).max(1);
        let image_len = self.windows.input_pixels() * self.weights.channels;
        let images = output.chunks_mut((self.windows.output[0] * row_len).max(1)).enumerate();
        let blocks = images.flat_map(|(image, output)| {
            let blocks = output.chunks_mut(self.block * row_len).enumerate();
            blocks.map(move |(block, output)| (image, block * self.block, output))
        });
        parallel_for_with_workspace(blocks, workspace, self.thread_len(), |(image, row, output), workspace| {
            let (reals, sums) = workspace.split_at_mut(self.conv.input_len());
            let sums = &mut sums[..output.len()];
            let rows = row..row + output.len() / row_len;
            self.copy(&input[image * image_len..][..image_len], rows, reals);
            let epilogue = Epilogue { bias: &self.weights.bias, residual: &[], activation: Activation::Identity };
            self.conv.run_rows(reals, &self.packed, &epilogue, sums);
            if !self.requantization.direct {
                let at = (image * self.windows.output[0] + row) * row_len;
                let residual = residual.get(at..at + sums.len()).unwrap_or_default();
                scale_block(Isa::chosen(), &self.requantization, self.weights.channels, residual, sums);
                if self.requantization.activation.bounds().is_none() {
                    self.requantization.activation.apply(sums);
                }
            }
            work(sums, output);
        });
    }

    /// Integers less their zero point, of the rows that some rows of the output read.
    fn copy(&self, image: &[u8], rows: Range<usize>, reals: &mut [f32]) {
        let row_len = (self.windows.input[1] * self.weights.channels).max(1);
        let affine = Affine { scale: 1.0, ..self.weights.input };
        let first = rows.start * self.windows.stride[0];
        let height = self.windows.reach(0, rows.len());
        for (y, to) in reals.chunks_exact_mut(row_len).take(height).enumerate() {
            match (first + y).checked_sub(self.windows.before[0]).filter(|&y| y < self.windows.input[0]) {
                Some(y) => dequantize_block(Isa::chosen(), affine, &image[y * row_len..][..row_len], to),
                None => to.fill(0.0),
            }
        }
    }
}

dispatch! {
    fn scale_block(requantization: &Requantization, channels: usize, residual: &[f32], sums: &mut [f32]) => scale_kernel
}

#[inline(always)]
fn scale_kernel(requantization: &Requantization, channels: usize, residual: &[f32], sums: &mut [f32]) {
    let (scale, bias) = (requantization.scale.as_flattened(), requantization.bias.as_flattened());
    let [low, high] = requantization.bounds;
    for (pixel, sums) in sums.chunks_exact_mut(channels).enumerate() {
        for (x, scale) in sums.iter_mut().zip(scale) {
            *x *= scale;
        }
        for (x, bias) in sums.iter_mut().zip(bias) {
            *x += bias;
        }
        if !residual.is_empty() {
            for (x, residual) in sums.iter_mut().zip(&residual[pixel * channels..]) {
                *x += residual;
            }
        }
        for x in sums {
            *x = clamp(*x, low, high);
        }
    }
}

dispatch! {
    fn integers_block(requantization: &Requantization, channels: usize, sums: &[f32], out: &mut [u8]) => integers_kernel
}

#[inline(always)]
fn integers_kernel(requantization: &Requantization, channels: usize, sums: &[f32], out: &mut [u8]) {
    let zero = requantization.output.map_or(0, |output| output.zero_point);
    let [low, high] = requantization.bounds;
    let scale = &requantization.scale.as_flattened()[..channels];
    for (out, sums) in out.chunks_exact_mut(channels).zip(sums.chunks_exact(channels)) {
        for ((out, &sum), &scale) in out.iter_mut().zip(sums).zip(scale) {
            *out = round(clamp(sum * scale, low, high), zero);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::windowed_tests::{SHAPES, draw, reference};

    #[test]
    fn convolves_by_the_definition() {
        let inputs = [
            Affine { scale: 0.02, zero_point: 131, signed: false },
            Affine { scale: 0.1, zero_point: -7, signed: true },
        ];
        let output = Affine { scale: 0.25, zero_point: 3, signed: false };
        for (windows, input) in SHAPES.into_iter().flat_map(|windows| inputs.map(|input| (windows, input))) {
            let channels = 21;
            let byte = |x: f32| (x * 100.0) as i32 as u8;
            let bytes: Vec<u8> =
                draw(1, windows.images * windows.input_pixels() * channels).into_iter().map(byte).collect();
            let weights: Vec<i8> = draw(2, channels * windows.taps()).into_iter().map(|x| byte(x) as i8).collect();
            let bias: Vec<i32> = (0..channels as i32).map(|i| i * 100 - 900).collect();
            let value = |&byte: &u8| {
                let integer = if input.signed { i32::from(byte as i8) } else { i32::from(byte) };
                (integer - input.zero_point) as f32
            };
            let reals: Vec<f32> = bytes.iter().map(value).collect();
            let floats: Vec<f32> = weights.iter().map(|&w| w.into()).collect();
            let sums = reference(&windows, [channels, channels, channels], &reals, &floats);
            let scale: Vec<f32> = (0..channels).map(|i| 1e-3 * (1.0 + i as f32)).collect();
            let packed = Arc::new(DepthwiseWeights::new(&weights, channels, &bias, input).expect("exact sums"));
            let relu = Requantization::new(&scale, &[], false, Activation::Relu, Some(output));
            let conv = QuantizedDepthwise::new(windows, packed.clone(), relu);
            let mut out = vec![99; conv.output_len()];
            conv.integers(&bytes, &[], &mut out, &mut vec![f32::NAN; conv.workspace_len(2)]);
            for (i, (&byte, &sum)) in out.iter().zip(&sums).enumerate() {
                let steps = (sum + bias[i % channels] as f32) * (scale[i % channels] / output.scale);
                let expected = (steps.round_ties_even().max(0.0) + 3.0).min(255.0) as u8;
                assert_eq!(byte, expected, "{windows:?}, {input:?}, element {i}");
            }
            let residual = draw(3, sums.len());
            let shift = draw(4, channels);
            let tanh = Requantization::new(&scale, &shift, true, Activation::Tanh, None);
            let conv = QuantizedDepthwise::new(windows, packed, tanh);
            let mut out = vec![f32::NAN; conv.output_len()];
            conv.floats(&bytes, &residual, &mut out, &mut vec![f32::NAN; conv.workspace_len(1)]);
            let element = |i: usize| {
                let c = i % channels;
                (sums[i] + bias[c] as f32) * scale[c] + shift[c] + residual[i]
            };
            let mut expected: Vec<f32> = (0..sums.len()).map(element).collect();
            Activation::Tanh.apply(&mut expected);
            assert!(out == expected, "{windows:?}, {input:?}");
        }
        let input = inputs[0];
        assert!(DepthwiseWeights::new(&[127; 9], 1, &[1 << 24], input).is_none());
        assert!(DepthwiseWeights::new(&[127; 1100], 1, &[], input).is_none());
    }
}
