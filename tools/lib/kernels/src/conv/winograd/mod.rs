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

use super::shape::ConvShape;
pub(super) use gradient::Gradient;
pub(super) use pass::Pass;

/// Channels are a multiple of this.
pub(super) const LEAST_CHANNELS: usize = grid::HALF;
/// Minimum average number of target pixels per tile for which the transforms pay.
const LEAST_PIXELS: usize = 6;

/// Whether the algorithm supports the shape.
pub(super) fn fits(s: &ConvShape) -> bool {
    s.kernel == 3 && s.stride == 1 && [s.inputs, s.outputs].iter().all(|n| n.is_multiple_of(LEAST_CHANNELS))
}

/// Whether it is faster than the direct algorithm.
pub(super) fn pays(s: &ConvShape) -> bool {
    let tiles = s.out_height().div_ceil(grid::TILE) * s.out_width().div_ceil(grid::TILE);
    fits(s) && s.out_height() * s.out_width() >= LEAST_PIXELS * tiles
}

/// Whether a thread computes both gradients of an image together, from operands that may have prologues.
pub(super) fn fuses(s: &ConvShape) -> bool {
    // With other padding the blocks of input and output differ.
    pays(s) && s.padding == 1 && Gradient::new(&ConvShape { images: 1, ..*s }).reads_images()
}
