//! Wide layers: each product of a step is split over the threads, whatever the batch size.

use crate::{Batch, Engine, Loss, Parameters, Perceptron, Result};
use kernels::linear::{Blocked, Linear};
use parallel::{parallel_for, with_active_workers};

/// Rows that [`Engine::predict`] computes at a time, which bounds the buffers.
const PREDICT_ROWS: usize = 1024;
/// Outputs whose loss is one task: some tens of microseconds of cross-entropy.
const LOSS_OUTPUTS: usize = 1 << 11;

/// Forward, loss and backward of a whole batch, layer by layer, on [`kernels::linear`].
pub(super) struct Wide {
    perceptron: Perceptron,
    loss: Loss,
    /// Of each layer, its input; last, the network's output: `[rows, features]`.
    activations: Vec<Blocked>,
    /// The network's output, `[rows, outputs]`.
    outputs: Vec<f32>,
    /// Gradient of the loss with respect to it.
    grad_outputs: Vec<f32>,
    /// Gradient of the loss with respect to the current layer's output, `[rows, outputs]`.
    grad_output: Blocked,
    /// The same with respect to its input, `[rows, inputs]`.
    grad_input: Blocked,
}

impl Wide {
    pub fn new(perceptron: Perceptron, loss: Loss) -> Self {
        Self {
            perceptron,
            loss,
            activations: Vec::new(),
            outputs: Vec::new(),
            grad_outputs: Vec::new(),
            grad_output: Blocked::default(),
            grad_input: Blocked::default(),
        }
    }

    /// Forward pass: overwrites `activations` and `outputs` from `inputs` `[rows, inputs]`.
    fn forward(&mut self, parameters: &Parameters, inputs: &[f32]) {
        let layers = parameters.layout.layers().len();
        self.activations.resize_with(layers + 1, Blocked::default);
        let (width, activation) = (self.perceptron.inputs, self.perceptron.activation);
        self.activations[0].pack(inputs, inputs.len() / width, width);
        for (i, (layer, weight, bias)) in parameters.layers().enumerate() {
            let (before, after) = self.activations.split_at_mut(i + 1);
            let (input, output) = (&before[i], &mut after[0]);
            Linear::new(layer.inputs, layer.outputs).forward(weight, bias, input, output, |values| {
                if i + 1 < layers {
                    activation.apply(values);
                }
            });
        }
        self.activations[layers].unpack(&mut self.outputs);
    }

    /// The mean loss over a batch; overwrites `grad_output` with its gradient with respect to the network's output.
    fn loss(&mut self, batch: Batch<'_>, rows: usize) -> f64 {
        let (loss, width) = (self.loss, self.perceptron.outputs);
        let total_weight = loss.total_weight(batch, rows);
        let task_rows = (LOSS_OUTPUTS / width).max(1);
        let outputs = self.outputs.chunks(task_rows * width);
        self.grad_outputs.resize(self.outputs.len(), 0.0);
        let gradients = self.grad_outputs.chunks_mut(task_rows * width);
        let targets = batch.targets.chunks(task_rows * (batch.targets.len() / rows));
        // Without weights, every task has an empty slice.
        let weights = batch.weights.chunks(task_rows).chain(std::iter::repeat(&[][..]));
        let mut terms = vec![0.0; rows.div_ceil(task_rows)];
        let tasks = terms.iter_mut().zip(outputs).zip(gradients).zip(targets).zip(weights);
        parallel_for(tasks, |((((term, outputs), gradients), targets), weights)| {
            let batch = Batch { inputs: &[], targets, weights, ..batch };
            *term = loss.add(outputs, batch, width, total_weight, gradients);
        });
        self.grad_output.pack(&self.grad_outputs, rows, width);
        terms.iter().sum()
    }

    /// Backward pass, last layer first: overwrites `gradients`, from `grad_output` of the network.
    fn backward(&mut self, parameters: &Parameters, gradients: &mut [f32]) {
        let activation = self.perceptron.activation;
        for (i, layer) in parameters.layout.layers().iter().enumerate().rev() {
            let linear = Linear::new(layer.inputs, layer.outputs);
            let (input, grad_output) = (&self.activations[i], &self.grad_output);
            // A bias follows its weight.
            let gradients = &mut gradients[layer.weight.start..layer.bias.end];
            let (grad_weight, grad_bias) = gradients.split_at_mut(layer.weight.len());
            linear.grad_weight(grad_output, input, grad_weight, grad_bias);
            if i > 0 {
                let weight = &parameters.values[layer.weight.clone()];
                linear.grad_input(weight, grad_output, input, &mut self.grad_input, |input, grad| {
                    // Only GELU reads the inputs, and no perceptron has it.
                    activation.backward(&[], input, grad);
                });
                std::mem::swap(&mut self.grad_output, &mut self.grad_input);
            }
        }
    }
}

impl Engine for Wide {
    fn gradients(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        let rows = batch.inputs.len() / self.perceptron.inputs;
        Ok(with_active_workers(|| {
            self.forward(parameters, batch.inputs);
            let loss = self.loss(batch, rows);
            self.backward(parameters, gradients);
            loss
        }))
    }

    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> Result<()> {
        outputs.clear();
        with_active_workers(|| {
            for inputs in inputs.chunks(PREDICT_ROWS * self.perceptron.inputs) {
                self.forward(parameters, inputs);
                outputs.extend_from_slice(&self.outputs);
            }
        });
        Ok(())
    }
}
