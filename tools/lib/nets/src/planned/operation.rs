//! What a step is to the plan that runs it.

use kernels::Operand;

/// One operation, planned for a number of rows.
pub(super) trait Operation: Send + Sync {
    /// The output.
    fn forward(&mut self, pass: Forward<'_>, workspace: &mut Workspace);

    /// The gradients of inputs and parameters, after [`Self::forward`].
    fn backward(&mut self, pass: Backward<'_>, targets: [Target<'_>; 2], workspace: &mut Workspace);

    /// Its output, where that is not kept, from its input: for the step after it.
    fn output<'a>(&'a self, input: &'a [f32]) -> Operand<'a> {
        Operand::Ready(input)
    }

    /// The gradient of its input, where that is not kept, from its input and the gradient of its output: for the step
    /// before it.
    fn input_gradient<'a>(&'a self, _input: &'a [f32], delta: &'a [f32]) -> Operand<'a> {
        Operand::Ready(delta)
    }
}

/// What the way forth starts from.
pub(super) struct Forward<'a> {
    /// The second is empty where there is none.
    pub inputs: [&'a [f32]; 2],
    /// The step that takes the first input and keeps no output.
    pub before: Option<&'a dyn Operation>,
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
    pub inputs: [&'a [f32]; 2],
    /// As in [`Forward`].
    pub before: Option<&'a dyn Operation>,
    pub output: &'a [f32],
    /// The step that takes the output and keeps no gradient of it: `delta` is the gradient of its own output.
    pub after: Option<&'a dyn Operation>,
    /// The gradient of the output; what is left in it goes to the input with [`Target::InPlace`].
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
    pub packed: Vec<f32>,
    pub scratch: Vec<f32>,
    /// Of each step, what a convolution tells the norm after it.
    pub moments: Vec<Vec<f32>>,
}

/// The first `len` elements, with what they held before.
pub(super) fn room(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}
