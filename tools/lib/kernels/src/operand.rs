//! What a layer reads: activations or their gradients, perhaps with something still to be done to them.

use crate::{
    isa::Isa,
    norm::kernels::{self, Factors},
};
use std::ops::Range;

/// Numbers that are read piece by piece.
///
/// What a norm makes of them is then made while a piece is in a cache, by the thread that needs it, and never
/// written to memory.
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a> {
    /// Numbers as they are.
    Ready(&'a [f32]),
    /// The result of a norm: [`crate::norm::BatchNorm::normalized`].
    Normalized(Normalized<'a>),
    /// The gradient of a norm's input: [`crate::norm::BatchNorm::propagated`].
    Propagated(Propagated<'a>),
}

/// A norm's input, and what is to be made of it.
#[derive(Debug, Clone, Copy)]
pub struct Normalized<'a> {
    pub(crate) isa: Isa,
    pub(crate) y: &'a [f32],
    pub(crate) scale: &'a [f32],
    pub(crate) shift: &'a [f32],
    pub(crate) relu: bool,
}

/// A norm's input and the gradient of its result, and what is to be made of both.
#[derive(Debug, Clone, Copy)]
pub struct Propagated<'a> {
    pub(crate) isa: Isa,
    pub(crate) y: &'a [f32],
    pub(crate) delta: &'a [f32],
    pub(crate) factors: Factors<'a>,
    pub(crate) relu: bool,
}

impl<'a> Operand<'a> {
    /// How many numbers there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ready(values) => values.len(),
            Self::Normalized(norm) => norm.y.len(),
            Self::Propagated(norm) => norm.y.len(),
        }
    }

    /// The numbers in `range`, which begins and ends with a pixel: made in `scratch`, unless they are ready.
    pub(crate) fn read<'b>(&self, range: Range<usize>, scratch: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Self::Ready(values) => &values[range],
            Self::Normalized(norm) => {
                let out = &mut scratch[..range.len()];
                kernels::normalize(norm.isa, &norm.y[range], norm.scale, norm.shift, &[], norm.relu, out);
                out
            }
            Self::Propagated(norm) => {
                let out = &mut scratch[..range.len()];
                let (y, delta) = (&norm.y[range.clone()], &norm.delta[range]);
                kernels::propagate(norm.isa, y, delta, norm.factors, norm.relu, out);
                out
            }
        }
    }

    /// The numbers, where nothing is left to be done to them.
    pub fn ready(&self) -> Option<&'a [f32]> {
        match self {
            Self::Ready(values) => Some(values),
            Self::Normalized(_) | Self::Propagated(_) => None,
        }
    }
}
