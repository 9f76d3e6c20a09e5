//! A convolution's operand with an optional fused prologue: the batch normalization that produces it.

use crate::{
    isa::Isa,
    norm::kernels::{self, Factors},
};
use std::ops::Range;

/// A tensor that a convolution reads block by block, NHWC.
///
/// With a prologue, the thread that reads a block applies the normalization to it while it is in a cache; the result is
/// never written to memory. Only plans that fuse ([`crate::conv::Conv::fuses`]) take operands with a prologue.
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a> {
    /// No prologue.
    Plain(&'a [f32]),
    /// The output of a batch normalization, from its input: [`crate::norm::BatchNorm::normalized`].
    Normalized(Normalized<'a>),
    /// The gradient of a batch normalization's input, from that of its output: [`crate::norm::BatchNorm::grad_input_operand`].
    GradInput(NormGradInput<'a>),
}

/// The prologue `relu(y · scale + shift)`; `scale` and `shift` are rows as in [`crate::norm::wide`].
#[derive(Debug, Clone, Copy)]
pub struct Normalized<'a> {
    pub(crate) isa: Isa,
    pub(crate) y: &'a [f32],
    pub(crate) scale: &'a [f32],
    pub(crate) shift: &'a [f32],
    pub(crate) relu: bool,
}

/// The prologue of a batch normalization's backward pass, from its input `y` and the gradient of its output.
#[derive(Debug, Clone, Copy)]
pub struct NormGradInput<'a> {
    pub(crate) isa: Isa,
    pub(crate) y: &'a [f32],
    pub(crate) grad_output: &'a [f32],
    pub(crate) factors: Factors<'a>,
    pub(crate) relu: bool,
}

impl<'a> Operand<'a> {
    /// Elements.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Plain(values) => values.len(),
            Self::Normalized(norm) => norm.y.len(),
            Self::GradInput(norm) => norm.y.len(),
        }
    }

    /// The elements in `range`, whole pixels: computed in `workspace` if there is a prologue.
    pub(crate) fn read<'b>(&self, range: Range<usize>, workspace: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Self::Plain(values) => &values[range],
            Self::Normalized(norm) => {
                let out = &mut workspace[..range.len()];
                kernels::normalize(norm.isa, &norm.y[range], norm.scale, norm.shift, &[], norm.relu, out);
                out
            }
            Self::GradInput(norm) => {
                let out = &mut workspace[..range.len()];
                let (y, grad_output) = (&norm.y[range.clone()], &norm.grad_output[range]);
                kernels::propagate(norm.isa, y, grad_output, norm.factors, norm.relu, out);
                out
            }
        }
    }

    /// The tensor.
    ///
    /// # Panics
    /// If there is a prologue.
    pub(crate) fn values(&self) -> &'a [f32] {
        self.plain().expect("plans that do not fuse refuse operands with a prologue")
    }

    /// The tensor, if there is no prologue.
    pub fn plain(&self) -> Option<&'a [f32]> {
        match self {
            Self::Plain(values) => Some(values),
            Self::Normalized(_) | Self::GradInput(_) => None,
        }
    }
}
