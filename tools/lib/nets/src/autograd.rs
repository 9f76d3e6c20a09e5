//! Training by candle's autograd: the reference for faster engines, and the way for new layers.

use crate::{Activation, Adam, AdamOptions, Architecture, Engine, Parameters, Result, mlp::activate};
use candle_core::{Device, Tensor, Var};

/// An MLP whose gradients candle derives.
pub struct AutogradMlp {
    architecture: Architecture,
    parameters: Parameters,
    optimizer: Adam,
    /// Weight `[outputs, inputs]` and bias `[outputs]` of each layer.
    layers: Vec<(Var, Var)>,
    gradients: Vec<f32>,
}

impl AutogradMlp {
    /// Starts from `parameters`, on the CPU.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn new(architecture: &Architecture, parameters: Parameters, optimizer: AdamOptions) -> Result<Self> {
        let mut layers = Vec::new();
        for (layer, weight, bias) in parameters.layers() {
            let weight = Var::from_slice(weight, (layer.outputs, layer.inputs), &Device::Cpu)?;
            layers.push((weight, Var::from_slice(bias, layer.outputs, &Device::Cpu)?));
        }
        let count = parameters.values.len();
        Ok(Self {
            architecture: architecture.clone(),
            optimizer: Adam::new(optimizer, count),
            gradients: vec![0.0; count],
            parameters,
            layers,
        })
    }

    /// The gradients of the last step, laid out as the parameters are.
    pub fn gradients(&self) -> &[f32] {
        &self.gradients
    }

    fn forward(&self, inputs: &[f32]) -> Result<Tensor> {
        let (width, activation): (usize, Activation) = (self.architecture.inputs, self.architecture.activation);
        let mut x = Tensor::from_slice(inputs, (inputs.len() / width, width), &Device::Cpu)?; // [rows, inputs]
        for (i, (weight, bias)) in self.layers.iter().enumerate() {
            x = x.matmul(&weight.t()?)?.broadcast_add(bias)?;
            if i + 1 < self.layers.len() {
                x = activate(activation, &x)?;
            }
        }
        Ok(x)
    }
}

impl Engine for AutogradMlp {
    fn step(&mut self, inputs: &[f32], targets: &[f32]) -> Result<f64> {
        let outputs = self.forward(inputs)?; // [rows, outputs]
        let targets = Tensor::from_slice(targets, outputs.shape(), &Device::Cpu)?;
        let loss = candle_nn::loss::mse(&outputs, &targets)?;
        let store = loss.backward()?;
        for ((weight, bias), layer) in self.layers.iter().zip(self.parameters.layout.layers()) {
            for (var, range) in [(weight, &layer.weight), (bias, &layer.bias)] {
                let gradient = store.get(var).ok_or_else(|| candle_core::Error::msg("a parameter has no gradient"))?;
                self.gradients[range.clone()].copy_from_slice(&gradient.flatten_all()?.to_vec1::<f32>()?);
            }
        }
        self.optimizer.step(&mut self.parameters.values, &self.gradients);
        for ((weight, bias), (layer, new_weight, new_bias)) in self.layers.iter().zip(self.parameters.layers()) {
            weight.set(&Tensor::from_slice(new_weight, (layer.outputs, layer.inputs), &Device::Cpu)?)?;
            bias.set(&Tensor::from_slice(new_bias, layer.outputs, &Device::Cpu)?)?;
        }
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    fn predict(&mut self, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()> {
        *outputs = self.forward(inputs)?.flatten_all()?.to_vec1()?;
        Ok(())
    }

    fn parameters(&self) -> Result<Parameters> {
        Ok(self.parameters.clone())
    }
}
