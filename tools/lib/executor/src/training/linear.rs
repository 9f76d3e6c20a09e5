//! Consecutive linear layers, each with its bias and activation: their activations stay in blocks of rows.

use super::{
    Graph,
    elementwise::{activation_backward, add},
    norm::FusedNorm,
    operation::{Backward, Forward, GradInput, Operation, Workspace, both},
};
use kernels::{
    Activation,
    linear::{Blocked, Linear},
};
use std::{mem::swap, ops::Range};

/// `activation(x · weightᵀ + bias)`
#[derive(Debug, Clone)]
pub(super) struct LinearAct {
    pub inputs: usize,
    pub outputs: usize,
    /// `[outputs, inputs]`
    pub weight: Range<usize>,
    /// `[outputs]`
    pub bias: Range<usize>,
    /// One whose derivative follows from its output.
    pub activation: Activation,
}

impl LinearAct {
    /// A layer without activation, with these tensors.
    pub fn new(graph: Graph<'_>, weight: usize, bias: usize) -> Self {
        let tensors = graph.layout.tensors();
        Self {
            inputs: tensors[weight].shape[1],
            outputs: tensors[weight].shape[0],
            weight: tensors[weight].range.clone(),
            bias: tensors[bias].range.clone(),
            activation: Activation::Identity,
        }
    }

    fn kernel(&self) -> Linear {
        Linear::new(self.inputs, self.outputs)
    }
}

/// A chain of layers whose products are split over the threads, whatever the batch size.
pub(super) struct LinearStep(pub Vec<LinearAct>);

impl Operation for LinearStep {
    /// Saves the input of each layer, and the output of the last: `[rows, features]`.
    fn forward(&mut self, pass: Forward<'_>, _: &mut [FusedNorm], _: &mut Workspace) {
        let Forward { inputs, output, values, saved } = pass;
        let values = values.get();
        saved.resize_with(self.0.len() + 1, Blocked::default);
        let width = self.0[0].inputs;
        saved[0].pack(inputs.x, inputs.x.len() / width, width);
        for (i, layer) in self.0.iter().enumerate() {
            let (before, after) = saved.split_at_mut(i + 1);
            let (weight, bias) = (&values[layer.weight.clone()], &values[layer.bias.clone()]);
            layer.kernel().forward(weight, bias, &before[i], &mut after[0], layer.activation);
        }
        saved[self.0.len()].unpack(output);
    }

    fn backward(
        &mut self,
        pass: Backward<'_>,
        [grad_input, _]: [GradInput<'_>; 2],
        _: &mut [FusedNorm],
        workspace: &mut Workspace,
    ) {
        let Backward { output, grad_output, values, gradients, saved, .. } = pass;
        let Workspace { scratch, blocked: [current, next], .. } = workspace;
        let last = &self.0[self.0.len() - 1];
        activation_backward(last.activation, &[], output, grad_output);
        current.pack(grad_output, grad_output.len() / last.outputs, last.outputs);
        for (i, layer) in self.0.iter().enumerate().rev() {
            let [grad_weight, grad_bias] = both(gradients, &layer.weight, &layer.bias);
            layer.kernel().grad_weight(current, &saved[i], grad_weight, grad_bias);
            if i > 0 {
                let (weight, activation) = (&values[layer.weight.clone()], self.0[i - 1].activation);
                layer.kernel().grad_input(weight, current, &saved[i], next, activation);
                swap(current, next);
            }
        }
        if let GradInput::Write { buffer, accumulate } = grad_input {
            let layer = &self.0[0];
            layer.kernel().grad_input(&values[layer.weight.clone()], current, &saved[0], next, Activation::Identity);
            if accumulate {
                let own = scratch.room(buffer.len());
                next.unpack(own);
                add(buffer, own, true);
            } else {
                next.unpack(buffer);
            }
        }
    }
}
