//! The update loops of optimizers, element by element. The formulas and their order of evaluation are PyTorch's.
//!
//! All slices of one call have the same length: that of the parameters.

use crate::isa::{Isa, dispatch};
use parallel::parallel_for;

/// Up to so many elements are updated by the calling thread: waking another takes as long.
const SERIAL: usize = 1 << 16;
/// Elements of a task of a longer update.
const BLOCK: usize = 1 << 14;

/// Adam's hyper-parameters for one step.
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    /// The learning rate, divided by the bias correction of the first moment.
    pub step_size: f32,
    /// Decay rates of the moving averages of the gradient and of its square.
    pub betas: [f32; 2],
    /// Added to the denominator.
    pub eps: f32,
    /// 1 / √(bias correction of the second moment).
    pub root_scale: f32,
    /// L2 penalty: `weight_decay · parameter` is added to the gradient.
    pub weight_decay: f32,
    /// Decoupled weight decay (AdamW): the parameter is multiplied by it before the step; 1 for none.
    pub shrink: f32,
}

/// SGD's hyper-parameters for one step.
#[derive(Debug, Clone, Copy)]
pub struct Sgd {
    /// The learning rate.
    pub learning_rate: f32,
    /// Momentum of the velocity; 0 for none.
    pub momentum: f32,
    /// Whether momentum is Nesterov's.
    pub nesterov: bool,
    /// L2 penalty: `weight_decay · parameter` is added to the gradient.
    pub weight_decay: f32,
}

/// RMSprop's hyper-parameters for one step.
#[derive(Debug, Clone, Copy)]
pub struct RmsProp {
    /// The learning rate.
    pub learning_rate: f32,
    /// Decay rate of the mean square.
    pub alpha: f32,
    /// Added to the denominator.
    pub eps: f32,
    /// Momentum of the velocity; 0 for none.
    pub momentum: f32,
    /// L2 penalty: `weight_decay · parameter` is added to the gradient.
    pub weight_decay: f32,
}

/// One step of Adam or AdamW. `first` and `second` are the moving averages of the gradient and of its square.
pub fn adam(isa: Isa, o: Adam, parameters: &mut [f32], gradients: &[f32], first: &mut [f32], second: &mut [f32]) {
    let block = block(parameters.len());
    let state = first.chunks_mut(block).zip(second.chunks_mut(block));
    parallel_for(blocks(parameters, gradients).zip(state), |((parameters, gradients), (first, second))| {
        adam_dispatched(isa, o, parameters, gradients, first, second);
    });
}

/// One step of SGD. `velocity` is the momentum buffer.
pub fn sgd(isa: Isa, o: Sgd, parameters: &mut [f32], gradients: &[f32], velocity: &mut [f32]) {
    let block = block(parameters.len());
    parallel_for(
        blocks(parameters, gradients).zip(velocity.chunks_mut(block)),
        |((parameters, gradients), velocity)| {
            sgd_dispatched(isa, o, parameters, gradients, velocity);
        },
    );
}

/// One step of RMSprop. `square` is the moving average of the squared gradient, `velocity` the momentum buffer.
pub fn rms_prop(
    isa: Isa,
    o: RmsProp,
    parameters: &mut [f32],
    gradients: &[f32],
    square: &mut [f32],
    velocity: &mut [f32],
) {
    let block = block(parameters.len());
    let state = square.chunks_mut(block).zip(velocity.chunks_mut(block));
    parallel_for(blocks(parameters, gradients).zip(state), |((parameters, gradients), (square, velocity))| {
        rms_prop_dispatched(isa, o, parameters, gradients, square, velocity);
    });
}

/// Exponential moving average: `average = decay · average + (1 - decay) · values`
pub fn average(isa: Isa, decay: f32, average: &mut [f32], values: &[f32]) {
    parallel_for(blocks(average, values), |(average, values)| average_dispatched(isa, decay, average, values));
}

fn blocks<'a>(values: &'a mut [f32], others: &'a [f32]) -> impl Iterator<Item = (&'a mut [f32], &'a [f32])> {
    let block = block(values.len());
    values.chunks_mut(block).zip(others.chunks(block))
}

/// Elements of a task of an update of `len`.
fn block(len: usize) -> usize {
    if len <= SERIAL { SERIAL } else { BLOCK }
}

