//! Linear layers.

use super::{
    fusion::Step,
    norm::FusedNorm,
    operation::{Backward, Forward, GradInput, Inputs, Operation, Workspace},
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
    fn forward(&mut self, pass: Forward<'_>, _: &mut [FusedNorm], _: &mut Workspace) {
        let Forward { inputs: Inputs { x, .. }, output: y, values, .. } = pass;
        let (weight, bias) = (&values.get()[self.weight.clone()], &values.get()[self.bias.clone()]);
        let weight = Matrix::new(weight, self.outputs, self.inputs);
        let blocks = x.chunks(ROWS * self.inputs).zip(y.chunks_mut(ROWS * self.outputs));
        parallel_for(blocks, |(x, y)| {
            y.chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias));
            let x = Matrix::new(x, x.len() / self.inputs, self.inputs);
            matmul(x, weight.transposed(), y, true);
        });
    }

    fn backward(
        &mut self,
        pass: Backward<'_>,
        [grad_input, _]: [GradInput<'_>; 2],
        _: &mut [FusedNorm],
        workspace: &mut Workspace,
    ) {
        let Backward { inputs: Inputs { x, .. }, grad_output, values, gradients, .. } = pass;
        let (grad_output, rows) = (&*grad_output, grad_output.len() / self.outputs);
        sum_rows(grad_output, &mut gradients[self.bias.clone()]);
        // grad_weight [outputs, inputs] = grad_outputᵀ · x, split by rows.
        let by_output = workspace.scratch.room(grad_output.len());
        for (output, by_output) in by_output.chunks_exact_mut(rows).enumerate() {
            let column = grad_output[output..].iter().step_by(self.outputs);
            by_output.iter_mut().zip(column).for_each(|(to, from)| *to = *from);
        }
        let x = Matrix::new(x, rows, self.inputs);
        let blocks = by_output.chunks(ROWS * rows);
        let blocks = blocks.zip(gradients[self.weight.clone()].chunks_mut(ROWS * self.inputs));
        parallel_for(blocks, |(grad_output, grad_weight)| {
            matmul(Matrix::new(grad_output, grad_output.len() / rows, rows), x, grad_weight, false);
        });
        if let GradInput::Write { buffer, accumulate } = grad_input {
            let weight = Matrix::new(&values[self.weight.clone()], self.outputs, self.inputs);
            let blocks = grad_output.chunks(ROWS * self.outputs).zip(buffer.chunks_mut(ROWS * self.inputs));
            parallel_for(blocks, |(grad_output, grad_input)| {
                let grad_output = Matrix::new(grad_output, grad_output.len() / self.outputs, self.outputs);
                matmul(grad_output, weight, grad_input, accumulate);
            });
        }
    }
}
