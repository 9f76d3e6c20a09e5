//! Batch normalisation, with the sum and the ReLU that follow it.

use super::{
    elementwise::add,
    operation::{Backward, Operation, Target, Values, Workspace, room},
    topology::Step,
};
use kernels::norm::{After, Batch, BatchNorm, BatchNormOptions, Running, Then};
use std::ops::Range;

pub(super) struct NormStep {
    norm: BatchNorm,
    scale: Range<usize>,
    shift: Range<usize>,
    mean: Range<usize>,
    variance: Range<usize>,
    relu: bool,
    /// The convolution that has measured the input.
    measured: Option<usize>,
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
            measured: step.partner,
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
    fn forward(
        &mut self,
        [x, residual]: [&[f32]; 2],
        z: &mut [f32],
        values: &mut Values<'_>,
        workspace: &mut Workspace,
    ) {
        self.measure(x, values, workspace);
        let values = values.get();
        let then = Then { residual: (!residual.is_empty()).then_some(residual), relu: self.relu };
        self.norm.forward(x, &values[self.scale.clone()], &values[self.shift.clone()], then, z);
    }

    fn backward(&mut self, pass: Backward<'_>, [target, residual]: [Target<'_>; 2], workspace: &mut Workspace) {
        let Backward { inputs: [y, summand], output, delta, gradients, .. } = pass;
        let [weight_gradient, bias_gradient] = both(gradients, &self.scale, &self.shift);
        let after = match (self.relu, summand.is_empty()) {
            (false, _) => After::Linear,
            (true, true) => After::Relu,
            (true, false) => After::ResidualRelu { z: output },
        };
        let batch = Batch { y, after, weight_gradient, bias_gradient };
        match target {
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
}

/// Two tensors of one buffer, to be written.
fn both<'a>(values: &'a mut [f32], one: &Range<usize>, other: &Range<usize>) -> [&'a mut [f32]; 2] {
    values.get_disjoint_mut([one.clone(), other.clone()]).expect("tensors of a layout do not overlap")
}
