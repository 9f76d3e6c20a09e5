//! Products of few columns: (left · right)ᵀ = rightᵀ · leftᵀ has few rows instead, and whole lines of columns.

use super::{Isa, Matrix, pack};
use crate::vector::LANES;
use std::cell::RefCell;

thread_local! {
    /// The transposed product.
    static PRODUCT: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Whether the transpose takes less time, by estimates in multiply-adds of a line: of the terms, of packing, and of transposing the
/// product.
pub(super) fn pays(left: Matrix<'_>, right: Matrix<'_>) -> bool {
    let (m, k, n) = (left.rows, left.columns, right.columns);
    let time = |left: Matrix<'_>, right: Matrix<'_>| {
        left.rows * k * right.columns.div_ceil(LANES) + pack::time(right, left.rows)
    };
    time(right.transposed(), left.transposed()) + m * n < time(left, right)
}

/// As [`super::matmul_on`].
pub(super) fn multiply(isa: Isa, left: Matrix<'_>, right: Matrix<'_>, out: &mut [f32], accumulate: bool) {
    let (rows, columns) = (left.rows, right.columns);
    PRODUCT.with_borrow_mut(|product| {
        product.resize(rows * columns, 0.0);
        if accumulate {
            transpose(out, columns, product);
        }
        super::multiply(isa, right.transposed(), left.transposed(), product, accumulate);
        transpose(product, rows, out);
    });
}

/// `to[j][i] = from[i][j]` of rows of `width` elements.
fn transpose(from: &[f32], width: usize, to: &mut [f32]) {
    let rows = from.len() / width;
    for (i, from) in from.chunks_exact(width).enumerate() {
        for (x, to) in from.iter().zip(to[i..].iter_mut().step_by(rows)) {
            *to = *x;
        }
    }
}
