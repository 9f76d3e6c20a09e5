//! Linear layers.

use super::{
    operation::{Backward, Forward, Operation, Target, Workspace},
    topology::Step,
};
use kernels::gemm::{Matrix, matmul, sum_rows};
use parallel::parallel_for;
use std::ops::Range;

/// Rows of a matrix in one task.
const ROWS: usize = 64;

pub(super) struct LinearStep {
    inputs: usize,
    outputs: usize,
    weight: Range<usize>,
    bias: Range<usize>,
}

impl LinearStep {
    pub fn new(step: &Step) -> Self {
        let [weight, bias] = [step.tensors[0].clone(), step.tensors[1].clone()];
        Self { inputs: step.shapes[0][0], outputs: step.shapes[1][0], weight, bias }
    }
}

impl Operation for LinearStep {
    fn forward(&mut self, pass: Forward<'_>, _: &mut Workspace) {
        let Forward { inputs: [x, _], output: y, values, .. } = pass;
        let (weight, bias) = (&values.get()[self.weight.clone()], &values.get()[self.bias.clone()]);
        let weight = Matrix::new(weight, self.outputs, self.inputs);
        let blocks = x.chunks(ROWS * self.inputs).zip(y.chunks_mut(ROWS * self.outputs));
        parallel_for(blocks, |(x, y)| {
            y.chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias));
            let x = Matrix::new(x, x.len() / self.inputs, self.inputs);
            matmul(x, weight.transposed(), y, true);
        });
    }

    fn backward(&mut self, pass: Backward<'_>, [target, _]: [Target<'_>; 2], workspace: &mut Workspace) {
        let Backward { inputs: [x, _], delta, values, gradients, .. } = pass;
        let (delta, rows) = (&*delta, delta.len() / self.outputs);
        sum_rows(delta, &mut gradients[self.bias.clone()]);
        // [outputs, inputs]: deltaᵀ · x, by rows of outputs.
        let by_output = workspace.scratch.room(delta.len());
        for (output, by_output) in by_output.chunks_exact_mut(rows).enumerate() {
            let column = delta[output..].iter().step_by(self.outputs);
            by_output.iter_mut().zip(column).for_each(|(to, from)| *to = *from);
        }
        let x = Matrix::new(x, rows, self.inputs);
        let blocks = by_output.chunks(ROWS * rows);
        let blocks = blocks.zip(gradients[self.weight.clone()].chunks_mut(ROWS * self.inputs));
        parallel_for(blocks, |(delta, gradient)| {
            matmul(Matrix::new(delta, delta.len() / rows, rows), x, gradient, false);
        });
        if let Target::To { gradient, accumulate } = target {
            let weight = Matrix::new(&values[self.weight.clone()], self.outputs, self.inputs);
            let blocks = delta.chunks(ROWS * self.outputs).zip(gradient.chunks_mut(ROWS * self.inputs));
            parallel_for(blocks, |(delta, gradient)| {
                let delta = Matrix::new(delta, delta.len() / self.outputs, self.outputs);
                matmul(delta, weight, gradient, accumulate);
            });
        }
    }
}
