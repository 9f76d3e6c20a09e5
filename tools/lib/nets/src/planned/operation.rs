//! What a step is to the plan that runs it.

use super::{buffer::Buffer, norm::NormStep};

/// One operation, planned for a number of rows.
pub(super) trait Operation: Send + Sync {
    /// The output.
    fn forward(&mut self, pass: Forward<'_>, workspace: &mut Workspace);

    /// The gradients of inputs and parameters, after [`Self::forward`].
    fn backward(&mut self, pass: Backward<'_>, targets: [Target<'_>; 2], workspace: &mut Workspace);

    /// Itself, if it is a norm.
    fn norm(&self) -> Option<&NormStep> {
        None
    }
}

/// The norm that a first input comes from.
pub(super) struct Before<'a> {
    pub norm: &'a NormStep,
    pub index: usize,
    /// Its own first input.
    pub input: &'a [f32],
    /// What it leaves to this step: its result, and the sums over the gradient of that.
    pub result: bool,
    pub sums: bool,
}

/// What the way forth starts from.
pub(super) struct Forward<'a> {
    /// The second is empty where there is none, and either where it is not kept.
    pub inputs: [&'a [f32]; 2],
    pub before: Option<Before<'a>>,
    /// Empty where it is not kept.
    pub output: &'a mut [f32],
    pub values: Values<'a>,
}

/// The parameters.
pub(super) enum Values<'a> {
    /// Of a network that learns, whose statistics follow the batches.
    Learning(&'a mut [f32]),
    /// Of one that is used as it is.
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

/// What the way back starts from.
pub(super) struct Backward<'a> {
    /// These three as in [`Forward`].
    pub inputs: [&'a [f32]; 2],
    pub before: Option<Before<'a>>,
    pub output: &'a [f32],
    /// The norm that takes the output, where it leaves the gradient of that to this step.
    pub after: Option<&'a NormStep>,
    /// The gradient of the output, or of that of the norm after it; what is left in it goes to the input with
    /// [`Target::InPlace`].
    pub delta: &'a mut [f32],
    pub values: &'a [f32],
    /// Of the parameters.
    pub gradients: &'a mut [f32],
}

/// Where the gradient of an input goes.
pub(super) enum Target<'a> {
    Nowhere,
    InPlace,
    To { gradient: &'a mut [f32], accumulate: bool },
}

/// Memory that steps use one after the other.
#[derive(Default)]
pub(super) struct Workspace {
    /// A convolution's weights.
    pub packed: Buffer,
    pub scratch: Buffer,
    /// Of each step, what a convolution tells the norm after it.
    pub moments: Vec<Vec<f32>>,
    /// Of each step, what a convolution tells the norm before it.
    pub records: Vec<Vec<f32>>,
}

impl Workspace {
    /// Makes room for so many steps.
    pub fn fit(&mut self, steps: usize) {
        [&mut self.moments, &mut self.records].into_iter().for_each(|each| each.resize_with(steps, Vec::new));
    }
}
