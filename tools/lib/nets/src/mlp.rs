//! The network as a candle module.

use crate::{Activation, Model, OutputActivation, Result};
use candle_core::{D, Device, Module, Tensor};
use candle_nn::Linear;

/// A model as a candle [`Module`]: raw inputs `[rows, inputs]` to predictions `[rows, outputs]`.
pub struct Mlp {
    scaling: Option<(Tensor, Tensor)>,
    layers: Vec<Linear>,
    activation: Activation,
    output_activation: OutputActivation,
}

impl Mlp {
    /// Copies the model's numbers to `device`.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new(model: &Model, device: &Device) -> Result<Self> {
        let vector = |values: &[f32]| Tensor::new(values, device);
        let scaling = match &model.scaling {
            Some(scaling) => Some((vector(&scaling.mean)?, vector(&scaling.scale)?)), // [inputs] each
            None => None,
        };
        let mut layers = Vec::new();
        for (layer, weight, bias) in model.parameters.layers() {
            let weight = vector(weight)?.reshape((layer.outputs, layer.inputs))?;
            layers.push(Linear::new(weight, Some(vector(bias)?)));
        }
        Ok(Self {
            scaling,
            layers,
            activation: model.architecture.activation,
            output_activation: model.task.output_activation,
        })
    }
}

impl Module for Mlp {
    fn forward(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = match &self.scaling {
            Some((mean, scale)) => inputs.broadcast_sub(mean)?.broadcast_mul(scale)?,
            None => inputs.clone(),
        }; // [rows, inputs]
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x)?; // [rows, outputs of the layer]
            if i + 1 < self.layers.len() {
                x = activate(self.activation, &x)?;
            }
        }
        match self.output_activation {
            OutputActivation::Identity => Ok(x),
            OutputActivation::Softmax => candle_nn::ops::softmax(&x, D::Minus1),
            OutputActivation::Sigmoid => candle_nn::ops::sigmoid(&x),
        }
    }
}

pub(crate) fn activate(activation: Activation, x: &Tensor) -> candle_core::Result<Tensor> {
    match activation {
        Activation::Relu => x.relu(),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => candle_nn::ops::sigmoid(x),
    }
}
