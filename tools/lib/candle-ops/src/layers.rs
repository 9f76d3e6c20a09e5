//! candle-nn's layers, computed by the kernels.

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

/// A [`candle_nn::BatchNorm`] that learns by [`batch_norm`] and evaluates as candle-nn does, with the same variables.
///
/// What the kernels do not take, in training, goes to candle-nn.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    layer: candle_nn::BatchNorm,
    config: BatchNormConfig,
    /// candle-nn's, or 1 and 0 where the layer learns none.
    weight: Tensor,
    bias: Tensor,
    relu: bool,
}

impl BatchNorm {
    /// As [`candle_nn::batch_norm`]: `weight`, `bias`, `running_mean` and `running_var` of `variables`, `[channels]`.
    ///
    /// # Errors
    /// When the variables are not to be had, or `eps` is negative.
    pub fn new(channels: usize, config: impl Into<BatchNormConfig>, variables: VarBuilder) -> Result<Self> {
        let config = config.into();
        let layer = candle_nn::batch_norm(channels, config, variables)?;
        let (weight, bias) = match layer.weight_and_bias() {
            Some((weight, bias)) => (weight.clone(), bias.clone()),
            None => (layer.running_var().ones_like()?, layer.running_var().zeros_like()?),
        };
        Ok(Self { layer, config, weight, bias, relu: false })
    }

    /// Puts a ReLU behind the normalisation, in training within the same passes ([`batch_norm_relu`]).
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
            // A variable as it is: candle-nn keeps running statistics in nothing else.
            Var::from_tensor(running)?.set(&moved)?;
        }
        Ok(found.output)
    }
}

impl ModuleT for BatchNorm {
    /// `[rows, channels, …]`, by the statistics of the batch, which the running ones follow, or by the running ones.
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        if train && self.config.remove_mean && takes(&[x, &self.weight, &self.bias]) {
            return self.train(x);
        }
        let y = self.layer.forward_t(x, train)?;
        if self.relu { y.relu() } else { Ok(y) }
    }
}
