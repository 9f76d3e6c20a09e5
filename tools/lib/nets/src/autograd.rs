//! Gradients by candle's autograd: the reference for faster engines, and the way for new layers.

use crate::{Activation, Architecture, Batch, Engine, Loss, Parameters, Result, mlp::activate};
use candle_core::{D, Device, Tensor, Var};

/// An MLP whose gradients candle derives.
pub struct AutogradMlp {
    architecture: Architecture,
    loss: Loss,
}

impl AutogradMlp {
    /// An engine for networks of this architecture, on the CPU.
    pub fn new(architecture: &Architecture, loss: Loss) -> Self {
        Self { architecture: architecture.clone(), loss }
    }

    fn forward(&self, layers: &[(Var, Var)], inputs: &[f32]) -> Result<Tensor> {
        let (width, activation): (usize, Activation) = (self.architecture.inputs, self.architecture.activation);
        let mut x = Tensor::from_slice(inputs, (inputs.len() / width, width), &Device::Cpu)?; // [rows, inputs]
        for (i, (weight, bias)) in layers.iter().enumerate() {
            x = x.matmul(&weight.t()?)?.broadcast_add(bias)?;
            if i + 1 < layers.len() {
                x = activate(activation, &x)?;
            }
        }
        Ok(x)
    }

    /// The mean loss of `outputs` `[rows, outputs]`.
    fn loss(&self, outputs: &Tensor, targets: &[f32]) -> Result<Tensor> {
        let (rows, width) = outputs.dims2()?;
        let targets = match self.loss {
            Loss::CrossEntropy { .. } if targets.len() == rows && width > 1 => one_hot(targets, width)?,
            _ => Tensor::from_slice(targets, (rows, width), &Device::Cpu)?,
        };
        let errors = outputs.sub(&targets)?;
        Ok(match self.loss {
            Loss::Mse => candle_nn::loss::mse(outputs, &targets)?,
            Loss::Mae => errors.abs()?.mean_all()?,
            Loss::Huber { delta } => candle_nn::loss::huber(outputs, &targets, delta)?,
            Loss::CrossEntropy { label_smoothing } => {
                let wanted = targets.affine(1.0 - label_smoothing, label_smoothing / width as f64)?;
                let log_probabilities = candle_nn::ops::log_softmax(outputs, D::Minus1)?;
                (wanted * log_probabilities)?.sum(D::Minus1)?.neg()?.mean_all()?
            }
            Loss::BinaryCrossEntropy => candle_nn::loss::binary_cross_entropy_with_logit(outputs, &targets)?,
        })
    }
}

/// Classes as `[rows, width]`: 1 at the class.
fn one_hot(classes: &[f32], width: usize) -> Result<Tensor> {
    let rows = classes.iter().flat_map(|&class| (0..width).map(move |i| f32::from(u8::from(i == class as usize))));
    Ok(Tensor::from_iter(rows, &Device::Cpu)?.reshape((classes.len(), width))?)
}

/// Weight `[outputs, inputs]` and bias `[outputs]` of each layer.
fn variables(parameters: &Parameters) -> Result<Vec<(Var, Var)>> {
    let layers = parameters.layers().map(|(layer, weight, bias)| {
        let weight = Var::from_slice(weight, (layer.outputs, layer.inputs), &Device::Cpu)?;
        Ok((weight, Var::from_slice(bias, layer.outputs, &Device::Cpu)?))
    });
    layers.collect()
}

impl Engine for AutogradMlp {
    fn gradients(&mut self, parameters: &Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        let layers = variables(parameters)?;
        let outputs = self.forward(&layers, batch.inputs)?; // [rows, outputs]
        let loss = self.loss(&outputs, batch.targets)?;
        let store = loss.backward()?;
        for ((weight, bias), layer) in layers.iter().zip(parameters.layout.layers()) {
            for (var, range) in [(weight, &layer.weight), (bias, &layer.bias)] {
                let gradient = store.get(var).ok_or_else(|| candle_core::Error::msg("a parameter has no gradient"))?;
                gradients[range.clone()].copy_from_slice(&gradient.flatten_all()?.to_vec1::<f32>()?);
            }
        }
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()> {
        *outputs = self.forward(&variables(parameters)?, inputs)?.flatten_all()?.to_vec1()?;
        Ok(())
    }
}
