//! Gradients by candle's autograd: the reference that faster engines are tested against.

use crate::{
    Batch, Engine, Graph, Loss, Parameters, Result,
    candle_model::{BatchStatistics, forward},
};
use candle_core::{D, Device, Tensor, Var};

/// The engine of every layer: candle computes the network and its gradients, on the CPU.
pub struct Autograd {
    graph: Graph,
    loss: Loss,
}

impl Autograd {
    /// An engine for a network.
    pub fn new(graph: &Graph, loss: Loss) -> Self {
        Self { graph: graph.clone(), loss }
    }

    /// Rows as `[rows, input shape…]`.
    fn rows(&self, inputs: &[f32]) -> Result<Tensor> {
        let shape = &self.graph.architecture.input_shape;
        let rows = inputs.len() / self.graph.architecture.inputs();
        let dims: Vec<usize> = std::iter::once(rows).chain(shape.iter().copied()).collect();
        Ok(Tensor::from_slice(inputs, dims, &Device::Cpu)?)
    }

    /// The mean loss of `outputs` `[rows, outputs]`.
    fn loss(&self, outputs: &Tensor, batch: Batch<'_>) -> Result<Tensor> {
        let (rows, width) = outputs.dims2()?;
        let targets = match self.loss {
            Loss::CrossEntropy { .. } if batch.targets.len() == rows && width > 1 => one_hot(batch.targets, width)?,
            _ => Tensor::from_slice(batch.targets, (rows, width), &Device::Cpu)?,
        };
        if !(batch.weights.is_empty() && batch.class_weights.is_empty()) {
            return self.weighted(outputs, &targets, batch);
        }
        let errors = outputs.sub(&targets)?;
        Ok(match self.loss {
            Loss::Mse => candle_nn::loss::mse(outputs, &targets)?,
            Loss::Mae => errors.abs()?.mean_all()?,
            Loss::Huber { delta } => candle_nn::loss::huber(outputs, &targets, delta)?,
            Loss::CrossEntropy { label_smoothing } => {
                let smoothed = targets.affine(1.0 - label_smoothing, label_smoothing / width as f64)?;
                let log_probabilities = candle_nn::ops::log_softmax(outputs, D::Minus1)?;
                (smoothed * log_probabilities)?.sum(D::Minus1)?.neg()?.mean_all()?
            }
            Loss::BinaryCrossEntropy => candle_nn::loss::binary_cross_entropy_with_logit(outputs, &targets)?,
        })
    }

    /// The weighted mean loss; `targets` are `[rows, outputs]`.
    fn weighted(&self, outputs: &Tensor, targets: &Tensor, batch: Batch<'_>) -> Result<Tensor> {
        let (rows, width) = outputs.dims2()?;
        let ones = |weights: &[f32], count: usize| match weights {
            [] => vec![1.0; count],
            weights => weights.to_vec(),
        };
        let mut weights = Tensor::from_vec(ones(batch.weights, rows), (rows, 1), &Device::Cpu)?;
        let terms = match self.loss {
            Loss::Mse => outputs.sub(targets)?.sqr()?,
            Loss::Mae => outputs.sub(targets)?.abs()?,
            Loss::Huber { delta } => {
                let errors = outputs.sub(targets)?.abs()?;
                let near = errors.minimum(delta)?;
                // near² / 2 + delta · (|error| - near)
                (near.sqr()?.affine(0.5, 0.0)? + errors.sub(&near)?.affine(delta, 0.0)?)?
            }
            Loss::CrossEntropy { label_smoothing } => {
                let classes = Tensor::from_vec(ones(batch.class_weights, width), (1, width), &Device::Cpu)?;
                let smoothed = targets.affine(1.0 - label_smoothing, label_smoothing / width as f64)?;
                (smoothed.broadcast_mul(&classes)? * candle_nn::ops::log_softmax(outputs, D::Minus1)?)?.neg()?
            }
            Loss::BinaryCrossEntropy => {
                if let [no, yes] = *batch.class_weights {
                    // A target is a class: 0 or 1.
                    weights = (weights * targets.affine(f64::from(yes - no), f64::from(no))?)?;
                }
                // log(1 + exp(logit)) - target · logit, without overflow
                let rest = outputs.abs()?.neg()?.exp()?.affine(1.0, 1.0)?.log()?;
                (outputs.relu()? - (targets * outputs)?)?.add(&rest)?
            }
        };
        let total_weight = self.loss.total_weight(batch, rows);
        let terms_of_a_row = if self.loss.is_categorical() { 1 } else { width };
        let count = total_weight * terms_of_a_row as f64;
        let factor = if count > 0.0 { 1.0 / count } else { 0.0 };
        Ok(terms.broadcast_mul(&weights)?.sum_all()?.affine(factor, 0.0)?)
    }
}

/// Class indices `[rows]` to `[rows, width]`.
fn one_hot(classes: &[f32], width: usize) -> Result<Tensor> {
    let rows = classes.iter().flat_map(|&class| (0..width).map(move |i| f32::from(u8::from(i == class as usize))));
    Ok(Tensor::from_iter(rows, &Device::Cpu)?.reshape((classes.len(), width))?)
}

/// All tensors of the layout, as variables of candle's autograd.
fn variables(parameters: &Parameters) -> Result<Vec<Var>> {
    let tensors = parameters.layout.tensors().iter().map(|tensor| {
        let values = &parameters.values[tensor.range.clone()];
        Ok(Var::from_slice(values, tensor.shape.as_slice(), &Device::Cpu)?)
    });
    tensors.collect()
}

fn tensors(variables: &[Var]) -> Vec<Tensor> {
    variables.iter().map(|var| var.as_tensor().clone()).collect()
}

/// Updates the running statistics: `running = (1 - momentum) · running + momentum · batch`.
fn update(parameters: &mut Parameters, statistics: Vec<BatchStatistics>) -> Result<()> {
    for BatchStatistics { mean, variance, momentum } in statistics {
        for (index, batch) in [mean, variance] {
            let range = parameters.layout.tensors()[index].range.clone();
            for (average, new) in parameters.values[range].iter_mut().zip(batch.to_vec1::<f32>()?) {
                *average = (1.0 - momentum) * *average + momentum * new;
            }
        }
    }
    Ok(())
}

impl Engine for Autograd {
    fn gradients(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        let variables = variables(parameters)?;
        let mut statistics = Some(Vec::new());
        let outputs = forward(&self.graph, &tensors(&variables), self.rows(batch.inputs)?, &mut statistics)?; // [rows, outputs]
        let loss = self.loss(&outputs, batch)?;
        let store = loss.backward()?;
        for (var, tensor) in variables.iter().zip(parameters.layout.tensors()) {
            let gradient = &mut gradients[tensor.range.clone()];
            if !tensor.kind.is_trainable() {
                gradient.fill(0.0);
                continue;
            }
            let found = store.get(var).ok_or_else(|| candle_core::Error::msg("a parameter has no gradient"))?;
            gradient.copy_from_slice(&found.flatten_all()?.to_vec1::<f32>()?);
        }
        update(parameters, statistics.unwrap_or_default())?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()> {
        let tensors = tensors(&variables(parameters)?);
        let found = forward(&self.graph, &tensors, self.rows(inputs)?, &mut None)?;
        *outputs = found.flatten_all()?.to_vec1()?;
        Ok(())
    }
}
