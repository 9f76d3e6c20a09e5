//! Networks as a list of layers, without parameters.

use crate::{
    Activation,
    layer::{Layer, Linear},
};
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

    /// The widths, if this is a multilayer perceptron with one activation, other than GELU.
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
