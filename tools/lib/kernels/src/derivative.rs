//! Derivatives of activation functions: the backward pass of a training step.

use crate::{
    Activation,
    epilogue::{clamp, sigmoid},
    gelu::gelu_backward_on,
    isa::{Isa, dispatch},
};

impl Activation {
    /// Whether [`Self::backward`] computes the derivative from the outputs alone, and does not read the inputs.
    pub fn derives_from_output(self) -> bool {
        match self {
            Self::Identity | Self::Relu | Self::Clip(..) | Self::Sigmoid | Self::Tanh | Self::HardSigmoid(..) => true,
            Self::LeakyRelu(_) | Self::Gelu | Self::Swish | Self::HardSwish => false,
        }
    }

    /// Multiplies each element of `grad` by the derivative. `inputs` and `outputs` are those of [`Self::apply`], of the same
    /// length; `inputs` may be empty if [`Self::derives_from_output`]. At a corner the derivative is PyTorch's: of a ReLU at 0
    /// it is 0.
    pub fn backward(self, inputs: &[f32], outputs: &[f32], grad: &mut [f32]) {
        self.backward_on(Isa::chosen(), inputs, outputs, grad);
    }

    /// As [`Self::backward`], on a given instruction set.
    pub(crate) fn backward_on(self, isa: Isa, inputs: &[f32], outputs: &[f32], grad: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Gelu => gelu_backward_on(isa, inputs, grad),
            _ if self.derives_from_output() => backward(isa, self, outputs, grad),
            _ => backward(isa, self, inputs, grad),
        }
    }
}

dispatch! {
    fn backward(activation: Activation, values: &[f32], grad: &mut [f32]) => kernel
}

/// `values` are the outputs or the inputs, whichever the derivative is computed from.
#[inline(always)]
fn kernel(activation: Activation, values: &[f32], grad: &mut [f32]) {
    match activation {
        Activation::Identity | Activation::Gelu => {}
        Activation::Relu => each(values, grad, |y, g| if y > 0.0 { g } else { 0.0 }),
        Activation::LeakyRelu(slope) => each(values, grad, |x, g| if x > 0.0 { g } else { slope * g }),
        Activation::Clip(low, high) => each(values, grad, |y, g| if y > low && y < high { g } else { 0.0 }),
        Activation::Sigmoid => each(values, grad, |y, g| g * (y * (1.0 - y))),
        Activation::Tanh => each(values, grad, |y, g| g * (1.0 - y * y)),
        Activation::Swish => each(values, grad, |x, g| {
            let share = sigmoid(x);
            g * (share + x * share * (1.0 - share))
        }),
        Activation::HardSigmoid(slope, _) => {
            each(values, grad, |y, g| if y > 0.0 && y < 1.0 { slope * g } else { 0.0 })
        }
        Activation::HardSwish => each(values, grad, |x, g| {
            let inside = x > -3.0 && x < 3.0;
            g * if inside { x * (1.0 / 3.0) + 0.5 } else { clamp(x, 0.0, 1.0) }
        }),
    }
}

#[inline(always)]
fn each(values: &[f32], grad: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    for (g, &value) in grad.iter_mut().zip(values) {
        *g = f(value, *g);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epilogue::tests::{ALL, reference};

    /// Where the function has a corner.
    fn corners(activation: Activation) -> Vec<f64> {
        match activation {
            Activation::Relu | Activation::LeakyRelu(_) => vec![0.0],
            Activation::Clip(low, high) => vec![low.into(), high.into()],
            Activation::HardSigmoid(slope, shift) => {
                let (slope, shift) = (f64::from(slope), f64::from(shift));
                vec![-shift / slope, (1.0 - shift) / slope]
            }
            Activation::HardSwish => vec![-3.0, 3.0],
            _ => vec![],
        }
    }

    #[test]
    fn derivatives_are_slopes_of_the_definition_with_the_same_bits_on_every_instruction_set() {
        const STEP: f64 = 1e-5;
        for activation in ALL {
            let corners = corners(activation);
            let is_smooth = |x: f64| corners.iter().all(|corner| (x - corner).abs() > 1e-3);
            let inputs: Vec<f32> = (-9000..=9000).map(|i| i as f32 * 1e-3).filter(|&x| is_smooth(x.into())).collect();
            let mut outputs = inputs.clone();
            activation.apply(&mut outputs);
            let before: &[f32] = if activation.derives_from_output() { &[] } else { &inputs };
            let mut first: Option<Vec<u32>> = None;
            for isa in Isa::supported() {
                let mut grad = vec![2.0; inputs.len()];
                activation.backward_on(isa, before, &outputs, &mut grad);
                for (&x, &g) in inputs.iter().zip(&grad) {
                    let [above, below] = [STEP, -STEP].map(|step| reference(activation, f64::from(x) + step));
                    let expected = (above - below) / STEP;
                    assert!(
                        (f64::from(g) - expected).abs() < 4e-6,
                        "{activation:?}, {isa}: {g} at {x}, not {expected}"
                    );
                }
                let bits: Vec<u32> = grad.iter().map(|g| g.to_bits()).collect();
                assert!(*first.get_or_insert_with(|| bits.clone()) == bits, "{activation:?}: {isa} gives other bits");
            }
        }
    }

    #[test]
    fn a_relu_at_0_passes_nothing_back() {
        let mut grad = [3.0; 3];
        Activation::Relu.backward(&[], &[0.0, -0.0, 1.0], &mut grad);
        assert_eq!(grad, [0.0, 0.0, 3.0]);
    }
}
