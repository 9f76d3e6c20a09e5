//! Elementwise operations and flattening.

use super::{
    layout::RowShape,
    operation::{Backward, Forward, Operation, Target, Workspace},
};
use crate::Activation;
use parallel::parallel_for;

/// Elements of a task.
const BLOCK: usize = 1 << 14;

pub(super) struct ActivationStep(pub Activation);

impl Operation for ActivationStep {
    fn forward(&mut self, pass: Forward<'_>, _: &mut Workspace) {
        let Forward { inputs: [x, _], output: y, .. } = pass;
        parallel_for(x.chunks(BLOCK).zip(y.chunks_mut(BLOCK)), |(x, y)| {
            y.copy_from_slice(x);
            self.0.apply(y);
        });
    }

    fn backward(&mut self, pass: Backward<'_>, [target, _]: [Target<'_>; 2], _: &mut Workspace) {
        let Backward { inputs: [x, _], output, delta, .. } = pass;
        let blocks = x.chunks(BLOCK).zip(output.chunks(BLOCK)).zip(delta.chunks_mut(BLOCK));
        parallel_for(blocks, |((x, y), delta)| self.0.backward(x, y, delta));
        hand_on(delta, target);
    }
}

pub(super) struct ScaleStep(pub f32);

impl Operation for ScaleStep {
    fn forward(&mut self, pass: Forward<'_>, _: &mut Workspace) {
        let Forward { inputs: [x, _], output: y, .. } = pass;
        parallel_for(x.chunks(BLOCK).zip(y.chunks_mut(BLOCK)), |(x, y)| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = self.0 * x);
        });
    }

    fn backward(&mut self, pass: Backward<'_>, [target, _]: [Target<'_>; 2], _: &mut Workspace) {
        parallel_for(pass.delta.chunks_mut(BLOCK), |delta| delta.iter_mut().for_each(|d| *d *= self.0));
        hand_on(pass.delta, target);
    }
}

pub(super) struct AddStep;

impl Operation for AddStep {
    fn forward(&mut self, pass: Forward<'_>, _: &mut Workspace) {
        let Forward { inputs: [a, b], output: sum, .. } = pass;
        let blocks = a.chunks(BLOCK).zip(b.chunks(BLOCK)).zip(sum.chunks_mut(BLOCK));
        parallel_for(blocks, |((a, b), sum)| sum.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum = a + b));
    }

    fn backward(&mut self, pass: Backward<'_>, targets: [Target<'_>; 2], _: &mut Workspace) {
        targets.into_iter().for_each(|target| hand_on(pass.delta, target));
    }
}

/// NHWC to `[rows, channels · height · width]`, channel by channel, as PyTorch's `flatten` of NCHW.
pub(super) struct FlattenStep(pub RowShape);

impl Operation for FlattenStep {
    fn forward(&mut self, pass: Forward<'_>, _: &mut Workspace) {
        let Forward { inputs: [x, _], output: y, .. } = pass;
        self.0.nhwc_to_nchw(x, y);
    }

    fn backward(&mut self, pass: Backward<'_>, [target, _]: [Target<'_>; 2], workspace: &mut Workspace) {
        let Target::To { gradient, accumulate } = target else { return };
        if accumulate {
            let own = workspace.scratch.room(gradient.len());
            self.0.nchw_to_nhwc(pass.delta, own);
            add(gradient, own, true);
        } else {
            self.0.nchw_to_nhwc(pass.delta, gradient);
        }
    }
}

/// Writes or adds `grad_output` to the gradient of an input.
fn hand_on(delta: &[f32], target: Target<'_>) {
    if let Target::To { gradient, accumulate } = target {
        add(gradient, delta, accumulate);
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
