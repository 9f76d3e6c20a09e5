//! Drop-in replacements for candle-nn's layers.

use crate::{batch_norm, batch_norm_relu, conv2d, values::takes};
use candle_core::{Module, ModuleT, Result, Tensor, Var};
use candle_nn::{BatchNormConfig, VarBuilder};

/// A [`candle_nn::Conv2d`] whose forward pass is [`conv2d`]:
/// `Conv2d::from(candle_nn::conv2d(3, 16, 3, config, variables)?)`.
#[derive(Debug, Clone)]
pub struct Conv2d(candle_nn::Conv2d);

impl From<candle_nn::Conv2d> for Conv2d {
    fn from(layer: candle_nn::Conv2d) -> Self {
        Self(layer)
    }
}

impl Module for Conv2d {
    /// `[rows, inputs, height, width]` to `[rows, outputs, height', width']`
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, config) = (self.0.weight(), self.0.config());
        if !takes(&[x, weight]) {
            return self.0.forward(x);
        }
        let y = conv2d(x, weight, config.padding, config.stride, config.dilation, config.groups)?;
        match self.0.bias() {
            Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?),
            None => Ok(y),
        }
    }
}

/// A [`candle_nn::BatchNorm`] that trains by [`batch_norm`] and evaluates as candle-nn does, with the same variables.
///
/// Trains by candle-nn where the kernels do not support the tensors.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    layer: candle_nn::BatchNorm,
    config: BatchNormConfig,
    /// candle-nn's scale; ones, and zeros for `bias`, if the layer is not affine.
    weight: Tensor,
    bias: Tensor,
    relu: bool,
}

impl BatchNorm {
    /// As [`candle_nn::batch_norm`]: `weight`, `bias`, `running_mean` and `running_var` of `variables`, `[channels]`.
    ///
    /// # Errors
    /// If a variable is missing or misshapen, or `eps` is negative.
    pub fn new(channels: usize, config: impl Into<BatchNormConfig>, variables: VarBuilder) -> Result<Self> {
        let config = config.into();
        let layer = candle_nn::batch_norm(channels, config, variables)?;
        let (weight, bias) = match layer.weight_and_bias() {
            Some((weight, bias)) => (weight.clone(), bias.clone()),
            None => (layer.running_var().ones_like()?, layer.running_var().zeros_like()?),
        };
        Ok(Self { layer, config, weight, bias, relu: false })
    }

    /// Adds a ReLU after the normalization, fused in training ([`batch_norm_relu`]).
    #[must_use]
    pub fn then_relu(self) -> Self {
        Self { relu: true, ..self }
    }

    fn train(&self, x: &Tensor) -> Result<Tensor> {
        let normalize = if self.relu { batch_norm_relu } else { batch_norm };
        let found = normalize(x, &self.weight, &self.bias, self.config.eps)?;
        for (running, batch) in [(self.layer.running_mean(), found.mean), (self.layer.running_var(), found.variance)] {
            let momentum = self.config.momentum;
            let moved = (running.detach().affine(1.0 - momentum, 0.0)? + batch.affine(momentum, 0.0)?)?;
            // candle-nn keeps running statistics in variables, so this shares their storage.
            Var::from_tensor(running)?.set(&moved)?;
        }
        Ok(found.output)
    }
}

impl ModuleT for BatchNorm {
    /// `[rows, channels, …]`. Training normalizes by batch statistics and updates the running ones; evaluation normalizes
    /// by the running statistics.
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        if train && self.config.remove_mean && takes(&[x, &self.weight, &self.bias]) {
            return self.train(x);
        }
        let y = self.layer.forward_t(x, train)?;
        if self.relu { y.relu() } else { Ok(y) }
    }
}
