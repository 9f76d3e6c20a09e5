//! Batch normalisation of NHWC activations with the ReLU and the residual that follow it.
//!
//! With y the input `[pixels, channels]`: `z = relu((y - mean) / sqrt(variance + eps) · weight + bias +
//! residual)`. Every processor gives the same bits, and so does every number of threads: sums are taken
//! over blocks of a fixed size, in their order.

pub(crate) mod kernels;
pub(crate) mod moments;
mod wide;

#[cfg(test)]
mod tests;

use crate::{
    isa::Isa,
    operand::{Normalized, Operand, Propagated},
};
use kernels::Factors;
use parallel::parallel_for;
use std::ops::Range;

/// The two numbers of PyTorch's `BatchNorm2d`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormOptions {
    /// Added to the variance.
    pub eps: f32,
    /// The weight of the newest batch in the running statistics.
    pub momentum: f32,
}

/// What inference normalises with, which training follows.
#[derive(Debug)]
pub struct Running<'a> {
    /// `[channels]`
    pub mean: &'a mut [f32],
    /// Unbiased, `[channels]`.
    pub variance: &'a mut [f32],
}

/// What follows the normalisation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Then<'a> {
    /// Added before the ReLU: as many elements as the input.
    pub residual: Option<&'a [f32]>,
    /// Whether negative results become 0.
    pub relu: bool,
}

/// A plan of one layer, with what its backward pass needs to know of the forward pass.
#[derive(Debug)]
pub struct BatchNorm {
    isa: Isa,
    pixels: usize,
    channels: usize,
    options: BatchNormOptions,
    mean: Vec<f32>,
    variance: Vec<f32>,
    /// Rows of factors: the scale and the shift of the forward pass and the mean, which the backward pass reads; then
    /// the two of [`Factors`].
    rows: [Vec<f32>; 5],
    /// Of each block a record of [`moments`], or of [`Reduction`].
    partials: Vec<f32>,
}

impl BatchNorm {
    /// Plans a layer of `channels` for a batch of `pixels`.
    pub fn new(pixels: usize, channels: usize, options: BatchNormOptions) -> Self {
        Self::on(Isa::chosen(), pixels, channels, options)
    }

