//! Pooling.

use super::{
    norm::FusedNorm,
    operation::{Backward, Forward, GradInput, Inputs, Operation, Workspace},
};
use kernels::pool::Pool;

pub(super) enum PoolStep {
    Max(Pool),
    Average(Pool),
}

impl Operation for PoolStep {
    fn forward(&mut self, pass: Forward<'_>, _: &mut [FusedNorm], _: &mut Workspace) {
        let Forward { inputs: Inputs { x, .. }, output: y, .. } = pass;
        match self {
            Self::Max(pool) => pool.max(x, y),
            Self::Average(pool) => pool.average(x, y),
        }
    }

    fn backward(
        &mut self,
        pass: Backward<'_>,
        [grad_input, _]: [GradInput<'_>; 2],
        _: &mut [FusedNorm],
        _: &mut Workspace,
    ) {
        let GradInput::Write { buffer, accumulate } = grad_input else { return };
        match self {
            Self::Max(pool) => pool.max_backward(pass.inputs.x, pass.grad_output, buffer, accumulate),
            Self::Average(pool) => pool.average_backward(pass.grad_output, buffer, accumulate),
        }
    }
}
