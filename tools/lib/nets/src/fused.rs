//! The fast way to an MLP's gradients: preallocated buffers, no graph.

use crate::{Activation, Batch, Engine, Graph, Loss, Parameters, Perceptron, Result};
use kernels::matmul::{Matrix, matmul, sum_rows};
use rayon::prelude::*;

/// Rows that one thread takes at least: below, waking another costs more than it saves.
const PART_ROWS: usize = 256;
/// Parts that a batch is cut into at most: each holds gradients of its own.
const MAX_PARTS: usize = 16;

/// Forward, loss and backward in buffers that are allocated once.
///
/// A batch is cut into parts by its size alone, and their gradients are summed in order: the same
/// bits for any number of threads.
pub struct FusedMlp {
    perceptron: Perceptron,
    loss: Loss,
    parts: Vec<Part>,
}

/// What one thread works in.
#[derive(Default)]
struct Part {
    /// For each layer, its output after the activation: `[rows, outputs]`.
    activations: Vec<Vec<f32>>,
    /// The loss's gradient with respect to a layer's output, and to its input: `[rows, width]`.
    delta: Vec<f32>,
    delta_input: Vec<f32>,
    /// Of this part's share in the loss; laid out as the parameters are.
    gradients: Vec<f32>,
    loss: f64,
}

impl FusedMlp {
    /// An engine for a network, if it is a multilayer perceptron.
    pub fn new(graph: &Graph, loss: Loss) -> Option<Self> {
        Some(Self { perceptron: graph.architecture.as_perceptron()?, loss, parts: Vec::new() })
    }

    /// Rows of each part of a batch; the last may have fewer. Makes room for as many parts.
    fn part_rows(&mut self, rows: usize) -> usize {
        let count = rows.div_ceil(PART_ROWS).clamp(1, MAX_PARTS);
        let part_rows = rows.div_ceil(count).max(1);
        let count = rows.div_ceil(part_rows);
        if self.parts.len() < count {
            self.parts.resize_with(count, Part::default);
        }
        part_rows
    }
}

impl Engine for FusedMlp {
    fn gradients(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        let parameters = &*parameters;
        let rows = batch.inputs.len() / self.perceptron.inputs;
        let part_rows = self.part_rows(rows);
        let (activation, loss, width) = (self.perceptron.activation, self.loss, self.perceptron.outputs);
        let target_width = batch.targets.len() / rows;
        let total_weight = loss.total_weight(batch, rows);
        let work = |part: &mut Part, batch: Batch<'_>| {
            part.gradients.resize(gradients.len(), 0.0);
            part.forward(parameters, activation, batch.inputs);
            let Part { activations, delta, .. } = part;
            part.loss = loss.add(outputs(activations), batch, width, total_weight, delta);
            part.backward(parameters, activation, batch.inputs);
        };
        let inputs = batch.inputs.chunks(part_rows * self.perceptron.inputs);
        let targets = batch.targets.chunks(part_rows * target_width);
        let count = inputs.len();
        // Rows without weights have none in any part.
        let weights = batch.weights.chunks(part_rows).chain(std::iter::repeat(&[][..]));
        let batches = inputs.zip(targets).zip(weights);
        let batches = batches.map(|((inputs, targets), weights)| Batch { inputs, targets, weights, ..batch });
        let mut jobs: Vec<_> = self.parts.iter_mut().zip(batches).collect();
        if count == 1 || rayon::current_num_threads() == 1 {
            jobs.iter_mut().for_each(|(part, batch)| work(part, *batch));
        } else {
            jobs.par_iter_mut().for_each(|(part, batch)| work(part, *batch));
        }
        let parts = &self.parts[..count];
        gradients.copy_from_slice(&parts[0].gradients);
        for part in &parts[1..] {
            gradients.iter_mut().zip(&part.gradients).for_each(|(sum, gradient)| *sum += gradient);
        }
        Ok(parts.iter().map(|part| part.loss).sum())
    }

    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()> {
        let (width, activation) = (self.perceptron.inputs, self.perceptron.activation);
        let part_rows = self.part_rows(inputs.len() / width);
        outputs.clear();
        for inputs in inputs.chunks(part_rows * width) {
            self.parts[0].forward(parameters, activation, inputs);
            outputs.extend_from_slice(self::outputs(&self.parts[0].activations));
        }
        Ok(())
    }
}

impl Part {
    /// Fills `activations` from `inputs` `[rows, inputs]`.
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

    /// Fills `gradients` from `delta`, from the last layer to the first.
    fn backward(&mut self, parameters: &Parameters, activation: Activation, inputs: &[f32]) {
        let layers = parameters.layout.layers();
        let rows = inputs.len() / layers[0].inputs;
        for (i, layer) in layers.iter().enumerate().rev() {
            let input = if i == 0 { inputs } else { &self.activations[i - 1] };
            let delta = Matrix::new(&self.delta, rows, layer.outputs);
            let weight_gradient = &mut self.gradients[layer.weight.clone()]; // [outputs, inputs]
            matmul(delta.transposed(), Matrix::new(input, rows, layer.inputs), weight_gradient, false);
            sum_rows(&self.delta, &mut self.gradients[layer.bias.clone()]);
            if i > 0 {
                let weight = Matrix::new(&parameters.values[layer.weight.clone()], layer.outputs, layer.inputs);
                self.delta_input.resize(rows * layer.inputs, 0.0);
                matmul(delta, weight, &mut self.delta_input, false);
                // Only a GELU looks at what went in, and no perceptron has one.
                activation.backward(&[], input, &mut self.delta_input);
                std::mem::swap(&mut self.delta, &mut self.delta_input);
            }
        }
    }
}

/// What the last forward pass gave: `[rows, outputs]`.
fn outputs(activations: &[Vec<f32>]) -> &[f32] {
    activations.last().map_or(&[], Vec::as_slice)
}