    /// As [`Self::new`], with the instructions of `isa`: for tests and measurements.
    ///
    /// # Panics
    /// When a size is 0.
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
            partials: vec![0.0; blocks * moments::record_len(channels)],
        }
    }

    /// Takes the statistics of a batch `y`, and moves the running ones towards them.
    ///
    /// # Panics
    /// When a length does not fit the plan.
    pub fn measure(&mut self, y: &[f32], running: Running<'_>) {
        let (isa, channels) = (self.isa, self.channels);
        self.check(y.len());
        let record = moments::record_len(channels);
        let blocks = y.chunks(wide::block(channels)).zip(self.partials.chunks_exact_mut(record));
        parallel_for(blocks, |(y, record)| moments::moments(isa, y, channels, record));
        let count = moments::combine(&self.partials, channels, &mut self.mean, &mut self.variance);
        self.follow(count, running);
    }

    /// As [`Self::measure`], from what [`crate::conv::Conv::forward_measured`] wrote.
    ///
    /// # Panics
    /// When a length does not fit the plan.
    pub fn measured(&mut self, moments: &[f32], running: Running<'_>) {
        assert_eq!(moments.len() % moments::record_len(self.channels), 0, "records of {} channels", self.channels);
        let count = moments::combine(moments, self.channels, &mut self.mean, &mut self.variance);
        self.follow(count, running);
    }

    fn follow(&self, count: f64, running: Running<'_>) {
        assert_eq!([running.mean.len(), running.variance.len()], [self.channels; 2], "channels");
        // Of one pixel there is no unbiased variance; PyTorch refuses such a batch.
        let unbiased = (count / (count - 1.0).max(1.0)) as f32;
        let momentum = self.options.momentum;
        let follow = |old: &mut f32, new: f32| *old = (1.0 - momentum) * *old + momentum * new;
        running.mean.iter_mut().zip(&self.mean).for_each(|(old, &new)| follow(old, new));
        running.variance.iter_mut().zip(&self.variance).for_each(|(old, &new)| follow(old, new * unbiased));
    }

    /// Lets the layer normalise with given statistics, as in inference.
    ///
    /// # Panics
    /// When there are not as many as channels.
    pub fn assume(&mut self, mean: &[f32], variance: &[f32]) {
        self.mean.copy_from_slice(mean);
        self.variance.copy_from_slice(variance);
    }

    /// `z` from `y`, with the statistics of [`Self::measure`] or [`Self::assume`].
    ///
    /// # Panics
    /// When a length does not fit the plan.
    pub fn forward(&mut self, y: &[f32], weight: &[f32], bias: &[f32], then: Then<'_>, z: &mut [f32]) {
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

    /// What [`Self::forward`] does before it comes to the pixels; [`Self::normalized`] is the rest.
    ///
    /// # Panics
    /// When there are not as many weights or biases as channels.
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

    /// What [`Self::forward`] makes of `y` without a residual, for who reads it piece by piece; after [`Self::prepare`].
    ///
    /// # Panics
    /// When a length does not fit the plan.
    pub fn normalized<'a>(&'a self, y: &'a [f32], relu: bool) -> Operand<'a> {
        self.check(y.len());
        let [scale, shift, ..] = &self.rows;
        Operand::Normalized(Normalized { isa: self.isa, y, scale, shift, relu })
    }

    /// The gradients of the weight and the bias, in place of what they held, and of y, from the gradient
    /// `delta` of z, after [`Self::measure`] and [`Self::forward`]. The gradient of y goes to `out`, or else
    /// replaces `delta`.
    ///
    /// # Panics
    /// When a length does not fit the plan.
    pub fn backward(&mut self, batch: Batch<'_>, delta: &mut [f32], out: Option<&mut [f32]>) {
        let (y, relu) = (batch.y, matches!(batch.after, After::Relu));
        self.reduce(batch, delta);
        self.propagate(y, delta, relu, out);
    }

    /// The gradient of y from that of the result, as [`Self::backward`] gives it; after [`Self::reduce`], which may have
    /// changed `delta`. With `relu` as for [`After::Relu`].
    ///
    /// # Panics
    /// When a length does not fit the plan.
    pub fn propagate(&self, y: &[f32], delta: &mut [f32], relu: bool, out: Option<&mut [f32]>) {
        self.check(y.len());
        assert_eq!(delta.len(), y.len(), "elements of the gradient");
        let block = wide::block(self.channels);
        match out {
            Some(out) => {
                let gradient = self.propagated(y, delta, relu);
                assert_eq!(out.len(), y.len(), "elements of the gradient");
                parallel_for(out.chunks_mut(block).enumerate(), |(i, out)| {
                    gradient.read(i * block..i * block + out.len(), out);
                });
            }
            None => {
                let (isa, factors) = (self.isa, self.factors());
                let blocks = y.chunks(block).zip(delta.chunks_mut(block));
                parallel_for(blocks, |(y, delta)| kernels::propagate_in_place(isa, y, delta, factors, relu));
            }
        }
    }

    /// What [`Self::backward`] does before the gradient of y; [`Self::propagated`] is the rest.
    ///
    /// # Panics
    /// When a length does not fit the plan.
    pub fn reduce(&mut self, batch: Batch<'_>, delta: &mut [f32]) {
        let Batch { y, after, weight_gradient, bias_gradient } = batch;
        assert_eq!(delta.len(), y.len(), "elements of the gradient");
        let mut partials = std::mem::take(&mut self.partials);
        let (reduction, block) = (self.reduction(y, after), wide::block(self.channels));
        let blocks = delta.chunks_mut(block).zip(partials.chunks_exact_mut(moments::record_len(self.channels)));
        parallel_for(blocks.enumerate(), |(i, (delta, record))| {
            reduction.take(i * block..i * block + delta.len(), delta, record);
        });
        self.reduced(&partials, weight_gradient, bias_gradient);
        self.partials = partials;
    }

    /// The sums that [`Self::reduce`] begins with, for who writes the gradient piece by piece; after the forward pass.
    ///
    /// # Panics
    /// When a length does not fit the plan.
    pub fn reduction<'a>(&'a self, y: &'a [f32], after: After<'a>) -> Reduction<'a> {
        self.check(y.len());
        let [scale, shift, mean, ..] = &self.rows;
        Reduction { isa: self.isa, channels: self.channels, y, after, scale, shift, mean }
    }

    /// As [`Self::reduce`], from the `records` of a [`Reduction`].
    ///
    /// # Panics
    /// When a length does not fit the plan.
    pub fn reduced(&mut self, records: &[f32], weight_gradient: &mut [f32], bias_gradient: &mut [f32]) {
        let (count, channels) = (self.pixels as f32, self.channels);
        let (width, record) = (wide::width(channels), moments::record_len(channels));
        assert_eq!([weight_gradient.len(), bias_gradient.len()], [channels; 2], "channels");
        assert_eq!(records.len() % record, 0, "records of {channels} channels");
        let [scale, .., b, c] = &mut self.rows;
        for i in 0..channels {
            let records = records.chunks_exact(record);
            let sum = |row: usize| records.clone().map(|r| f64::from(r[1 + row * width + i])).sum::<f64>() as f32;
            let inverse = inverse(self.variance[i], self.options.eps);
            bias_gradient[i] = sum(0);
            weight_gradient[i] = sum(1) * inverse;
            b[i] = -scale[i] * inverse * weight_gradient[i] / count;
            c[i] = -scale[i] * bias_gradient[i] / count - self.mean[i] * b[i];
        }
        wide::spread(b, channels);
        wide::spread(c, channels);
    }

    /// As [`Self::propagate`], for who reads it piece by piece.
    ///
    /// # Panics
    /// When a length does not fit the plan.
    pub fn propagated<'a>(&'a self, y: &'a [f32], delta: &'a [f32], relu: bool) -> Operand<'a> {
        self.check(y.len());
        assert_eq!(delta.len(), y.len(), "elements of the gradient");
        Operand::Propagated(Propagated { isa: self.isa, y, delta, factors: self.factors(), relu })
    }

    fn factors(&self) -> Factors<'_> {
        let [scale, shift, _, b, c] = &self.rows;
        Factors { scale, shift, b, c }
    }

    fn check(&self, len: usize) {
        assert_eq!(len, self.pixels * self.channels, "elements of the input");
    }
}

