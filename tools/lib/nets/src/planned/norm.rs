//! Batch normalisation, with the sum and the ReLU that follow it.

use super::{
    elementwise::add,
    operation::{Backward, Forward, Operation, Target, Values, Workspace, room},
    topology::{Kept, Step},
};
use kernels::{
    Operand,
    norm::{After, Batch, BatchNorm, BatchNormOptions, Running, Then},
};
use std::ops::Range;

pub(super) struct NormStep {
    norm: BatchNorm,
    scale: Range<usize>,
    shift: Range<usize>,
    mean: Range<usize>,
    variance: Range<usize>,
    relu: bool,
    /// Whether a summand comes before the ReLU.
    sums: bool,
    /// The convolution that has measured the input.
    measured: Option<usize>,
    kept: Kept,
}

impl NormStep {
    pub fn new(step: &Step, rows: usize, options: BatchNormOptions) -> Self {
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
            sums: step.inputs.len() > 1,
            measured: step.partner,
            kept: step.kept,
        }
    }

    /// Takes the statistics of the batch, or those that are kept.
    fn measure(&mut self, x: &[f32], values: &mut Values<'_>, workspace: &Workspace) {
        match values {
            Values::Learning(values) => {
                let [mean, variance] = both(values, &self.mean, &self.variance);
                let running = Running { mean, variance };
                match self.measured {
                    Some(conv) => self.norm.measured(&workspace.moments[conv], running),
                    None => self.norm.measure(x, running),
                }
            }
            Values::Fixed(values) => self.norm.assume(&values[self.mean.clone()], &values[self.variance.clone()]),
        }
    }
}

impl Operation for NormStep {
    fn forward(&mut self, pass: Forward<'_>, workspace: &mut Workspace) {
        let Forward { inputs: [x, residual], output: z, mut values, .. } = pass;
        self.measure(x, &mut values, workspace);
        let [weight, bias] = [&self.scale, &self.shift].map(|range| &values.get()[range.clone()]);
        if self.kept.output {
            let then = Then { residual: (!residual.is_empty()).then_some(residual), relu: self.relu };
            self.norm.forward(x, weight, bias, then, z);
        } else {
            self.norm.prepare(weight, bias);
        }
    }

    fn backward(&mut self, pass: Backward<'_>, [target, residual]: [Target<'_>; 2], workspace: &mut Workspace) {
        let Backward { inputs: [y, _], output, delta, gradients, .. } = pass;
        let [weight_gradient, bias_gradient] = both(gradients, &self.scale, &self.shift);
        let after = match (self.relu, self.sums) {
            (false, _) => After::Linear,
            (true, false) => After::Relu,
            (true, true) => After::ResidualRelu { z: output },
        };
        let batch = Batch { y, after, weight_gradient, bias_gradient };
        match target {
            _ if !self.kept.input_gradient => self.norm.reduce(batch, delta),
            Target::To { gradient, accumulate: false } => self.norm.backward(batch, delta, Some(gradient)),
            Target::To { gradient, accumulate: true } => {
                let own = room(&mut workspace.scratch, delta.len());
                self.norm.backward(batch, delta, Some(own));
                add(gradient, own, true);
            }
            Target::InPlace => self.norm.backward(batch, delta, None),
            // The summand may still want what stands in delta.
            Target::Nowhere => self.norm.backward(batch, delta, Some(room(&mut workspace.scratch, y.len()))),
        }
        // What the ReLU let through is what the summand gets.
        if let Target::To { gradient, accumulate } = residual {
            add(gradient, delta, accumulate);
        }
    }

    fn output<'a>(&'a self, y: &'a [f32]) -> Operand<'a> {
        self.norm.normalized(y, self.relu)
    }

    fn input_gradient<'a>(&'a self, y: &'a [f32], delta: &'a [f32]) -> Operand<'a> {
        // With a summand the gradient is masked.
        self.norm.propagated(y, delta, self.relu && !self.sums)
    }
}

/// Two tensors of one buffer, to be written.
fn both<'a>(values: &'a mut [f32], one: &Range<usize>, other: &Range<usize>) -> [&'a mut [f32]; 2] {
    values.get_disjoint_mut([one.clone(), other.clone()]).expect("tensors of a layout do not overlap")
}
