//! Winograd's minimal filtering F(4×4, 3×3): tiles of 4 × 4 pixels for a quarter of the products.
//!
//! A tile's window of 6 × 6 source pixels is transformed to 36 points, where it is multiplied with the
//! transformed weights, and back. Rounding errors are some ten times those of the direct method.

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

/// Channels come by so many.
pub(super) const LEAST_CHANNELS: usize = grid::HALF;
/// Target pixels that a tile has on average, at least, for it to be worth its transforms.
const LEAST_PIXELS: usize = 6;

/// Whether the method computes such a layer.
pub(super) fn fits(s: &ConvShape) -> bool {
    s.kernel == 3 && s.stride == 1 && [s.inputs, s.outputs].iter().all(|n| n.is_multiple_of(LEAST_CHANNELS))
}

/// Whether it is faster than the direct method in doing so.
pub(super) fn pays(s: &ConvShape) -> bool {
    let tiles = s.out_height().div_ceil(grid::TILE) * s.out_width().div_ceil(grid::TILE);
    fits(s) && s.out_height() * s.out_width() >= LEAST_PIXELS * tiles
}

/// Whether a thread makes both gradients of an image at once, of operands that need not be ready.
pub(super) fn fuses(s: &ConvShape) -> bool {
    // Of other padding the input is not cut as the output is.
    pays(s) && s.padding == 1 && Gradient::new(&ConvShape { images: 1, ..*s }).reads_images()
}
