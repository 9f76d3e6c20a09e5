//! Matrix products with the same bits on every processor.
//!
//! An element of the product is accumulated over k in ascending order, each term by a fused multiply-add. Blocks, tiles and
//! vector widths only decide which elements are computed together, so that instruction sets differ in speed alone.
//!
//! The right operand is read in panels of 64 columns by up to 128 rows. A panel that is contiguous is read where it lies;
//! otherwise it is packed first, which also transposes. The left operand is never packed: a tile broadcasts its elements. A
//! product of few columns would leave most lanes of a register idle; its transpose is computed instead.

mod fused;
mod pack;
mod swap;
pub(crate) mod tile;

use crate::isa::Isa;
pub use fused::FusedLinear;
use pack::with_panel;
use tile::{PANEL, Target, multiply_columns, multiply_rows};

/// Rows of a panel: with its columns 32 KiB, which stay in the L1 cache while all rows of the left operand pass.
pub(crate) const DEPTH: usize = 128;

/// A view of a `rows × columns` matrix.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    /// Elements from one row to the next; of a transposed matrix, from one column to the next.
    step: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix `[rows, columns]`.
    ///
    /// # Panics
    /// If `data` has another length.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "a {rows} × {columns} matrix");
        Self { data, rows, columns, step: columns, transposed: false }
    }

    /// An element.
    fn at(&self, row: usize, column: usize) -> f32 {
        let [row, column] = if self.transposed { [column, row] } else { [row, column] };
        self.data[row * self.step + column]
    }

    /// The transpose, without a copy.
    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }
}

/// `out = left · right`, or `out += left · right` with `accumulate`; `out` is `[left.rows, right.columns]`.
///
/// Runs on the calling thread. With `accumulate`, an element is the first term of its sum.
///
/// # Panics
/// If the sizes do not match.
pub fn matmul(left: Matrix<'_>, right: Matrix<'_>, out: &mut [f32], accumulate: bool) {
    matmul_on(Isa::chosen(), left, right, out, accumulate);
}

/// As [`matmul`], on a given instruction set: for tests and benchmarks.
///
/// # Panics
/// As [`matmul`].
pub fn matmul_on(isa: Isa, left: Matrix<'_>, right: Matrix<'_>, out: &mut [f32], accumulate: bool) {
    assert_eq!(left.columns, right.rows, "the inner dimensions");
    assert_eq!(out.len(), left.rows * right.columns, "the product is {} × {}", left.rows, right.columns);
    if right.rows == 0 && !accumulate {
        out.fill(0.0);
    }
    if swap::pays(left, right) {
        swap::multiply(isa, left, right, out, accumulate);
    } else {
        multiply(isa, left, right, out, accumulate);
    }
}

fn multiply(isa: Isa, left: Matrix<'_>, right: Matrix<'_>, out: &mut [f32], accumulate: bool) {
    for column in (0..right.columns).step_by(PANEL) {
        let width = PANEL.min(right.columns - column);
        for k in (0..right.rows).step_by(DEPTH) {
            let depth = DEPTH.min(right.rows - k);
            let accumulate = accumulate || k > 0;
            with_panel(isa, right, [k, column], [depth, width], left.rows, |panel| {
                let target = Target { values: &mut out[column..], step: right.columns, width, accumulate };
                if left.transposed {
                    multiply_columns(isa, &left.data[k * left.step..], left.step, left.rows, depth, panel, target);
                } else {
                    multiply_rows(isa, &left.data[k..], left.step, left.rows, depth, panel, target);
                }
            });
        }
    }
}

/// Column sums of a row-major matrix `[rows, sums.len()]`.
pub fn sum_rows(matrix: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    for row in matrix.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, in f64.
    fn reference(left: &[f32], right: &[f32], m: usize, k: usize, n: usize) -> Vec<f64> {
        let mut out = vec![0.0; m * n];
        for (i, out) in out.chunks_exact_mut(n).enumerate() {
            for (j, out) in out.iter_mut().enumerate() {
                *out = (0..k).map(|l| f64::from(left[i * k + l]) * f64::from(right[l * n + j])).sum();
            }
        }
        out
    }

    fn transpose(data: &[f32], rows: usize, columns: usize) -> Vec<f32> {
        (0..columns * rows).map(|i| data[i % rows * columns + i / rows]).collect()
    }

    fn draw(seed: u64, len: usize) -> Vec<f32> {
        let mut random = random::Random::new(seed, 0);
        (0..len).map(|_| random.normal() as f32).collect()
    }

    /// Every layout of the operands, with and without `accumulate`, on every instruction set: the same bits as the plain
    /// loop, one fused multiply-add after the other.
    fn check(m: usize, k: usize, n: usize, seed: u64) -> Result<(), TestCaseError> {
        let (left, right, start) = (draw(seed, m * k), draw(seed + 1, k * n), draw(seed + 2, m * n));
        let exact = reference(&left, &right, m, k, n);
        let (left_t, right_t) = (transpose(&left, m, k), transpose(&right, k, n));
        for left_view in [Matrix::new(&left, m, k), Matrix::new(&left_t, k, m).transposed()] {
            for right_view in [Matrix::new(&right, k, n), Matrix::new(&right_t, n, k).transposed()] {
                for (isa, accumulate) in Isa::supported().flat_map(|isa| [(isa, false), (isa, true)]) {
                    let mut out = start.clone();
                    matmul_on(isa, left_view, right_view, &mut out, accumulate);
                    for (i, (out, (exact, start))) in out.iter().zip(exact.iter().zip(&start)).enumerate() {
                        let start = if accumulate { *start } else { 0.0 };
                        let terms = (0..k).map(|l| (left[i / n * k + l], right[l * n + i % n]));
                        let expected = terms.fold(start, |sum, (a, b)| a.mul_add(b, sum));
                        prop_assert_eq!(
                            out.to_bits(),
                            expected.to_bits(),
                            "{}, element {}: {} {}",
                            isa,
                            i,
                            out,
                            expected
                        );
                        let error = (f64::from(*out) - exact - f64::from(start)).abs();
                        prop_assert!(error <= 1e-5 * (k as f64).max(1.0), "{}, element {}: off by {}", isa, i, error);
                    }
                }
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn every_layout_and_instruction_set_gives_the_bits_of_the_plain_loop(m in 1usize..40, k in 0usize..40, n in 1usize..90, seed in 0u64..1000) {
            check(m, k, n, seed)?;
        }
    }

    /// Several panels, and terms beyond one of them; panels that are read in place, packed because rows lie far apart, and not
    /// packed because few rows read them.
    #[test]
    fn panels_continue_the_sums_of_those_before() -> Result<(), TestCaseError> {
        [[20, 600, 64], [20, 300, 160], [3, 257, 160], [17, 520, 131], [1, 1000, 1]]
            .into_iter()
            .try_for_each(|[m, k, n]| check(m, k, n, 7))
    }

    #[test]
    fn a_product_without_terms_is_zero() {
        let mut out = [f32::NAN; 6];
        matmul(Matrix::new(&[], 2, 0), Matrix::new(&[], 0, 3), &mut out, false);
        assert_eq!(out, [0.0; 6]);
    }

    #[test]
    fn column_sums() {
        let mut sums = [f32::NAN; 2];
        sum_rows(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut sums);
        assert_eq!(sums, [9.0, 12.0]);
    }
}
