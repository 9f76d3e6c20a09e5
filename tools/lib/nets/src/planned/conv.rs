//! Convolutions.

use super::{
    buffer::Buffer,
    operation::{Backward, Before, Forward, Operation, Target, Values, Workspace},
    topology::Step,
};
use kernels::{
    Operand,
    conv::{Conv, ConvShape, ConvShapeError, GradInput},
    gemm::sum_rows,
};
use std::ops::Range;

pub(super) struct ConvStep {
    conv: Conv,
    weight: Range<usize>,
    learned: bool,
    bias: Option<Range<usize>>,
    /// Index in [`Workspace::moments`] of the batch statistics of its output, if the norm after it takes them.
    moments: Option<usize>,
}

impl ConvStep {
    pub fn new(step: &Step, index: usize, shape: ConvShape) -> Result<Self, ConvShapeError> {
        Ok(Self {
            conv: Conv::new(shape)?,
            weight: step.tensors[0].clone(),
            learned: step.learned,
            bias: step.tensors.get(1).cloned(),
            moments: step.partner.map(|_| index),
        })
    }

    fn scratch<'a>(&self, scratch: &'a mut Buffer) -> &'a mut [f32] {
        scratch.room(self.conv.workspace_len(rayon::current_num_threads()))
    }
}

/// The input of a convolution: `x`, or the fused output of the norm before it (prologue).
fn input<'a>(x: &'a [f32], before: Option<&Before<'a>>) -> Operand<'a> {
    let before = before.filter(|before| before.result);
    before.map_or(Operand::Plain(x), |before| before.norm.output(before.input))
}

impl Operation for ConvStep {
    fn forward(&mut self, pass: Forward<'_>, workspace: &mut Workspace) {
        let Forward { inputs: [x, _], before, output: y, values } = pass;
        let Workspace { packed, scratch, moments, .. } = workspace;
        let x = input(x, before.as_ref());
        let packed = packed.room(self.conv.packed_forward_len());
        let scratch = self.scratch(scratch);
        self.conv.pack_forward(&values.get()[self.weight.clone()], packed);
        match (self.moments, &values) {
            (Some(index), Values::Learning(_)) => {
                let moments = &mut moments[index];
                moments.resize(self.conv.statistics_len(), 0.0);
                self.conv.forward_with_statistics(x, packed, y, moments, scratch);
            }
            _ => self.conv.forward(x, packed, y, scratch),
        }
        if let Some(bias) = &self.bias {
            let bias = &values.get()[bias.clone()];
            y.chunks_exact_mut(bias.len()).for_each(|pixel| pixel.iter_mut().zip(bias).for_each(|(y, b)| *y += b));
        }
    }

    fn backward(&mut self, pass: Backward<'_>, [target, _]: [Target<'_>; 2], workspace: &mut Workspace) {
        let Backward { inputs: [x, _], before, output: y, after, delta, values, gradients } = pass;
        let Workspace { packed, scratch, records, .. } = workspace;
        let scratch = self.scratch(scratch);
        let reduction = before.as_ref().filter(|before| before.sums).map(|before| {
            let records = &mut records[before.index];
            records.resize(self.conv.reduction_len(), 0.0);
            (before.norm.reduction(before.input, x), &mut records[..])
        });
        if let Some(bias) = &self.bias {
            sum_rows(delta, &mut gradients[bias.clone()]);
        }
        let wanted = match target {
            Target::To { gradient, accumulate } => {
                let packed = packed.room(self.conv.packed_backward_len());
                self.conv.pack_backward(&values[self.weight.clone()], packed);
                Some(GradInput { packed, grad_input: gradient, accumulate, reduction })
            }
            Target::Nowhere | Target::InPlace => None,
        };
        if self.learned {
            let x = input(x, before.as_ref());
            let delta = after.map_or(Operand::Plain(delta), |norm| norm.input_gradient(y, delta));
            self.conv.backward([x, delta], &mut gradients[self.weight.clone()], wanted, scratch);
        } else if let Some(GradInput { packed, grad_input, accumulate, .. }) = wanted {
            self.conv.backward_input(delta, packed, grad_input, accumulate, scratch);
        }
    }
}
