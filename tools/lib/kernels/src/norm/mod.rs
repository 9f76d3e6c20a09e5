//! Batch normalization of NHWC activations, with a fused residual addition and ReLU.
//!
//! `z = relu((y - mean) / sqrt(variance + eps) · weight + bias + residual)` for the input y `[pixels, channels]`, where
//! `pixels` is `images · height · width`. The weight is the scale (γ), the bias the shift (β). Results are the same bits
//! on every processor and for any number of threads: sums are taken over blocks of a fixed size, in order.
//!
//! | tensor | shape |
//! |---|---|
//! | y, z, residual and their gradients | `[pixels, channels]` |
//! | weight, bias, `grad_weight`, `grad_bias`, mean, variance | `[channels]` |

pub(crate) mod kernels;
pub(crate) mod statistics;
mod wide;

#[cfg(test)]
mod tests;

use crate::{
    isa::Isa,
    operand::{NormGradInput, Normalized, Operand},
};
use kernels::Factors;
use parallel::parallel_for;
use std::ops::Range;

/// The hyper-parameters of PyTorch's `BatchNorm2d`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormOptions {
    /// Added to the variance; PyTorch's default is 1e-5.
    pub eps: f32,
    /// Weight of the batch statistics in the running ones, 0 to 1; PyTorch's default is 0.1.
    pub momentum: f32,
}

/// Running statistics, which inference normalizes with and training updates.
#[derive(Debug)]
pub struct RunningStatistics<'a> {
    /// `[channels]`
    pub mean: &'a mut [f32],
    /// `[channels]`, unbiased.
    pub variance: &'a mut [f32],
}

/// Operations fused after the normalization.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added before the ReLU; shaped as the input.
    pub residual: Option<&'a [f32]>,
    /// Whether a ReLU follows.
    pub relu: bool,
}

/// A plan of one layer, with the state that its backward pass needs from the forward pass.
#[derive(Debug)]
pub struct BatchNorm {
    isa: Isa,
    pixels: usize,
    channels: usize,
    options: BatchNormOptions,
    mean: Vec<f32>,
    variance: Vec<f32>,
    /// Rows of coefficients: scale, shift and mean of the forward pass, which the backward pass reads, then `b` and `c`
    /// of [`Factors`].
    rows: [Vec<f32>; 5],
    /// Of each block the partial [`statistics`], or the partial sums of a [`Reduction`].
    partials: Vec<f32>,
}

impl BatchNorm {
    /// Plans a layer for `[pixels, channels]`.
    ///
    /// # Panics
    /// If a size is 0.
    pub fn new(pixels: usize, channels: usize, options: BatchNormOptions) -> Self {
        Self::on(Isa::chosen(), pixels, channels, options)
    }

    /// As [`Self::new`], for a given instruction set: for tests and benchmarks.
    ///
    /// # Panics
    /// If a size is 0.
    pub fn on(isa: Isa, pixels: usize, channels: usize, options: BatchNormOptions) -> Self {
        assert!(pixels > 0 && channels > 0, "{pixels} pixels of {channels} channels");
        let blocks = (pixels * channels).div_ceil(wide::block(channels));
        let row = || vec![0.0; wide::width(channels)];
        Self {
            isa,
            pixels,
            channels,
            options,
            mean: vec![0.0; channels],
            variance: vec![0.0; channels],
            rows: [row(), row(), row(), row(), row()],
            partials: vec![0.0; blocks * statistics::partial_len(channels)],
        }
    }

    /// Computes the batch statistics of `y` and updates the running statistics.
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn compute_statistics(&mut self, y: &[f32], running: RunningStatistics<'_>) {
        let (isa, channels) = (self.isa, self.channels);
        self.check(y.len());
        let partial = statistics::partial_len(channels);
        let blocks = y.chunks(wide::block(channels)).zip(self.partials.chunks_exact_mut(partial));
        parallel_for(blocks, |(y, partial)| statistics::partial(isa, y, channels, partial));
        let count = statistics::combine(&self.partials, channels, &mut self.mean, &mut self.variance);
        self.update_running(count, running);
    }

