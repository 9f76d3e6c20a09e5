//! Convolutions.

use super::{
    operation::{Backward, Operation, Target, Values, Workspace, room},
    topology::Step,
};
use kernels::{
    conv::{Conv, ConvShape, ConvShapeError},
    matmul::sum_rows,
};
use std::ops::Range;

pub(super) struct ConvStep {
    conv: Conv,
    weight: Range<usize>,
    learned: bool,
    bias: Option<Range<usize>>,
    /// Where the norm after it looks for the moments of its result.
    moments: Option<usize>,
}

impl ConvStep {
    pub fn new(step: &Step, index: usize, rows: usize, stride: usize, padding: usize) -> Result<Self, ConvShapeError> {
        let image = |shape: &[usize]| [shape[0], shape[1], shape[2]];
        let ([inputs, height, width], [outputs, ..]) = (image(&step.shapes[0]), image(&step.shapes[1]));
        let shape = ConvShape { images: rows, height, width, inputs, outputs, kernel: step.kernel, stride, padding };
        Ok(Self {
            conv: Conv::new(shape)?,
            weight: step.tensors[0].clone(),
            learned: step.learned,
            bias: step.tensors.get(1).cloned(),
            moments: step.partner.map(|_| index),
        })
    }

    fn scratch<'a>(&self, scratch: &'a mut Vec<f32>) -> &'a mut [f32] {
        room(scratch, self.conv.scratch_len(rayon::current_num_threads()))
    }
}

impl Operation for ConvStep {
    fn forward(&mut self, [x, _]: [&[f32]; 2], y: &mut [f32], values: &mut Values<'_>, workspace: &mut Workspace) {
        let Workspace { packed, scratch, moments } = workspace;
        let packed = room(packed, self.conv.packed_forward_len());
        let scratch = self.scratch(scratch);
        self.conv.pack_forward(&values.get()[self.weight.clone()], packed);
        match (self.moments, &values) {
            (Some(index), Values::Learning(_)) => {
                let moments = &mut moments[index];
                moments.resize(self.conv.moments_len(), 0.0);
                self.conv.forward_measured(x, packed, y, moments, scratch);
            }
            _ => self.conv.forward(x, packed, y, scratch),
        }
        if let Some(bias) = &self.bias {
            let bias = &values.get()[bias.clone()];
            y.chunks_exact_mut(bias.len()).for_each(|pixel| pixel.iter_mut().zip(bias).for_each(|(y, b)| *y += b));
        }
    }

    fn backward(&mut self, pass: Backward<'_>, [target, _]: [Target<'_>; 2], workspace: &mut Workspace) {
        let Backward { inputs: [x, _], delta, values, gradients, .. } = pass;
        let Workspace { packed, scratch, .. } = workspace;
        let scratch = self.scratch(scratch);
        if self.learned {
            self.conv.backward_weights(x, delta, &mut gradients[self.weight.clone()], scratch);
        }
        if let Some(bias) = &self.bias {
            sum_rows(delta, &mut gradients[bias.clone()]);
        }
        if let Target::To { gradient, accumulate } = target {
            let packed = room(packed, self.conv.packed_backward_len());
            self.conv.pack_backward(&values[self.weight.clone()], packed);
            self.conv.backward_input(delta, packed, gradient, accumulate, scratch);
        }
    }
}
