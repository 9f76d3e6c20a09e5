//! Batch normalization, fused with the sum and the ReLU after it.

use super::{
    elementwise::add,
    fusion::{NormFusion, Pass, Step},
    operation::{Backward, Forward, GradInput, NormId, Operation, Values, Workspace, both},
};
use kernels::{
    Activation, Operand,
    norm::{BackwardPass, BatchNorm, BatchNormOptions, Epilogue, ForwardEpilogue, Reduction, RunningStatistics},
};
use std::ops::Range;

/// A batch normalization with its statistics. Its own step and the convolutions around it work on it.
pub(super) struct FusedNorm {
    norm: BatchNorm,
    /// Partial sums of its input, for the batch statistics: written by the epilogue of the producer.
    pub statistics: Vec<f32>,
    /// Partial sums over `grad_output`, for the gradients of γ and β: written by the backward pass of a consumer.
    pub grad_sums: Vec<f32>,
    scale: Range<usize>,
    shift: Range<usize>,
    mean: Range<usize>,
    variance: Range<usize>,
    activation: FusedActivation,
    fusion: NormFusion,
}

/// What follows the normalization in the same pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FusedActivation {
    /// Nothing, or only the sum with the second input.
    Linear,
    Relu,
    /// The sum with the second input, then a ReLU.
    ResidualRelu,
}

impl FusedNorm {
    pub fn new(step: &Step, rows: usize, options: BatchNormOptions, fusion: NormFusion) -> Self {
        let channels = step.shapes[0][0];
        let pixels = rows * step.width() / channels;
        let tensor = |i: usize| step.tensors[i].clone();
        Self {
            norm: BatchNorm::new(pixels, channels, options),
            statistics: Vec::new(),
            grad_sums: Vec::new(),
            scale: tensor(0),
            shift: tensor(1),
            mean: tensor(2),
            variance: tensor(3),
            activation: match (step.activation == Activation::Relu, step.inputs.len() > 1) {
                (false, _) => FusedActivation::Linear,
                (true, false) => FusedActivation::Relu,
                (true, true) => FusedActivation::ResidualRelu,
            },
            fusion,
        }
    }

    /// Sets mean and variance: those of the batch in training, updating the running ones; else the running ones.
    fn update_statistics(&mut self, x: &[f32], values: &mut Values<'_>) {
        match values {
            Values::Training(values) => {
                let [mean, variance] = both(values, &self.mean, &self.variance);
                let running = RunningStatistics { mean, variance };
                match self.fusion.statistics {
                    Pass::Fused => self.norm.combine_statistics(&self.statistics, running),
                    Pass::Own => self.norm.compute_statistics(x, running),
                }
            }
            Values::Evaluation(values) => {
                self.norm.set_statistics(&values[self.mean.clone()], &values[self.variance.clone()])
            }
        }
    }

    /// Prologue of the consumer: the output, computed from the input `y` on the fly.
    pub fn output<'a>(&'a self, y: &'a [f32]) -> Operand<'a> {
        self.norm.normalized(y, self.activation != FusedActivation::Linear)
    }

    /// Epilogue of the consumer's backward pass: partial sums over the gradient of the output `z`.
    pub fn reduction<'a>(&'a self, y: &'a [f32], z: &'a [f32]) -> Reduction<'a> {
        self.norm.reduction(y, self.forward_epilogue(z))
    }

    /// Prologue of the producer's backward pass: `grad_input`, computed from `grad_output` on the fly.
    pub fn grad_input<'a>(&'a self, y: &'a [f32], grad_output: &'a [f32]) -> Operand<'a> {
        self.norm.grad_input_operand(y, grad_output, self.masks_grad_output())
    }

    fn forward_epilogue<'a>(&self, z: &'a [f32]) -> ForwardEpilogue<'a> {
        match self.activation {
            FusedActivation::Linear => ForwardEpilogue::Linear,
            FusedActivation::Relu => ForwardEpilogue::Relu,
            FusedActivation::ResidualRelu => ForwardEpilogue::ResidualRelu { z },
        }
    }

    /// Whether `grad_output` is still to be masked by the ReLU. With a residual, the pass over the sums has masked it.
    fn masks_grad_output(&self) -> bool {
        self.activation == FusedActivation::Relu
    }
}

/// The step of a [`FusedNorm`]: the passes that are not fused into convolutions.
pub(super) struct NormStep(pub NormId);

impl Operation for NormStep {
    fn forward(&mut self, pass: Forward<'_>, norms: &mut [FusedNorm], _: &mut Workspace) {
        let Forward { inputs, output: z, mut values, .. } = pass;
        let norm = &mut norms[self.0];
        norm.update_statistics(inputs.x, &mut values);
        let [weight, bias] = [&norm.scale, &norm.shift].map(|range| &values.get()[range.clone()]);
        match norm.fusion.output {
            Pass::Fused => norm.norm.prepare(weight, bias),
            Pass::Own => {
                let residual = (!inputs.residual.is_empty()).then_some(inputs.residual);
                let epilogue = Epilogue { residual, relu: norm.activation != FusedActivation::Linear };
                norm.norm.forward(inputs.x, weight, bias, epilogue, z);
            }
        }
    }

    fn backward(
        &mut self,
        pass: Backward<'_>,
        [grad_input, grad_residual]: [GradInput<'_>; 2],
        norms: &mut [FusedNorm],
        workspace: &mut Workspace,
    ) {
        let Backward { inputs, output, grad_output, gradients, .. } = pass;
        let (norm, y) = (&mut norms[self.0], inputs.x);
        let [grad_weight, grad_bias] = both(gradients, &norm.scale, &norm.shift);
        match norm.fusion.reduction {
            Pass::Fused => norm.norm.finish_reduction(&norm.grad_sums, grad_weight, grad_bias),
            Pass::Own => {
                let epilogue = norm.forward_epilogue(output);
                norm.norm.reduce(BackwardPass { y, epilogue, grad_weight, grad_bias }, grad_output);
            }
        }
        let relu = norm.masks_grad_output();
        match (norm.fusion.grad_input, grad_input) {
            (Pass::Fused, _) | (Pass::Own, GradInput::Discard) => (),
            (Pass::Own, GradInput::InPlace) => norm.norm.grad_input(y, grad_output, relu, None),
            (Pass::Own, GradInput::Write { buffer, accumulate: false }) => {
                norm.norm.grad_input(y, grad_output, relu, Some(buffer));
            }
            (Pass::Own, GradInput::Write { buffer, accumulate: true }) => {
                let own = workspace.scratch.room(grad_output.len());
                norm.norm.grad_input(y, grad_output, relu, Some(own));
                add(buffer, own, true);
            }
        }
        // The residual gets the masked gradient.
        if let GradInput::Write { buffer, accumulate } = grad_residual {
            add(buffer, grad_output, accumulate);
        }
    }
}
