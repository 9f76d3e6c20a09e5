//! Gradients by candle's autograd: the reference that faster engines are tested against.

use crate::{
    Batch, Engine, Graph, Loss, ParameterKind, Parameters, Result,
    candle_model::{BatchStatistics, forward},
};
use candle_core::{D, DType, Device, Tensor, Var};

/// The engine of every layer: candle computes the network and its gradients, on the CPU or a GPU.
pub struct Autograd {
    graph: Graph,
    loss: Loss,
    device: Device,
    /// Of activations.
    dtype: DType,
}

/// The type that activations and their gradients have. Parameters, the optimizer's state, batch statistics and the loss are
/// `f32` with either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// `f32`
    #[default]
    F32,
    /// `bf16`: half the memory and its traffic, and the tensor cores of a GPU.
    Bf16,
}

/// Whether candle is built with CUDA: the feature `cuda`.
pub fn has_cuda() -> bool {
    candle_core::utils::cuda_is_available()
}

impl Autograd {
    /// An engine for a network, on the CPU in `f32`.
    pub fn new(graph: &Graph, loss: Loss) -> Self {
        Self { graph: graph.clone(), loss, device: Device::Cpu, dtype: DType::F32 }
    }

    /// The same engine, computing in `precision`. On CPUs candle has no products in `bf16`.
    pub fn in_precision(self, precision: Precision) -> Self {
        let dtype = match precision {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
        };
        Self { dtype, ..self }
    }

    /// The same engine on GPU number `number`. Parameters go there and gradients come back in each step.
    ///
    /// # Errors
    /// Without [`has_cuda`], or if there is no such GPU.
    pub fn on_gpu(self, number: u32) -> Result<Self> {
        Ok(Self { device: Device::new_cuda(number as usize)?, ..self })
    }

    /// Rows as `[rows, input shape…]`.
    fn rows(&self, inputs: &[f32]) -> Result<Tensor> {
        let shape = &self.graph.architecture.input_shape;
        let rows = inputs.len() / self.graph.architecture.inputs();
        let dims: Vec<usize> = std::iter::once(rows).chain(shape.iter().copied()).collect();
        Ok(Tensor::from_slice(inputs, dims, &self.device)?)
    }

    /// The network's output `[rows, outputs]` in `f32`, computed in the engine's precision. Norms keep their parameters in
    /// `f32`.
    fn forward(
        &self,
        parameters: &Parameters,
        variables: &[Var],
        inputs: &[f32],
        statistics: &mut Option<Vec<BatchStatistics>>,
    ) -> Result<Tensor> {
        let kinds = parameters.layout.tensors().iter().map(|tensor| tensor.kind);
        let tensors = variables.iter().zip(kinds).map(|(var, kind)| match kind {
            ParameterKind::Norm | ParameterKind::Statistic => Ok(var.as_tensor().clone()),
            ParameterKind::Weight | ParameterKind::Bias | ParameterKind::Frozen => var.to_dtype(self.dtype),
        });
        let tensors = tensors.collect::<candle_core::Result<Vec<_>>>()?;
        let inputs = self.rows(inputs)?.to_dtype(self.dtype)?;
        Ok(forward(&self.graph, &tensors, inputs, statistics)?.to_dtype(DType::F32)?)
    }

    /// The mean loss of `outputs` `[rows, outputs]`.
    fn loss(&self, outputs: &Tensor, batch: Batch<'_>) -> Result<Tensor> {
        let (rows, width) = outputs.dims2()?;
        let targets = match self.loss {
            Loss::CrossEntropy { .. } if batch.targets.len() == rows && width > 1 => {
                one_hot(batch.targets, width, &self.device)?
            }
            _ => Tensor::from_slice(batch.targets, (rows, width), &self.device)?,
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
        let mut weights = Tensor::from_vec(ones(batch.weights, rows), (rows, 1), &self.device)?;
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
                let classes = Tensor::from_vec(ones(batch.class_weights, width), (1, width), &self.device)?;
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
fn one_hot(classes: &[f32], width: usize, device: &Device) -> Result<Tensor> {
    let rows = classes.iter().flat_map(|&class| (0..width).map(move |i| f32::from(u8::from(i == class as usize))));
    Ok(Tensor::from_iter(rows, device)?.reshape((classes.len(), width))?)
}

/// All tensors of the layout, as variables of candle's autograd.
fn variables(parameters: &Parameters, device: &Device) -> Result<Vec<Var>> {
    let tensors = parameters.layout.tensors().iter().map(|tensor| {
        let values = &parameters.values[tensor.range.clone()];
        Ok(Var::from_slice(values, tensor.shape.as_slice(), device)?)
    });
    tensors.collect()
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
        let variables = variables(parameters, &self.device)?;
        let mut statistics = Some(Vec::new());
        let outputs = self.forward(parameters, &variables, batch.inputs, &mut statistics)?; // [rows, outputs]
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
        let variables = variables(parameters, &self.device)?;
        let found = self.forward(parameters, &variables, inputs, &mut None)?;
        *outputs = found.flatten_all()?.to_vec1()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Architecture;

    /// Without kinks: where a rounding changes a maximum, or a sign before a ReLU, gradients differ by more than it.
    fn network() -> Graph {
        let layers = serde_json::json!([
            {"conv": {"channels": 4, "kernel": 5, "bias": true}},
            {"norm": {}},
            {"activation": "tanh"},
            {"residual": {"channels": 6, "stride": 2, "activation": "gelu"}},
            {"average_pool": {}},
            {"linear": {}},
            {"scale": 0.5},
        ]);
        let layers = serde_json::from_value(layers).expect("layers");
        Graph::new(Architecture { input_shape: vec![3, 16, 16], layers, outputs: 3 }).expect("a network")
    }

    /// Mixed precision as on a GPU; in `f16`, which candle has products in on CPUs too, where it has none in `bf16`.
    #[test]
    fn half_precision_is_near_single_and_keeps_parameters_and_gradients_in_it() {
        let graph = network();
        let mut random = random::Random::new(3, 0);
        let start = Parameters::random(&graph, &mut random);
        let rows = 12;
        let inputs: Vec<f32> = (0..rows * graph.architecture.inputs()).map(|_| random.normal() as f32).collect();
        let targets: Vec<f32> = (0..rows).map(|row| (row % graph.architecture.outputs) as f32).collect();
        let run = |dtype| {
            let loss = Loss::CrossEntropy { label_smoothing: 0.1 };
            let mut engine = Autograd { dtype, ..Autograd::new(&graph, loss) };
            let (mut parameters, mut gradients) = (start.clone(), vec![0.0; start.values.len()]);
            let loss =
                engine.gradients(&mut parameters, Batch::new(&inputs, &targets), &mut gradients).expect("a step");
            let mut outputs = Vec::new();
            engine.predict(&parameters, &inputs, &mut outputs).expect("outputs");
            (loss, gradients, parameters.values, outputs)
        };
        let (single, half) = (run(DType::F32), run(DType::F16));
        let near = |half: &[f32], single: &[f32], what: &str| {
            let most = single.iter().fold(0f32, |most, x| most.max(x.abs()));
            let far = half.iter().zip(single).fold(0f32, |far, (x, y)| far.max((x - y).abs()));
            assert!(far <= 0.03 * most, "{what}: {far} of {most}");
        };
        assert!((half.0 - single.0).abs() <= 0.005 * single.0, "{} {}", half.0, single.0);
        near(&half.1, &single.1, "gradients");
        near(&half.2, &single.2, "running statistics");
        near(&half.3, &single.3, "outputs");
    }
}
