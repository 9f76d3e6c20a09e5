//! The interface of a step.

use super::{buffer::Buffer, norm::NormStep};

/// A step for a fixed number of rows.
pub(super) trait Operation: Send + Sync {
    /// Overwrites the output.
    fn forward(&mut self, pass: Forward<'_>, workspace: &mut Workspace);

    /// Computes the gradients of inputs and parameters. [`Self::forward`] of the same batch came before.
    fn backward(&mut self, pass: Backward<'_>, targets: [Target<'_>; 2], workspace: &mut Workspace);

    /// Self, if it is a norm.
    fn norm(&self) -> Option<&NormStep> {
        None
    }
}

/// The norm that the first input comes from, if it does.
pub(super) struct Before<'a> {
    pub norm: &'a NormStep,
    pub index: usize,
    /// The first input of the norm.
    pub input: &'a [f32],
    /// Whether its output, and the partial sums over the gradient of its output, are fused into this step.
    pub result: bool,
    pub sums: bool,
}

/// Arguments of a forward pass.
pub(super) struct Forward<'a> {
    /// The second is empty if there is none; either is empty if it is fused and not stored.
    pub inputs: [&'a [f32]; 2],
    pub before: Option<Before<'a>>,
    /// Empty if it is fused and not stored.
    pub output: &'a mut [f32],
    pub values: Values<'a>,
}

/// The parameters, by mode.
pub(super) enum Values<'a> {
    /// Training: batch statistics, and running statistics are updated.
    Learning(&'a mut [f32]),
    /// Evaluation: running statistics.
    Fixed(&'a [f32]),
}

impl Values<'_> {
    pub fn reborrow(&mut self) -> Values<'_> {
        match self {
            Self::Learning(values) => Values::Learning(values),
            Self::Fixed(values) => Values::Fixed(values),
        }
    }

    pub fn get(&self) -> &[f32] {
        match self {
            Self::Learning(values) => values,
            Self::Fixed(values) => values,
        }
    }
}

/// Arguments of a backward pass.
pub(super) struct Backward<'a> {
    /// This, `before` and `output` as in [`Forward`].
    pub inputs: [&'a [f32]; 2],
    pub before: Option<Before<'a>>,
    pub output: &'a [f32],
    /// The norm that reads the output, if its `grad_input` is fused into this step.
    pub after: Option<&'a NormStep>,
    /// `grad_output`, or with `after` that of the norm. With [`Target::InPlace`], it is overwritten by `grad_input`.
    pub delta: &'a mut [f32],
    pub values: &'a [f32],
    /// Gradients of the parameters.
    pub gradients: &'a mut [f32],
}

/// Destination of the gradient of an input.
pub(super) enum Target<'a> {
    Nowhere,
    InPlace,
    To { gradient: &'a mut [f32], accumulate: bool },
}

/// Scratch memory shared by the steps, and partial sums that one step leaves to another.
#[derive(Default)]
pub(super) struct Workspace {
    /// The weight panels of a convolution.
    pub packed: Buffer,
    pub scratch: Buffer,
    /// For each convolution, partial sums of its output: the batch statistics of the norm after it.
    pub moments: Vec<Vec<f32>>,
    /// For each norm, partial sums over the gradient of its output, written by the convolution after it.
    pub records: Vec<Vec<f32>>,
}

impl Workspace {
    /// Allocates entries for `steps` steps.
    pub fn fit(&mut self, steps: usize) {
        [&mut self.moments, &mut self.records].into_iter().for_each(|each| each.resize_with(steps, Vec::new));
    }
}
