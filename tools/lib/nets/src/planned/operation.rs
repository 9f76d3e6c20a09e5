//! What a step is to the plan that runs it.

/// One operation, planned for a number of rows.
pub(super) trait Operation: Send {
    /// `output` from `inputs`; the second is empty where there is none.
    fn forward(&mut self, inputs: [&[f32]; 2], output: &mut [f32], values: &mut Values<'_>, workspace: &mut Workspace);

    /// The gradients of inputs and parameters, after [`Self::forward`].
    fn backward(&mut self, pass: Backward<'_>, targets: [Target<'_>; 2], workspace: &mut Workspace);
}

/// The parameters.
pub(super) enum Values<'a> {
    /// Of a network that learns, whose statistics follow the batches.
    Learning(&'a mut [f32]),
    /// Of one that is used as it is.
    Fixed(&'a [f32]),
}

impl Values<'_> {
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
    pub output: &'a [f32],
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
