//! Batch normalization, fused with the sum and the ReLU after it.

use super::{
    elementwise::add,
    operation::{Backward, Forward, Operation, Target, Values, Workspace},
    topology::{Left, Step},
};
use kernels::{
    Operand,
    norm::{BackwardPass, BatchNorm, BatchNormOptions, Epilogue, ForwardEpilogue, Reduction, RunningStatistics},
};
use std::ops::Range;

pub(super) struct NormStep {
    norm: BatchNorm,
    scale: Range<usize>,
    shift: Range<usize>,
    mean: Range<usize>,
    variance: Range<usize>,
    relu: bool,
    /// Whether a summand (second input) is added before the ReLU.
    summed: bool,
    /// Index of the convolution whose epilogue computes the batch statistics of the input.
    measured: Option<usize>,
    left: Left,
    /// Index of this step in [`Workspace::records`].
    index: usize,
}

impl NormStep {
    pub fn new(step: &Step, index: usize, rows: usize, options: BatchNormOptions) -> Self {
        let channels = step.shapes[0][0];
        let pixels = rows * step.width() / channels;
        let tensor = |i: usize| step.tensors[i].clone();
        Self {
            norm: BatchNorm::new(pixels, channels, options),
            scale: tensor(0),
            shift: tensor(1),
            mean: tensor(2),
            variance: tensor(3),
            relu: step.relu,
            summed: step.inputs.len() > 1,
            measured: step.partner,
            left: step.left,
            index,
        }
    }

    /// Sets mean and variance: those of the batch in training, updating the running ones; else the running ones.
    fn measure(&mut self, x: &[f32], values: &mut Values<'_>, workspace: &Workspace) {
        match values {
            Values::Learning(values) => {
                let [mean, variance] = both(values, &self.mean, &self.variance);
                let running = RunningStatistics { mean, variance };
                match self.measured {
                    Some(conv) => self.norm.combine_statistics(&workspace.moments[conv], running),
                    None => self.norm.compute_statistics(x, running),
                }
            }
            Values::Fixed(values) => {
                self.norm.set_statistics(&values[self.mean.clone()], &values[self.variance.clone()])
            }
        }
    }

    /// Prologue of the convolution after it: its output, computed from its input `y` on the fly.
    pub fn output<'a>(&'a self, y: &'a [f32]) -> Operand<'a> {
        self.norm.normalized(y, self.relu)
    }

    /// Epilogue of the backward pass of the convolution after it: partial sums over the gradient of its output `z`.
    pub fn reduction<'a>(&'a self, y: &'a [f32], z: &'a [f32]) -> Reduction<'a> {
        self.norm.reduction(y, self.after(z))
    }

    /// Prologue of the backward pass of the convolution before it: `grad_input` from `grad_output` (`delta`) on the fly.
    pub fn input_gradient<'a>(&'a self, y: &'a [f32], delta: &'a [f32]) -> Operand<'a> {
        self.norm.grad_input_operand(y, delta, self.masks())
    }

    fn after<'a>(&self, z: &'a [f32]) -> ForwardEpilogue<'a> {
        match (self.relu, self.summed) {
            (false, _) => ForwardEpilogue::Linear,
            (true, false) => ForwardEpilogue::Relu,
            (true, true) => ForwardEpilogue::ResidualRelu { z },
        }
    }

    /// Whether `grad_output` is still to be masked by the ReLU. With a summand, the pass over the sums has masked it.
    fn masks(&self) -> bool {
        self.relu && !self.summed
    }
}

impl Operation for NormStep {
    fn forward(&mut self, pass: Forward<'_>, workspace: &mut Workspace) {
        let Forward { inputs: [x, residual], output: z, mut values, .. } = pass;
        self.measure(x, &mut values, workspace);
        let [weight, bias] = [&self.scale, &self.shift].map(|range| &values.get()[range.clone()]);
        if self.left.result {
            self.norm.prepare(weight, bias);
        } else {
            let then = Epilogue { residual: (!residual.is_empty()).then_some(residual), relu: self.relu };
            self.norm.forward(x, weight, bias, then, z);
        }
    }

    fn backward(&mut self, pass: Backward<'_>, [target, residual]: [Target<'_>; 2], workspace: &mut Workspace) {
        let Backward { inputs: [y, _], output, delta, gradients, .. } = pass;
        let [grad_weight, grad_bias] = both(gradients, &self.scale, &self.shift);
        if self.left.sums.is_some() {
            self.norm.finish_reduction(&workspace.records[self.index], grad_weight, grad_bias);
        } else {
            self.norm.reduce(BackwardPass { y, epilogue: self.after(output), grad_weight, grad_bias }, delta);
        }
        match target {
            _ if self.left.gradient => (),
            Target::To { gradient, accumulate: false } => self.norm.grad_input(y, delta, self.masks(), Some(gradient)),
            Target::To { gradient, accumulate: true } => {
                let own = workspace.scratch.room(delta.len());
                self.norm.grad_input(y, delta, self.masks(), Some(own));
                add(gradient, own, true);
            }
            Target::InPlace => self.norm.grad_input(y, delta, self.masks(), None),
            Target::Nowhere => (),
        }
        // The summand gets the masked gradient.
        if let Target::To { gradient, accumulate } = residual {
            add(gradient, delta, accumulate);
        }
    }

    fn norm(&self) -> Option<&NormStep> {
        Some(self)
    }
}

/// Two disjoint tensors of one buffer, mutably.
fn both<'a>(values: &'a mut [f32], one: &Range<usize>, other: &Range<usize>) -> [&'a mut [f32]; 2] {
    values.get_disjoint_mut([one.clone(), other.clone()]).expect("tensors of a layout do not overlap")
}
