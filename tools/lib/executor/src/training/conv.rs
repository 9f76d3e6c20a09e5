//! Convolutions.

use super::{
    buffer::Buffer,
    elementwise::activation_backward,
    fusion::{ConvFusion, Step},
    norm::FusedNorm,
    operation::{Backward, Forward, GradInput, Inputs, Operation, Values, Workspace},
};
use kernels::{
    Activation, Epilogue, Operand,
    conv::{self, Conv, ConvShape, ConvShapeError},
    gemm::sum_rows,
};
use std::{mem::take, ops::Range};

pub(super) struct ConvStep {
    conv: Conv,
    weight: Range<usize>,
    trainable: bool,
    bias: Option<Range<usize>>,
    activation: Activation,
    fusion: ConvFusion,
}

impl ConvStep {
    pub fn new(step: &Step, shape: ConvShape, fusion: ConvFusion) -> Result<Self, ConvShapeError> {
        Ok(Self {
            conv: Conv::new(shape)?,
            weight: step.tensors[0].clone(),
            trainable: step.weight_trainable,
            bias: step.tensors.get(1).cloned(),
            activation: step.activation,
            fusion,
        })
    }

    fn workspace<'a>(&self, scratch: &'a mut Buffer) -> &'a mut [f32] {
        scratch.room(self.conv.workspace_len(rayon::current_num_threads()))
    }

    /// The input: `x`, or what the prologue computes.
    fn input<'a>(&self, inputs: Inputs<'a>, norms: &'a [FusedNorm]) -> Operand<'a> {
        match self.fusion.prologue {
            Some(norm) => norms[norm].output(inputs.producer_x),
            None => Operand::Plain(inputs.x),
        }
    }
}

impl Operation for ConvStep {
    fn forward(&mut self, pass: Forward<'_>, norms: &mut [FusedNorm], workspace: &mut Workspace) {
        let Forward { inputs, output: y, values, .. } = pass;
        let Workspace { packed, bias, scratch, .. } = workspace;
        let packed = packed.room(self.conv.packed_forward_len());
        let bias = bias.room(Epilogue::padded_len(self.conv.shape().outputs));
        let workspace = self.workspace(scratch);
        self.conv.pack_forward(&values.get()[self.weight.clone()], packed);
        match (self.fusion.statistics, &values) {
            (Some(norm), Values::Training(_)) => {
                let mut statistics = take(&mut norms[norm].statistics);
                statistics.resize(self.conv.statistics_len(), 0.0);
                let x = self.input(inputs, norms);
                self.conv.forward_with_statistics(x, packed, y, &mut statistics, workspace);
                norms[norm].statistics = statistics;
            }
            _ if self.bias.is_none() && self.activation == Activation::Identity => {
                self.conv.forward(self.input(inputs, norms), packed, y, workspace);
            }
            _ => {
                bias.fill(0.0);
                for range in self.bias.iter() {
                    bias[..range.len()].copy_from_slice(&values.get()[range.clone()]);
                }
                let epilogue = Epilogue { bias, residual: &[], activation: self.activation };
                self.conv.forward_with_epilogue(self.input(inputs, norms), packed, epilogue, y, workspace);
            }
        }
    }

    fn backward(
        &mut self,
        pass: Backward<'_>,
        [grad_input, _]: [GradInput<'_>; 2],
        norms: &mut [FusedNorm],
        workspace: &mut Workspace,
    ) {
        let Backward { inputs, output: y, grad_output, values, gradients, .. } = pass;
        activation_backward(self.activation, &[], y, grad_output);
        let packed = workspace.packed.room(self.conv.packed_backward_len());
        let workspace = self.workspace(&mut workspace.scratch);
        if let Some(bias) = &self.bias {
            sum_rows(grad_output, &mut gradients[bias.clone()]);
        }
        let mut partial_sums = self.fusion.reduction.map(|norm| take(&mut norms[norm].grad_sums)).unwrap_or_default();
        let grad_input = match grad_input {
            GradInput::Write { buffer, accumulate } => {
                self.conv.pack_backward(&values[self.weight.clone()], packed);
                let reduction = self.fusion.reduction.map(|norm| {
                    partial_sums.resize(self.conv.reduction_len(), 0.0);
                    (norms[norm].reduction(inputs.producer_x, inputs.x), &mut partial_sums[..])
                });
                Some(conv::GradInput { packed, grad_input: buffer, accumulate, reduction })
            }
            GradInput::Discard | GradInput::InPlace => None,
        };
        if self.trainable {
            let grad_output = match self.fusion.grad_prologue {
                Some(norm) => norms[norm].grad_input(y, grad_output),
                None => Operand::Plain(grad_output),
            };
            let operands = [self.input(inputs, norms), grad_output];
            self.conv.backward(operands, &mut gradients[self.weight.clone()], grad_input, workspace);
        } else if let Some(conv::GradInput { packed, grad_input, accumulate, .. }) = grad_input {
            self.conv.backward_input(grad_output, packed, grad_input, accumulate, workspace);
        }
        if let Some(norm) = self.fusion.reduction {
            norms[norm].grad_sums = partial_sums;
        }
    }
}
