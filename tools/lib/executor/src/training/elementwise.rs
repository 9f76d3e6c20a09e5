//! Elementwise operations and flattening.

use super::{
    norm::FusedNorm,
    operation::{Backward, Forward, GradInput, Inputs, Operation, Workspace},
    row_shape::RowShape,
};
use kernels::Activation;
use parallel::parallel_for;

/// Elements of a task.
const BLOCK: usize = 1 << 14;

pub(super) struct ActivationStep(pub Activation);

impl Operation for ActivationStep {
    fn forward(&mut self, pass: Forward<'_>, _: &mut [FusedNorm], _: &mut Workspace) {
        let Forward { inputs: Inputs { x, .. }, output: y, .. } = pass;
        parallel_for(x.chunks(BLOCK).zip(y.chunks_mut(BLOCK)), |(x, y)| {
            y.copy_from_slice(x);
            self.0.apply(y);
        });
    }

    fn backward(
        &mut self,
        pass: Backward<'_>,
        [grad_input, _]: [GradInput<'_>; 2],
        _: &mut [FusedNorm],
        _: &mut Workspace,
    ) {
        let Backward { inputs: Inputs { x, .. }, output, grad_output, .. } = pass;
        activation_backward(self.0, x, output, grad_output);
        pass_gradient(grad_output, grad_input);
    }
}

/// Multiplies `grad` by the derivative. Where the function's inputs are not stored, `inputs` is empty.
pub(super) fn activation_backward(activation: Activation, inputs: &[f32], outputs: &[f32], grad: &mut [f32]) {
    if activation == Activation::Identity {
        return;
    }
    let blocks = outputs.chunks(BLOCK).zip(grad.chunks_mut(BLOCK)).enumerate();
    parallel_for(blocks, |(i, (outputs, grad))| {
        let inputs = inputs.get(i * BLOCK..).map_or(&[][..], |rest| &rest[..outputs.len().min(rest.len())]);
        activation.backward(inputs, outputs, grad);
    });
}

pub(super) struct ScaleStep(pub f32);

impl Operation for ScaleStep {
    fn forward(&mut self, pass: Forward<'_>, _: &mut [FusedNorm], _: &mut Workspace) {
        let Forward { inputs: Inputs { x, .. }, output: y, .. } = pass;
        parallel_for(x.chunks(BLOCK).zip(y.chunks_mut(BLOCK)), |(x, y)| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = self.0 * x);
        });
    }

    fn backward(
        &mut self,
        pass: Backward<'_>,
        [grad_input, _]: [GradInput<'_>; 2],
        _: &mut [FusedNorm],
        _: &mut Workspace,
    ) {
        parallel_for(pass.grad_output.chunks_mut(BLOCK), |grad_output| {
            grad_output.iter_mut().for_each(|d| *d *= self.0)
        });
        pass_gradient(pass.grad_output, grad_input);
    }
}

pub(super) struct AddStep;

impl Operation for AddStep {
    fn forward(&mut self, pass: Forward<'_>, _: &mut [FusedNorm], _: &mut Workspace) {
        let Forward { inputs: Inputs { x: a, residual: b, .. }, output: sum, .. } = pass;
        let blocks = a.chunks(BLOCK).zip(b.chunks(BLOCK)).zip(sum.chunks_mut(BLOCK));
        parallel_for(blocks, |((a, b), sum)| sum.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum = a + b));
    }

    fn backward(
        &mut self,
        pass: Backward<'_>,
        grad_inputs: [GradInput<'_>; 2],
        _: &mut [FusedNorm],
        _: &mut Workspace,
    ) {
        grad_inputs.into_iter().for_each(|grad_input| pass_gradient(pass.grad_output, grad_input));
    }
}

/// NHWC to `[rows, channels · height · width]`, channel by channel, as PyTorch's `flatten` of NCHW.
pub(super) struct FlattenStep(pub RowShape);

impl Operation for FlattenStep {
    fn forward(&mut self, pass: Forward<'_>, _: &mut [FusedNorm], _: &mut Workspace) {
        let Forward { inputs: Inputs { x, .. }, output: y, .. } = pass;
        self.0.nhwc_to_nchw(x, y);
    }

    fn backward(
        &mut self,
        pass: Backward<'_>,
        [grad_input, _]: [GradInput<'_>; 2],
        _: &mut [FusedNorm],
        workspace: &mut Workspace,
    ) {
        let GradInput::Write { buffer, accumulate } = grad_input else { return };
        if accumulate {
            let own = workspace.scratch.room(buffer.len());
            self.0.nchw_to_nhwc(pass.grad_output, own);
            add(buffer, own, true);
        } else {
            self.0.nchw_to_nhwc(pass.grad_output, buffer);
        }
    }
}

/// Writes or adds `grad_output` to the gradient of an input, whose elements are those of the output.
fn pass_gradient(grad_output: &[f32], grad_input: GradInput<'_>) {
    if let GradInput::Write { buffer, accumulate } = grad_input {
        add(buffer, grad_output, accumulate);
    }
}

/// `to += from`, or `to = from` without `accumulate`.
pub(super) fn add(to: &mut [f32], from: &[f32], accumulate: bool) {
    parallel_for(to.chunks_mut(BLOCK).zip(from.chunks(BLOCK)), |(to, from)| {
        if accumulate {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        } else {
            to.copy_from_slice(from);
        }
    });
}
