//! A chain of narrow linear layers: a batch is split by rows, and each thread runs the whole step of its rows, whose values
//! stay in a cache.

use super::{LossFn, linear::LinearAct};
use kernels::gemm::{Matrix, matmul, sum_rows};
use parallel::parallel_for;
use std::mem::swap;

/// Fewest rows of a shard: with fewer, waking a thread costs more than it saves.
const SHARD_ROWS: usize = 256;
/// Most shards of a batch: each has a copy of the gradients.
const MAX_SHARDS: usize = 16;

/// Splits a batch into shards, one a task. Their number depends on the batch size alone, and their gradients are summed
/// in order: the same bits for any number of threads.
pub(super) struct RowSharded {
    layers: Vec<LinearAct>,
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
    /// This shard's terms of the loss.
    loss: f64,
}

impl RowSharded {
    pub fn new(layers: &[LinearAct]) -> Self {
        Self { layers: layers.to_vec(), shards: Vec::new() }
    }

    /// As [`TrainingExecutor::gradients`](super::TrainingExecutor::gradients).
    pub fn gradients(&mut self, parameters: &[f32], inputs: &[f32], loss: &LossFn<'_>, gradients: &mut [f32]) -> f64 {
        let width = self.layers[0].inputs;
        let shard_rows = self.shard_rows(inputs.len() / width);
        let Self { layers, shards } = self;
        let inputs = inputs.chunks(shard_rows * width);
        let shards = &mut shards[..inputs.len()];
        let len = gradients.len();
        parallel_for(shards.iter_mut().zip(inputs).enumerate(), |(i, (shard, inputs))| {
            shard.gradients.resize(len, 0.0);
            shard.step(layers, parameters, inputs, i * shard_rows, loss);
        });
        for (i, shard) in shards.iter().enumerate() {
            match i {
                0 => gradients.copy_from_slice(&shard.gradients),
                _ => gradients.iter_mut().zip(&shard.gradients).for_each(|(sum, gradient)| *sum += gradient),
            }
        }
        shards.iter().map(|shard| shard.loss).sum()
    }

    /// Appends the outputs `[rows, outputs]`.
    pub fn predict(&mut self, parameters: &[f32], inputs: &[f32], outputs: &mut Vec<f32>) {
        let width = self.layers[0].inputs;
        let shard_rows = self.shard_rows(inputs.len() / width);
        for inputs in inputs.chunks(shard_rows * width) {
            self.shards[0].forward(&self.layers, parameters, inputs);
            outputs.extend_from_slice(self.shards[0].outputs());
        }
    }

    /// Rows of each shard of a batch of `rows`; the last may have fewer. Allocates the shards.
    fn shard_rows(&mut self, rows: usize) -> usize {
        let count = rows.div_ceil(SHARD_ROWS).clamp(1, MAX_SHARDS);
        let shard_rows = rows.div_ceil(count).max(1);
        let count = rows.div_ceil(shard_rows).max(1);
        if self.shards.len() < count {
            self.shards.resize_with(count, Shard::default);
        }
        shard_rows
    }
}

impl Shard {
    /// Forward pass, loss and backward pass of the rows from `first`.
    fn step(&mut self, layers: &[LinearAct], parameters: &[f32], inputs: &[f32], first: usize, loss: &LossFn<'_>) {
        self.forward(layers, parameters, inputs);
        let rows = inputs.len() / layers[0].inputs;
        let outputs = self.activations.last().map_or(&[][..], Vec::as_slice);
        self.grad_output.resize(outputs.len(), 0.0);
        self.loss = loss(first..first + rows, outputs, &mut self.grad_output);
        self.backward(layers, parameters, inputs);
    }

    /// Forward pass: overwrites `activations` from `inputs` `[rows, inputs]`.
    fn forward(&mut self, layers: &[LinearAct], parameters: &[f32], inputs: &[f32]) {
        let rows = inputs.len() / layers[0].inputs;
        self.activations.resize(layers.len(), Vec::new());
        for (i, layer) in layers.iter().enumerate() {
            let (before, rest) = self.activations.split_at_mut(i);
            let input = before.last().map_or(inputs, Vec::as_slice); // [rows, layer.inputs]
            let output = &mut rest[0]; // [rows, layer.outputs]
            output.clear();
            (0..rows).for_each(|_| output.extend_from_slice(&parameters[layer.bias.clone()]));
            let weight = Matrix::new(&parameters[layer.weight.clone()], layer.outputs, layer.inputs);
            matmul(Matrix::new(input, rows, layer.inputs), weight.transposed(), output, true);
            layer.activation.apply(output);
        }
    }

    /// Backward pass, last layer first: overwrites `gradients`, from `grad_output` of the network.
    fn backward(&mut self, layers: &[LinearAct], parameters: &[f32], inputs: &[f32]) {
        let rows = inputs.len() / layers[0].inputs;
        for (i, layer) in layers.iter().enumerate().rev() {
            layer.activation.backward(&[], &self.activations[i], &mut self.grad_output);
            let input = if i == 0 { inputs } else { &self.activations[i - 1] };
            let grad_output = Matrix::new(&self.grad_output, rows, layer.outputs);
            let grad_weight = &mut self.gradients[layer.weight.clone()]; // [outputs, inputs]
            matmul(grad_output.transposed(), Matrix::new(input, rows, layer.inputs), grad_weight, false);
            sum_rows(&self.grad_output, &mut self.gradients[layer.bias.clone()]);
            if i > 0 {
                let weight = Matrix::new(&parameters[layer.weight.clone()], layer.outputs, layer.inputs);
                self.grad_input.resize(rows * layer.inputs, 0.0);
                matmul(grad_output, weight, &mut self.grad_input, false);
                swap(&mut self.grad_output, &mut self.grad_input);
            }
        }
    }

    /// The network's output of the last forward pass: `[rows, outputs]`.
    fn outputs(&self) -> &[f32] {
        self.activations.last().map_or(&[], Vec::as_slice)
    }
}