dispatch! {
    fn adam_dispatched(o: Adam, parameters: &mut [f32], gradients: &[f32], first: &mut [f32], second: &mut [f32]) => adam_kernel
}
dispatch! {
    fn sgd_dispatched(o: Sgd, parameters: &mut [f32], gradients: &[f32], velocity: &mut [f32]) => sgd_kernel
}
dispatch! {
    fn rms_prop_dispatched(o: RmsProp, parameters: &mut [f32], gradients: &[f32], square: &mut [f32], velocity: &mut [f32]) => rms_prop_kernel
}
dispatch! {
    fn average_dispatched(decay: f32, average: &mut [f32], values: &[f32]) => average_kernel
}

#[inline(always)]
fn adam_kernel(o: Adam, parameters: &mut [f32], gradients: &[f32], first: &mut [f32], second: &mut [f32]) {
    let [beta1, beta2] = o.betas;
    for (((p, &g), m), v) in parameters.iter_mut().zip(gradients).zip(first).zip(second) {
        *p *= o.shrink;
        let g = g + o.weight_decay * *p;
        *m = beta1 * *m + (1.0 - beta1) * g;
        *v = beta2 * *v + (1.0 - beta2) * g * g;
        *p -= o.step_size * *m / (v.sqrt() * o.root_scale + o.eps);
    }
}

#[inline(always)]
fn sgd_kernel(o: Sgd, parameters: &mut [f32], gradients: &[f32], velocity: &mut [f32]) {
    for ((p, &g), velocity) in parameters.iter_mut().zip(gradients).zip(velocity) {
        let g = g + o.weight_decay * *p;
        *velocity = o.momentum * *velocity + g;
        let direction = if o.nesterov { g + o.momentum * *velocity } else { *velocity };
        *p -= o.learning_rate * direction;
    }
}

#[inline(always)]
fn rms_prop_kernel(o: RmsProp, parameters: &mut [f32], gradients: &[f32], square: &mut [f32], velocity: &mut [f32]) {
    for (((p, &g), square), velocity) in parameters.iter_mut().zip(gradients).zip(square).zip(velocity) {
        let g = g + o.weight_decay * *p;
        *square = o.alpha * *square + (1.0 - o.alpha) * g * g;
        *velocity = o.momentum * *velocity + g / (square.sqrt() + o.eps);
        *p -= o.learning_rate * *velocity;
    }
}

#[inline(always)]
fn average_kernel(decay: f32, average: &mut [f32], values: &[f32]) {
    for (average, &value) in average.iter_mut().zip(values) {
        *average = decay * *average + (1.0 - decay) * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use random::Random;

    /// All instruction sets give the bits of the plain kernel, at lengths with and without a rest, on threads or not.
    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let adam_numbers =
            Adam { step_size: 1e-2, betas: [0.9, 0.999], eps: 1e-8, root_scale: 3.0, weight_decay: 0.1, shrink: 0.99 };
        let sgd_numbers = Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.01 };
        let rms_numbers = RmsProp { learning_rate: 0.1, alpha: 0.99, eps: 1e-8, momentum: 0.9, weight_decay: 0.01 };
        for length in [0, 1, 7, 8, 100, 1023, SERIAL + 9] {
            let mut random = Random::new(length as u64, 0);
            let mut draw = || (0..length).map(|_| random.normal() as f32).collect::<Vec<_>>();
            let (p, g, a) = (draw(), draw(), draw());
            let b: Vec<f32> = draw().iter().map(|x| x * x).collect();
            let run = |isa: Option<Isa>| {
                let mut all = vec![[p.clone(), a.clone(), b.clone()]; 4];
                let [first, second, third, fourth] = &mut all[..] else { unreachable!() };
                let [p, m, v] = first;
                match isa {
                    Some(isa) => adam(isa, adam_numbers, p, &g, m, v),
                    None => adam_kernel(adam_numbers, p, &g, m, v),
                }
                let [p, m, _] = second;
                match isa {
                    Some(isa) => sgd(isa, sgd_numbers, p, &g, m),
                    None => sgd_kernel(sgd_numbers, p, &g, m),
                }
                let [p, m, v] = third;
                match isa {
                    Some(isa) => rms_prop(isa, rms_numbers, p, &g, v, m),
                    None => rms_prop_kernel(rms_numbers, p, &g, v, m),
                }
                let [p, m, _] = fourth;
                match isa {
                    Some(isa) => average(isa, 0.99, p, m),
                    None => average_kernel(0.99, p, m),
                }
                all.concat().concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            };
            let plain = run(None);
            for isa in Isa::supported() {
                assert_eq!(run(Some(isa)), plain, "{isa}, {length}");
            }
        }
    }
}
