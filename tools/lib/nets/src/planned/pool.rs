//! Pooling.

use super::operation::{Backward, Forward, Operation, Target, Workspace};
use kernels::pool::Pool;

pub(super) enum PoolStep {
    Max(Pool),
    Average(Pool),
}

impl Operation for PoolStep {
    fn forward(&mut self, pass: Forward<'_>, _: &mut Workspace) {
        let Forward { inputs: [x, _], output: y, .. } = pass;
        match self {
            Self::Max(pool) => pool.max(x, y),
            Self::Average(pool) => pool.average(x, y),
        }
    }

    fn backward(&mut self, pass: Backward<'_>, [target, _]: [Target<'_>; 2], _: &mut Workspace) {
        let Target::To { gradient, accumulate } = target else { return };
        match self {
            Self::Max(pool) => pool.max_backward(pass.inputs[0], pass.delta, gradient, accumulate),
            Self::Average(pool) => pool.average_backward(pass.delta, gradient, accumulate),
        }
    }
}
