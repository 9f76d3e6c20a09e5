//! Work from sizes alone: one formula for a node of an ONNX graph and for an operation of a training step.

use super::{
    Unknown,
    call::{plus, times},
    elementwise,
};

/// Operations of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiply-accumulates.
    pub macs: u64,
    /// Operations: 2 a MAC, and all others.
    pub flops: u64,
}

impl Work {
    /// Of a convolution or a linear layer: each of `outputs` elements is a sum of `depth` products, and with a bias one addition
    /// more. The depth of a convolution is `in_channels / group × kernel`.
    ///
    /// # Errors
    /// [`Unknown::TooLarge`].
    pub fn of_products(outputs: u64, depth: u64, has_bias: bool) -> Result<Self, Unknown> {
        Self::new(times(outputs, depth)?, if has_bias { outputs } else { 0 })
    }

    /// Of pooling: one operation for each of `window` elements of each of `outputs`.
    ///
    /// # Errors
    /// [`Unknown::TooLarge`].
    pub fn of_windows(outputs: u64, window: u64) -> Result<Self, Unknown> {
        Ok(Self::of_flops(times(outputs, window)?))
    }

    /// Of an operator of ONNX that treats `elements` elements alike: of its output, or of its input where the sizes differ.
    ///
    /// # Errors
    /// [`Unknown::Operator`] without a rule for it, [`Unknown::TooLarge`].
    pub fn of_elements(op_type: &str, elements: u64) -> Result<Self, Unknown> {
        let each = elementwise::of_output(op_type).or_else(|| elementwise::of_input(op_type));
        Ok(Self::of_flops(times(elements, each.ok_or_else(|| Unknown::Operator(op_type.to_owned()))?)?))
    }

    /// Multiply-accumulates, and other operations beside them.
    pub(super) fn new(macs: u64, others: u64) -> Result<Self, Unknown> {
        Ok(Self { macs, flops: plus(times(macs, 2)?, others)? })
    }

    /// The sum, if it has 64 bits.
    pub(super) fn plus(self, other: Self) -> Result<Self, Unknown> {
        Ok(Self { macs: plus(self.macs, other.macs)?, flops: plus(self.flops, other.flops)? })
    }

    /// Operations without multiply-accumulates.
    pub(super) fn of_flops(flops: u64) -> Self {
        Self { macs: 0, flops }
    }
}

/// Saturates: for totals over a model.
impl std::ops::Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { macs: self.macs.saturating_add(other.macs), flops: self.flops.saturating_add(other.flops) }
    }
}

/// Saturates: for totals over a model.
impl std::iter::Sum for Work {
    fn sum<I: Iterator<Item = Self>>(works: I) -> Self {
        works.fold(Self::default(), |sum, work| sum + work)
    }
}
