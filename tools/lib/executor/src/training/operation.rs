//! The interface of a step.

use super::{buffer::Buffer, norm::FusedNorm};
use kernels::linear::Blocked;
use std::ops::Range;

/// A step for a fixed number of rows.
pub(super) trait Operation: Send + Sync {
    /// Overwrites the output. `norms` are those of the network, by [`NormId`].
    fn forward(&mut self, pass: Forward<'_>, norms: &mut [FusedNorm], workspace: &mut Workspace);

    /// Computes the gradients of inputs and parameters. [`Self::forward`] of the same batch came before.
    fn backward(
        &mut self,
        pass: Backward<'_>,
        grad_inputs: [GradInput<'_>; 2],
        norms: &mut [FusedNorm],
        workspace: &mut Workspace,
    );
}

/// Index of a batch normalization among those of the network.
pub(super) type NormId = usize;

/// Values that a step reads.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    /// The first input; empty if it is computed by a prologue, and not stored.
    pub x: &'a [f32],
    /// The second input; empty if there is none.
    pub residual: &'a [f32],
    /// The first input of the step that produces `x`, which a prologue starts from; empty for the network's input.
    pub producer_x: &'a [f32],
}

/// Arguments of a forward pass.
pub(super) struct Forward<'a> {
    pub inputs: Inputs<'a>,
    /// Empty if the consumer's prologue computes it.
    pub output: &'a mut [f32],
    pub values: Values<'a>,
    /// What the step keeps for its backward pass beside its output.
    pub saved: &'a mut Vec<Blocked>,
}

/// The parameters, by mode.
pub(super) enum Values<'a> {
    /// Training: batch statistics, and running statistics are updated.
    Training(&'a mut [f32]),
    /// Evaluation: running statistics.
    Evaluation(&'a [f32]),
}

impl Values<'_> {
    pub fn reborrow(&mut self) -> Values<'_> {
        match self {
            Self::Training(values) => Values::Training(values),
            Self::Evaluation(values) => Values::Evaluation(values),
        }
    }

    pub fn get(&self) -> &[f32] {
        match self {
            Self::Training(values) => values,
            Self::Evaluation(values) => values,
        }
    }
}

/// Arguments of a backward pass.
pub(super) struct Backward<'a> {
    /// As in [`Forward`].
    pub inputs: Inputs<'a>,
    /// As in [`Forward`].
    pub output: &'a [f32],
    /// Where the consumer's `grad_input` is a prologue of this step, this is the `grad_output` of the consumer. With
    /// [`GradInput::InPlace`], it is overwritten by `grad_input`.
    pub grad_output: &'a mut [f32],
    pub values: &'a [f32],
    /// Gradients of the parameters.
    pub gradients: &'a mut [f32],
    /// As in [`Forward`].
    pub saved: &'a [Blocked],
}

/// Destination of the gradient of an input.
pub(super) enum GradInput<'a> {
    /// Not needed.
    Discard,
    /// Overwrites `grad_output`.
    InPlace,
    /// Written to `buffer`, or with `accumulate` added to it.
    Write { buffer: &'a mut [f32], accumulate: bool },
}

/// Memory shared by the steps; its contents are unspecified between them.
#[derive(Default)]
pub(super) struct Workspace {
    /// The packed weights of a convolution.
    pub packed: Buffer,
    /// The bias of a convolution, in whole vectors.
    pub bias: Buffer,
    pub scratch: Buffer,
    /// Gradients of the output and the input of a linear layer.
    pub blocked: [Blocked; 2],
}

/// Two disjoint tensors of one buffer, mutably.
pub(super) fn both<'a>(values: &'a mut [f32], one: &Range<usize>, other: &Range<usize>) -> [&'a mut [f32]; 2] {
    values.get_disjoint_mut([one.clone(), other.clone()]).expect("tensors of a layout do not overlap")
}
