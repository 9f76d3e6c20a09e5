//! Narrow layers: a batch is split by rows, and each thread runs the whole step of its rows, whose values stay in a cache.

use crate::{Activation, Batch, Engine, Loss, Parameters, Perceptron, Result};
use kernels::gemm::{Matrix, matmul, sum_rows};
use parallel::{parallel_for, with_active_workers};

/// Fewest rows of a shard: with fewer, waking a thread costs more than it saves.
const SHARD_ROWS: usize = 256;
/// Most shards of a batch: each has a copy of the gradients.
const MAX_SHARDS: usize = 16;

/// Splits a batch into shards, one a task. Their number depends on the batch size alone, and their gradients are summed
/// in order.
pub(super) struct Narrow {
    perceptron: Perceptron,
    loss: Loss,
    shards: Vec<Shard>,
}

/// The buffers of one shard.
#[derive(Default)]
struct Shard {
    /// For each layer, its output after the activation: `[rows, outputs]`.
    activations: Vec<Vec<f32>>,
    /// Gradient of the loss with respect to the current layer's output, `[rows, outputs]`.
    grad_output: Vec<f32>,
    /// The same with respect to its input, `[rows, inputs]`.
    grad_input: Vec<f32>,
    /// Gradient of this shard's terms of the loss, in the layout of the parameters.
    gradients: Vec<f32>,
    /// This shard's terms of the mean loss.
    loss: f64,
}

impl Narrow {
    pub fn new(perceptron: Perceptron, loss: Loss) -> Self {
        Self { perceptron, loss, shards: Vec::new() }
    }

    /// Rows of each shard of a batch of `rows`; the last may have fewer. Allocates the shards.
    fn shard_rows(&mut self, rows: usize) -> usize {
        let count = rows.div_ceil(SHARD_ROWS).clamp(1, MAX_SHARDS);
        let shard_rows = rows.div_ceil(count).max(1);
        let count = rows.div_ceil(shard_rows);
        if self.shards.len() < count {
            self.shards.resize_with(count, Shard::default);
        }
        shard_rows
    }
}

impl Engine for Narrow {
    fn gradients(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        let parameters = &*parameters;
        let rows = batch.inputs.len() / self.perceptron.inputs;
        let shard_rows = self.shard_rows(rows);
        let (activation, loss, width) = (self.perceptron.activation, self.loss, self.perceptron.outputs);
        let target_width = batch.targets.len() / rows;
        let total_weight = loss.total_weight(batch, rows);
        let work = |shard: &mut Shard, batch: Batch<'_>| {
            shard.gradients.resize(gradients.len(), 0.0);
            shard.forward(parameters, activation, batch.inputs);
            let Shard { activations, grad_output, .. } = shard;
            grad_output.resize(outputs(activations).len(), 0.0);
            shard.loss = loss.add(outputs(activations), batch, width, total_weight, grad_output);
            shard.backward(parameters, activation, batch.inputs);
        };
        let inputs = batch.inputs.chunks(shard_rows * self.perceptron.inputs);
        let targets = batch.targets.chunks(shard_rows * target_width);
        let count = inputs.len();
        // Without weights, every shard has an empty slice.
        let weights = batch.weights.chunks(shard_rows).chain(std::iter::repeat(&[][..]));
        let batches = inputs.zip(targets).zip(weights);
        let batches = batches.map(|((inputs, targets), weights)| Batch { inputs, targets, weights, ..batch });
        let jobs = self.shards.iter_mut().zip(batches);
        with_active_workers(|| parallel_for(jobs, |(shard, batch)| work(shard, batch)));
        let shards = &self.shards[..count];
        gradients.copy_from_slice(&shards[0].gradients);
        for shard in &shards[1..] {
            gradients.iter_mut().zip(&shard.gradients).for_each(|(sum, gradient)| *sum += gradient);
        }
        Ok(shards.iter().map(|shard| shard.loss).sum())
    }

    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()> {
        let (width, activation) = (self.perceptron.inputs, self.perceptron.activation);
        let shard_rows = self.shard_rows(inputs.len() / width);
        outputs.clear();
        for inputs in inputs.chunks(shard_rows * width) {
            self.shards[0].forward(parameters, activation, inputs);
            outputs.extend_from_slice(self::outputs(&self.shards[0].activations));
        }
        Ok(())
    }
}

impl Shard {
    /// Forward pass: overwrites `activations` from `inputs` `[rows, inputs]`.
    fn forward(&mut self, parameters: &Parameters, activation: Activation, inputs: &[f32]) {
        let layers = parameters.layout.layers();
        let rows = inputs.len() / layers[0].inputs;
        self.activations.resize(layers.len(), Vec::new());
        let last = layers.len() - 1;
        for (i, (layer, weight, bias)) in parameters.layers().enumerate() {
            let (before, rest) = self.activations.split_at_mut(i);
            let input = before.last().map_or(inputs, Vec::as_slice); // [rows, layer.inputs]
            let output = &mut rest[0]; // [rows, layer.outputs]
            output.clear();
            (0..rows).for_each(|_| output.extend_from_slice(bias));
            let weight = Matrix::new(weight, layer.outputs, layer.inputs);
            matmul(Matrix::new(input, rows, layer.inputs), weight.transposed(), output, true);
            if i < last {
                activation.apply(output);
            }
        }
    }

    /// Backward pass, last layer first: overwrites `gradients`, from `grad_output` of the network.
    fn backward(&mut self, parameters: &Parameters, activation: Activation, inputs: &[f32]) {
        let layers = parameters.layout.layers();
        let rows = inputs.len() / layers[0].inputs;
        for (i, layer) in layers.iter().enumerate().rev() {
            let input = if i == 0 { inputs } else { &self.activations[i - 1] };
            let grad_output = Matrix::new(&self.grad_output, rows, layer.outputs);
            let grad_weight = &mut self.gradients[layer.weight.clone()]; // [outputs, inputs]
            matmul(grad_output.transposed(), Matrix::new(input, rows, layer.inputs), grad_weight, false);
            sum_rows(&self.grad_output, &mut self.gradients[layer.bias.clone()]);
            if i > 0 {
                let weight = Matrix::new(&parameters.values[layer.weight.clone()], layer.outputs, layer.inputs);
                self.grad_input.resize(rows * layer.inputs, 0.0);
                matmul(grad_output, weight, &mut self.grad_input, false);
                // Only GELU reads the inputs, and no perceptron has it.
                activation.backward(&[], input, &mut self.grad_input);
                std::mem::swap(&mut self.grad_output, &mut self.grad_input);
            }
        }
    }
}

/// The network's output of the last forward pass: `[rows, outputs]`.
fn outputs(activations: &[Vec<f32>]) -> &[f32] {
    activations.last().map_or(&[], Vec::as_slice)
}