/// What the backward pass reads of a batch, and where the gradients of the parameters go.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The input of the forward pass.
    pub y: &'a [f32],
    /// What followed in the forward pass.
    pub after: After<'a>,
    /// `[channels]`
    pub weight_gradient: &'a mut [f32],
    /// `[channels]`
    pub bias_gradient: &'a mut [f32],
}

/// What followed the normalisation, as the backward pass wants to know it.
#[derive(Debug, Clone, Copy)]
pub enum After<'a> {
    /// No ReLU.
    Linear,
    /// A ReLU on the normalised input alone: what it let through is computed again, from y, which is read anyway.
    Relu,
    /// A residual and a ReLU, which made the output `z`. `delta` becomes 0 where z is not positive: what is left
    /// in it is also the gradient of the residual.
    ResidualRelu {
        /// As many elements as the input.
        z: &'a [f32],
    },
}

/// The sums over a gradient that a norm's backward pass begins with, and what a residual's ReLU does to it.
#[derive(Debug, Clone, Copy)]
pub struct Reduction<'a> {
    isa: Isa,
    pub(crate) channels: usize,
    y: &'a [f32],
    after: After<'a>,
    scale: &'a [f32],
    shift: &'a [f32],
    mean: &'a [f32],
}

impl Reduction<'_> {
    /// Writes the record of a piece of the gradient, which is best still in a cache and lies at `range` of all of it: a
    /// count, which nobody reads, then a row of sums and one of sums of products with the distances from the mean.
    pub(crate) fn take(&self, range: Range<usize>, delta: &mut [f32], record: &mut [f32]) {
        let Self { isa, channels, after, scale, shift, mean, .. } = *self;
        if let After::ResidualRelu { z } = after {
            kernels::mask(isa, &z[range.clone()], delta);
        }
        record.fill(0.0);
        let (sums, products) = record[1..].split_at_mut(wide::width(channels));
        let relu = matches!(after, After::Relu).then_some([scale, shift]);
        kernels::add_gradients(isa, &self.y[range], delta, mean, relu, sums, products);
        wide::fold(sums, channels);
        wide::fold(products, channels);
    }
}

/// 1 / √(variance + eps), in f64 on the way, as it decides every element.
fn inverse(variance: f32, eps: f32) -> f32 {
    (1.0 / (f64::from(variance) + f64::from(eps)).sqrt()) as f32
}
