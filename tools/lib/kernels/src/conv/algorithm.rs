//! The interface of an algorithm, and the choice of one.

use super::{
    ConvShape, ConvShapeError, GradInput,
    direct::Direct,
    pass,
    winograd::{self, Winograd},
};
use crate::{epilogue::Store, isa::Isa, operand::Operand};
use std::fmt::Debug;

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// An implicit matrix product (implicit GEMM): the definition, blocked.
    Direct,
    /// Winograd's F(4×4, 3×3): a quarter of the multiplications, about ten times the rounding error.
    Winograd,
}

/// A plan of one shape: both directions, and the gradient of the weights.
pub(super) trait ConvAlgorithm: Debug + Send + Sync {
    fn algorithm(&self) -> Algorithm;

    /// Whether a thread computes both gradients of an image together, from operands that may have prologues.
    fn fuses(&self) -> bool {
        false
    }

    fn forward(&self) -> &dyn ConvPass;

    /// From `grad_output` to `grad_input`.
    fn backward_input(&self) -> &dyn ConvPass;

    /// Elements of workspace of [`Self::backward`] that the threads share, and that each needs.
    fn backward_workspace_len(&self) -> [usize; 2];

    /// Writes `grad_weight` (OIHW) and, if given, `grad_input`. The operands are input and `grad_output`.
    fn backward(
        &self,
        isa: Isa,
        operands: [Operand<'_>; 2],
        grad_weight: &mut [f32],
        grad_input: Option<GradInput<'_>>,
        workspace: &mut [f32],
    );
}

/// One direction of a convolution, from a source to a target (both NHWC).
pub(super) trait ConvPass: Debug + Send + Sync {
    /// Elements of the packed weights.
    fn packed_len(&self) -> usize;

    /// Elements of workspace of a thread.
    fn workspace_len(&self) -> usize;

    /// Blocks of the target.
    fn blocks(&self) -> usize;

    /// Packs weights (OIHW).
    fn pack(&self, isa: Isa, weights: &[f32], packed: &mut [f32]);

    /// Stores the target, and writes the partial statistics of each block unless `statistics` is empty.
    #[allow(clippy::too_many_arguments, reason = "the operands of one product")]
    fn run(
        &self,
        isa: Isa,
        source: Operand<'_>,
        packed: &[f32],
        target: &mut [f32],
        store: Store<'_>,
        statistics: &mut [f32],
        workspace: &mut [f32],
    );
}

/// The faster algorithm. Winograd's needs `least_tiles` of an image: it reads four times as many weights, once for all tiles
/// of a batch.
pub(super) fn choose(shape: &ConvShape, least_tiles: usize) -> Algorithm {
    let pays = winograd::tiles(shape) >= least_tiles && winograd::pays(shape);
    if pays { Algorithm::Winograd } else { Algorithm::Direct }
}

/// # Errors
/// If the algorithm does not support the shape.
pub(super) fn plan(algorithm: Algorithm, shape: &ConvShape) -> Result<Box<dyn ConvAlgorithm>, ConvShapeError> {
    match algorithm {
        Algorithm::Direct => Ok(Box::new(Direct::new(shape))),
        Algorithm::Winograd if winograd::fits(shape) => Ok(Box::new(Winograd::new(shape))),
        Algorithm::Winograd => Err(ConvShapeError::Winograd(*shape)),
    }
}

/// The forward pass alone.
///
/// # Errors
/// As [`plan`].
pub(super) fn plan_forward(algorithm: Algorithm, shape: &ConvShape) -> Result<Box<dyn ConvPass>, ConvShapeError> {
    match algorithm {
        Algorithm::Direct => Ok(Box::new(pass::Pass::forward_of_single_pixels(shape))),
        Algorithm::Winograd if winograd::fits(shape) => Ok(Box::new(winograd::Pass::forward(shape))),
        Algorithm::Winograd => Err(ConvShapeError::Winograd(*shape)),
    }
}