    /// As [`Self::compute_statistics`], from the partial statistics of
    /// [`crate::conv::Conv::forward_with_statistics`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn combine_statistics(&mut self, statistics: &[f32], running: RunningStatistics<'_>) {
        assert_eq!(
            statistics.len() % statistics::partial_len(self.channels),
            0,
            "partials of {} channels",
            self.channels
        );
        let count = statistics::combine(statistics, self.channels, &mut self.mean, &mut self.variance);
        self.update_running(count, running);
    }

    fn update_running(&self, count: f64, running: RunningStatistics<'_>) {
        assert_eq!([running.mean.len(), running.variance.len()], [self.channels; 2], "channels");
        // Of one pixel there is no unbiased variance; PyTorch refuses such a batch.
        let unbiased = (count / (count - 1.0).max(1.0)) as f32;
        let momentum = self.options.momentum;
        let update = |old: &mut f32, new: f32| *old = (1.0 - momentum) * *old + momentum * new;
        running.mean.iter_mut().zip(&self.mean).for_each(|(old, &new)| update(old, new));
        running.variance.iter_mut().zip(&self.variance).for_each(|(old, &new)| update(old, new * unbiased));
    }

    /// Sets the statistics to normalize with, as for inference.
    ///
    /// # Panics
    /// If a length is not `channels`.
    pub fn set_statistics(&mut self, mean: &[f32], variance: &[f32]) {
        self.mean.copy_from_slice(mean);
        self.variance.copy_from_slice(variance);
    }

    /// Writes `z`, with the statistics of [`Self::compute_statistics`] or [`Self::set_statistics`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn forward(&mut self, y: &[f32], weight: &[f32], bias: &[f32], then: Epilogue<'_>, z: &mut [f32]) {
        self.check(y.len());
        assert_eq!(z.len(), y.len(), "elements of the output");
        self.prepare(weight, bias);
        let residual = then.residual.unwrap_or_default();
        assert!(then.residual.is_none() || residual.len() == y.len(), "elements of the residual");
        let [scale, shift, ..] = &self.rows;
        let (isa, block) = (self.isa, wide::block(self.channels));
        let blocks = y.chunks(block).zip(z.chunks_mut(block)).enumerate();
        parallel_for(blocks, |(i, (y, z))| {
            let residual = if residual.is_empty() { residual } else { &residual[i * block..][..y.len()] };
            kernels::normalize(isa, y, scale, shift, residual, then.relu, z);
        });
    }

    /// Computes each channel's scale and shift, the part of [`Self::forward`] before [`Self::normalized`].
    ///
    /// # Panics
    /// If a length is not `channels`.
    pub fn prepare(&mut self, weight: &[f32], bias: &[f32]) {
        assert_eq!([weight.len(), bias.len()], [self.channels; 2], "channels");
        let [scale, shift, mean, ..] = &mut self.rows;
        mean[..self.channels].copy_from_slice(&self.mean);
        for (c, (&weight, &bias)) in weight.iter().zip(bias).enumerate() {
            scale[c] = weight * inverse(self.variance[c], self.options.eps);
            shift[c] = bias - self.mean[c] * scale[c];
        }
        [scale, shift, mean].into_iter().for_each(|row| wide::spread(row, self.channels));
    }

    /// `z` without residual as an operand: the consumer applies the normalization as its prologue. After
    /// [`Self::prepare`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn normalized<'a>(&'a self, y: &'a [f32], relu: bool) -> Operand<'a> {
        self.check(y.len());
        let [scale, shift, ..] = &self.rows;
        Operand::Normalized(Normalized { isa: self.isa, y, scale, shift, relu })
    }

    /// Writes `grad_weight`, `grad_bias` and the gradient of y: to `out`, or if there is none in place of `grad_output`,
    /// the gradient of z. After [`Self::compute_statistics`] and [`Self::forward`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn backward(&mut self, pass: BackwardPass<'_>, grad_output: &mut [f32], out: Option<&mut [f32]>) {
        let (y, relu) = (pass.y, matches!(pass.epilogue, ForwardEpilogue::Relu));
        self.reduce(pass, grad_output);
        self.grad_input(y, grad_output, relu, out);
    }

    /// Writes the gradient of y, the second half of [`Self::backward`]. After [`Self::reduce`], which may have masked
    /// `grad_output`. `relu`: whether the epilogue was [`ForwardEpilogue::Relu`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn grad_input(&self, y: &[f32], grad_output: &mut [f32], relu: bool, out: Option<&mut [f32]>) {
        self.check(y.len());
        assert_eq!(grad_output.len(), y.len(), "elements of the gradient");
        let block = wide::block(self.channels);
        match out {
            Some(out) => {
                let gradient = self.grad_input_operand(y, grad_output, relu);
                assert_eq!(out.len(), y.len(), "elements of the gradient");
                parallel_for(out.chunks_mut(block).enumerate(), |(i, out)| {
                    gradient.read(i * block..i * block + out.len(), out);
                });
            }
            None => {
                let (isa, factors) = (self.isa, self.factors());
                let blocks = y.chunks(block).zip(grad_output.chunks_mut(block));
                parallel_for(blocks, |(y, grad_output)| {
                    kernels::propagate_in_place(isa, y, grad_output, factors, relu)
                });
            }
        }
    }

    /// Writes `grad_weight` and `grad_bias`, the first half of [`Self::backward`]; masks `grad_output` with
    /// [`ForwardEpilogue::ResidualRelu`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn reduce(&mut self, pass: BackwardPass<'_>, grad_output: &mut [f32]) {
        let BackwardPass { y, epilogue, grad_weight, grad_bias } = pass;
        assert_eq!(grad_output.len(), y.len(), "elements of the gradient");
        let mut partials = std::mem::take(&mut self.partials);
        let (reduction, block) = (self.reduction(y, epilogue), wide::block(self.channels));
        let blocks =
            grad_output.chunks_mut(block).zip(partials.chunks_exact_mut(statistics::partial_len(self.channels)));
        parallel_for(blocks.enumerate(), |(i, (grad_output, partial))| {
            reduction.take(i * block..i * block + grad_output.len(), grad_output, partial);
        });
        self.finish_reduction(&partials, grad_weight, grad_bias);
        self.partials = partials;
    }

    /// The sums of [`Self::reduce`] as an epilogue of the operation that writes the gradient of z. After the forward
    /// pass.
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn reduction<'a>(&'a self, y: &'a [f32], epilogue: ForwardEpilogue<'a>) -> Reduction<'a> {
        self.check(y.len());
        let [scale, shift, mean, ..] = &self.rows;
        Reduction { isa: self.isa, channels: self.channels, y, epilogue, scale, shift, mean }
    }

    /// As [`Self::reduce`], from the partial sums of a [`Reduction`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn finish_reduction(&mut self, partials: &[f32], grad_weight: &mut [f32], grad_bias: &mut [f32]) {
        let (count, channels) = (self.pixels as f32, self.channels);
        let (width, partial) = (wide::width(channels), statistics::partial_len(channels));
        assert_eq!([grad_weight.len(), grad_bias.len()], [channels; 2], "channels");
        assert_eq!(partials.len() % partial, 0, "partials of {channels} channels");
        let [scale, .., b, c] = &mut self.rows;
        for i in 0..channels {
            let partials = partials.chunks_exact(partial);
            let sum = |row: usize| partials.clone().map(|r| f64::from(r[1 + row * width + i])).sum::<f64>() as f32;
            let inverse = inverse(self.variance[i], self.options.eps);
            grad_bias[i] = sum(0);
            grad_weight[i] = sum(1) * inverse;
            b[i] = -scale[i] * inverse * grad_weight[i] / count;
            c[i] = -scale[i] * grad_bias[i] / count - self.mean[i] * b[i];
        }
        wide::spread(b, channels);
        wide::spread(c, channels);
    }

    /// The gradient of y as an operand: the consumer computes it as its prologue. After [`Self::reduce`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn grad_input_operand<'a>(&'a self, y: &'a [f32], grad_output: &'a [f32], relu: bool) -> Operand<'a> {
        self.check(y.len());
        assert_eq!(grad_output.len(), y.len(), "elements of the gradient");
        Operand::GradInput(NormGradInput { isa: self.isa, y, grad_output, factors: self.factors(), relu })
    }

    fn factors(&self) -> Factors<'_> {
        let [scale, shift, _, b, c] = &self.rows;
        Factors { scale, shift, b, c }
    }

    fn check(&self, len: usize) {
        assert_eq!(len, self.pixels * self.channels, "elements of the input");
    }
}

