//! Networks as a list of layers, without parameters.

use crate::layer::{Layer, Linear};
use serde::{Deserialize, Serialize};

/// A network as the configuration and checkpoints have it. [`Graph::new`](crate::Graph::new) checks it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Shape of an input row: `[features]` or `[channels, height, width]`.
    pub input_shape: Vec<usize>,
    /// In order of execution.
    pub layers: Vec<Layer>,
    /// Elements of an output row.
    pub outputs: usize,
}

/// Widths of a multilayer perceptron: linear layers with an activation after all but the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Perceptron {
    /// Width of the input.
    pub inputs: usize,
    /// Widths of the hidden layers, first to last; may be empty.
    pub hidden: Vec<usize>,
    /// Width of the output.
    pub outputs: usize,
    /// After each hidden layer.
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
    /// x · Φ(x), Φ the normal distribution's: Hendrycks and Gimpel, "Gaussian error linear units", 2016. Exact, not
    /// the approximation by tanh.
    Gelu,
}

/// The function from a network's outputs to predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputActivation {
    /// Outputs are predictions.
    #[default]
    Identity,
    /// Outputs are logits of mutually exclusive classes.
    Softmax,
    /// Each output is the logit of an independent probability.
    Sigmoid,
}

impl Architecture {
    /// Elements of an input row.
    pub fn inputs(&self) -> usize {
        self.input_shape.iter().product()
    }

    /// The widths, if this is a multilayer perceptron with one activation whose derivative is a function of its output
    /// (all but GELU): what [`FusedMlp`](crate::FusedMlp) computes.
    pub fn as_perceptron(&self) -> Option<Perceptron> {
        let [hidden @ .., Layer::Linear(last)] = self.layers.as_slice() else { return None };
        let mut widths = Vec::new();
        let mut between = None;
        for pair in hidden.chunks(2) {
            let [Layer::Linear(linear), Layer::Activation(activation)] = pair else { return None };
            if *between.get_or_insert(*activation) != *activation || *activation == Activation::Gelu {
                return None;
            }
            widths.push(linear.outputs.unwrap_or(self.outputs));
        }
        (last.outputs.is_none_or(|width| width == self.outputs)).then(|| Perceptron {
            inputs: self.inputs(),
            hidden: widths,
            outputs: self.outputs,
            activation: between.unwrap_or(Activation::Relu),
        })
    }
}

impl From<&Perceptron> for Architecture {
    fn from(perceptron: &Perceptron) -> Self {
        let hidden = perceptron.hidden.iter().flat_map(|&width| {
            let linear = Layer::Linear(Linear { outputs: Some(width) });
            [linear, Layer::Activation(perceptron.activation)]
        });
        Self {
            input_shape: vec![perceptron.inputs],
            layers: hidden.chain([Layer::Linear(Linear::default())]).collect(),
            outputs: perceptron.outputs,
        }
    }
}

impl Activation {
    /// Applies the function in place.
    pub fn apply(self, values: &mut [f32]) {
        match self {
            Self::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
            // The libm crate is plain Rust: system libraries differ in the last bit.
            Self::Tanh => values.iter_mut().for_each(|x| *x = libm::tanhf(*x)),
            Self::Sigmoid => values.iter_mut().for_each(|x| *x = 1.0 / (1.0 + libm::expf(-*x))),
            Self::Gelu => kernels::gelu(values),
        }
    }

    /// The backward pass in place: multiplies `grad` by the derivative. `inputs` and `outputs` are those of the forward
    /// pass; only GELU reads `inputs`.
    pub fn backward(self, inputs: &[f32], outputs: &[f32], grad: &mut [f32]) {
        let pairs = grad.iter_mut().zip(outputs);
        match self {
            Self::Relu => pairs.for_each(|(g, &y)| *g = if y > 0.0 { *g } else { 0.0 }),
            Self::Tanh => pairs.for_each(|(g, &y)| *g *= 1.0 - y * y),
            Self::Sigmoid => pairs.for_each(|(g, &y)| *g *= y * (1.0 - y)),
            Self::Gelu => kernels::gelu_backward(inputs, grad),
        }
    }
}
