//! What a network looks like, without its numbers.

use serde::{Deserialize, Serialize};

/// A multilayer perceptron: linear layers with an activation after all but the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Width of the input.
    pub inputs: usize,
    /// Widths of the hidden layers, first to last; may be empty.
    pub hidden: Vec<usize>,
    /// Width of the output.
    pub outputs: usize,
    /// What follows each hidden layer.
    pub activation: Activation,
}

/// An elementwise function between layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(0, x)
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + exp(-x))
    Sigmoid,
}

/// What makes predictions of a network's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputActivation {
    /// Nothing: outputs are predictions.
    #[default]
    Identity,
    /// Outputs are logits of classes that exclude each other.
    Softmax,
    /// Each output is a logit of its own.
    Sigmoid,
}

impl Architecture {
    /// For each layer, its input and output width.
    pub fn layers(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let inputs = std::iter::once(self.inputs).chain(self.hidden.iter().copied());
        let outputs = self.hidden.iter().copied().chain(std::iter::once(self.outputs));
        inputs.zip(outputs)
    }
}

impl Activation {
    /// Applies the function in place.
    pub fn apply(self, values: &mut [f32]) {
        match self {
            Self::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
            // libm's functions, in plain Rust: the system's differ in the last bit from one to another.
            Self::Tanh => values.iter_mut().for_each(|x| *x = libm::tanhf(*x)),
            Self::Sigmoid => values.iter_mut().for_each(|x| *x = 1.0 / (1.0 + libm::expf(-*x))),
        }
    }

    /// Multiplies gradients by the function's derivative, given what the function returned.
    pub fn backward(self, outputs: &[f32], gradients: &mut [f32]) {
        let pairs = gradients.iter_mut().zip(outputs);
        match self {
            Self::Relu => pairs.for_each(|(g, &y)| *g = if y > 0.0 { *g } else { 0.0 }),
            Self::Tanh => pairs.for_each(|(g, &y)| *g *= 1.0 - y * y),
            Self::Sigmoid => pairs.for_each(|(g, &y)| *g *= y * (1.0 - y)),
        }
    }
}