/// The operands of a backward pass.
#[derive(Debug)]
pub struct BackwardPass<'a> {
    /// The input of the forward pass.
    pub y: &'a [f32],
    /// The epilogue of the forward pass.
    pub epilogue: ForwardEpilogue<'a>,
    /// `[channels]`
    pub grad_weight: &'a mut [f32],
    /// `[channels]`
    pub grad_bias: &'a mut [f32],
}

/// The epilogue of the forward pass, as the backward pass needs it.
#[derive(Debug, Clone, Copy)]
pub enum ForwardEpilogue<'a> {
    /// No ReLU.
    Linear,
    /// A ReLU without residual. Its mask is recomputed from y, which is read anyway.
    Relu,
    /// A residual and a ReLU with output `z`. The reduction sets `grad_output` to 0 where z is not positive; what
    /// remains is also the gradient of the residual.
    ResidualRelu {
        /// The output; shaped as the input.
        z: &'a [f32],
    },
}

/// The sums over `grad_output` with which a backward pass starts, and the mask of a residual's ReLU.
#[derive(Debug, Clone, Copy)]
pub struct Reduction<'a> {
    isa: Isa,
    pub(crate) channels: usize,
    y: &'a [f32],
    epilogue: ForwardEpilogue<'a>,
    scale: &'a [f32],
    shift: &'a [f32],
    mean: &'a [f32],
}

impl Reduction<'_> {
    /// Writes the partial sums of a block of `grad_output`, at `range` of the whole: an unused count, a row of sums and a
    /// row of sums of products with `y - mean`. Fastest while the block is in a cache.
    pub(crate) fn take(&self, range: Range<usize>, grad_output: &mut [f32], partial: &mut [f32]) {
        let Self { isa, channels, epilogue, scale, shift, mean, .. } = *self;
        if let ForwardEpilogue::ResidualRelu { z } = epilogue {
            kernels::mask(isa, &z[range.clone()], grad_output);
        }
        partial.fill(0.0);
        let (sums, products) = partial[1..].split_at_mut(wide::width(channels));
        let relu = matches!(epilogue, ForwardEpilogue::Relu).then_some([scale, shift]);
        kernels::add_gradients(isa, &self.y[range], grad_output, mean, relu, sums, products);
        wide::fold(sums, channels);
        wide::fold(products, channels);
    }
}

/// 1 / √(variance + eps), computed in f64: its error scales every element.
fn inverse(variance: f32, eps: f32) -> f32 {
    (1.0 / (f64::from(variance) + f64::from(eps)).sqrt()) as f32
}
