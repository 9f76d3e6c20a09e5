//! The fast training step of an MLP: preallocated buffers, no graph.

use crate::{Adam, AdamOptions, Architecture, Engine, Parameters, Result};
use kernels::matmul::{Matrix, matmul};

/// Forward, loss, backward and Adam on one thread, in buffers that are allocated once.
///
/// Two threads do not pay at these sizes: a step takes tens of microseconds.
pub struct FusedMlp {
    architecture: Architecture,
    parameters: Parameters,
    gradients: Vec<f32>,
    optimizer: Adam,
    /// For each layer, its output after the activation: `[rows, outputs]`.
    activations: Vec<Vec<f32>>,
    /// The loss's gradient with respect to a layer's output, and to its input: `[rows, width]`.
    delta: Vec<f32>,
    delta_input: Vec<f32>,
}

impl FusedMlp {
    /// Starts from `parameters`.
    pub fn new(architecture: &Architecture, parameters: Parameters, optimizer: AdamOptions) -> Self {
        let count = parameters.values.len();
        Self {
            architecture: architecture.clone(),
            gradients: vec![0.0; count],
            optimizer: Adam::new(optimizer, count),
            activations: vec![Vec::new(); parameters.layout.layers().len()],
            parameters,
            delta: Vec::new(),
            delta_input: Vec::new(),
        }
    }

    /// The gradients of the last step, laid out as the parameters are.
    pub fn gradients(&self) -> &[f32] {
        &self.gradients
    }

    /// Fills `activations` from `inputs` `[rows, inputs]`.
    fn forward(&mut self, inputs: &[f32]) {
        let rows = inputs.len() / self.architecture.inputs;
        let last = self.activations.len() - 1;
        for (i, (layer, weight, bias)) in self.parameters.layers().enumerate() {
            let (before, rest) = self.activations.split_at_mut(i);
            let input = before.last().map_or(inputs, Vec::as_slice); // [rows, layer.inputs]
            let output = &mut rest[0]; // [rows, layer.outputs]
            output.clear();
            (0..rows).for_each(|_| output.extend_from_slice(bias));
            let weight = Matrix::new(weight, layer.outputs, layer.inputs);
            matmul(Matrix::new(input, rows, layer.inputs), weight.transposed(), output, true);
            if i < last {
                self.architecture.activation.apply(output);
            }
        }
    }

    /// The loss of the last forward pass; leaves its gradient with respect to the output in `delta`.
    fn loss(&mut self, targets: &[f32]) -> f64 {
        let outputs = &self.activations[self.activations.len() - 1];
        let count = targets.len() as f64;
        let scale = (2.0 / count) as f32;
        let mut squares = 0.0;
        self.delta.clear();
        self.delta.extend(outputs.iter().zip(targets).map(|(output, target)| {
            let error = output - target;
            squares += f64::from(error) * f64::from(error);
            scale * error
        }));
        squares / count
    }

    /// Fills `gradients`, from the last layer to the first.
    fn backward(&mut self, inputs: &[f32]) {
        let rows = inputs.len() / self.architecture.inputs;
        for (i, layer) in self.parameters.layout.layers().iter().enumerate().rev() {
            let input = if i == 0 { inputs } else { &self.activations[i - 1] };
            let delta = Matrix::new(&self.delta, rows, layer.outputs);
            let weight_gradient = &mut self.gradients[layer.weight.clone()]; // [outputs, inputs]
            matmul(delta.transposed(), Matrix::new(input, rows, layer.inputs), weight_gradient, false);
            sum_rows(&self.delta, &mut self.gradients[layer.bias.clone()]);
            if i > 0 {
                let weight = Matrix::new(&self.parameters.values[layer.weight.clone()], layer.outputs, layer.inputs);
                self.delta_input.resize(rows * layer.inputs, 0.0);
                matmul(delta, weight, &mut self.delta_input, false);
                self.architecture.activation.backward(input, &mut self.delta_input);
                std::mem::swap(&mut self.delta, &mut self.delta_input);
            }
        }
    }
}

impl Engine for FusedMlp {
    fn step(&mut self, inputs: &[f32], targets: &[f32]) -> Result<f64> {
        self.forward(inputs);
        let loss = self.loss(targets);
        self.backward(inputs);
        self.optimizer.step(&mut self.parameters.values, &self.gradients);
        Ok(loss)
    }

    fn predict(&mut self, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()> {
        self.forward(inputs);
        outputs.clear();
        outputs.extend_from_slice(&self.activations[self.activations.len() - 1]);
        Ok(())
    }

    fn parameters(&self) -> Result<Parameters> {
        Ok(self.parameters.clone())
    }
}

/// The sum over rows of `matrix` `[rows, sums.len()]`.
fn sum_rows(matrix: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    for row in matrix.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}
