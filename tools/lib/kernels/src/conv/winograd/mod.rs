//! Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray, 2015): tiles of 4 × 4 pixels with a quarter of the products.
//!
//! The 6 × 6 window of a tile is transformed to 36 points, multiplied with the transformed weights at each, and
//! transformed back. Rounding errors are about ten times those of the direct algorithm.

/// An array of an expression for each of the first indices. `[zero; 6]` that is then filled would be filled with
/// zeros first, in memory; a closure could stay a function that is compiled for the baseline.
macro_rules! each {
    (3, $i:ident => $value:expr) => { each!([0 1 2] $i => $value) };
    (4, $i:ident => $value:expr) => { each!([0 1 2 3] $i => $value) };
    (6, $i:ident => $value:expr) => { each!([0 1 2 3 4 5] $i => $value) };
    ([$($index:literal)*] $i:ident => $value:expr) => { [$({ let $i = $index; $value }),*] };
}

mod back;
mod gradient;
mod grid;
mod pass;
mod transform;

use super::{
    Algorithm, ConvShape, GradInput,
    algorithm::{ConvAlgorithm, ConvPass},
};
use crate::{epilogue::Store, isa::Isa, operand::Operand};
use gradient::Gradient;
pub(super) use pass::Pass;

/// Channels are a multiple of this.
pub(super) const LEAST_CHANNELS: usize = grid::HALF;
/// Minimum average number of target pixels per tile for which the transforms pay.
const LEAST_PIXELS: usize = 6;

/// Whether the algorithm supports the shape.
pub(super) fn fits(s: &ConvShape) -> bool {
    s.kernel == 3 && s.stride == 1 && [s.inputs, s.outputs].iter().all(|n| n.is_multiple_of(LEAST_CHANNELS))
}

/// Tiles of an image.
pub(super) fn tiles(s: &ConvShape) -> usize {
    s.out_height().div_ceil(grid::TILE) * s.out_width().div_ceil(grid::TILE)
}

/// Whether it is faster than the direct algorithm.
pub(super) fn pays(s: &ConvShape) -> bool {
    fits(s) && s.out_height() * s.out_width() >= LEAST_PIXELS * tiles(s)
}

/// Whether a thread computes both gradients of an image together, from operands that may have prologues.
pub(super) fn fuses(s: &ConvShape) -> bool {
    // With other padding the blocks of input and output differ.
    pays(s) && s.padding == 1 && Gradient::new(&ConvShape { images: 1, ..*s }).reads_images()
}

/// The plan of a shape.
#[derive(Debug)]
pub(super) struct Winograd {
    forward: Pass,
    backward: Pass,
    gradient: Gradient,
    fuses: bool,
}

impl Winograd {
    /// Of a shape that [`fits`].
    pub fn new(shape: &ConvShape) -> Self {
        Self {
            forward: Pass::forward(shape),
            backward: Pass::backward(shape),
            gradient: Gradient::new(shape),
            fuses: fuses(shape),
        }
    }
}

impl ConvAlgorithm for Winograd {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Winograd
    }

    fn fuses(&self) -> bool {
        self.fuses
    }

    fn forward(&self) -> &dyn ConvPass {
        &self.forward
    }

    fn backward_input(&self) -> &dyn ConvPass {
        &self.backward
    }

    fn backward_workspace_len(&self) -> [usize; 2] {
        self.gradient.workspace_len()
    }

    fn backward(
        &self,
        isa: Isa,
        [input, grad_output]: [Operand<'_>; 2],
        grad_weight: &mut [f32],
        grad_input: Option<GradInput<'_>>,
        workspace: &mut [f32],
    ) {
        if self.fuses {
            let back = grad_input.map(|grad_input| (&self.backward, grad_input));
            return self.gradient.run(isa, [input, grad_output], back, grad_weight, workspace);
        }
        self.gradient.run(isa, [input, grad_output], None, grad_weight, workspace);
        if let Some(GradInput { packed, grad_input, accumulate, .. }) = grad_input {
            self.backward.run(isa, grad_output, packed, grad_input, Store::adding(accumulate), &mut [], workspace);
        }
    }
}
