//! Matrix products, by the `gemm` crate (run-time dispatch over AVX-512, AVX2+FMA, NEON).

use gemm::{Parallelism, gemm};

/// A view of a `rows × columns` matrix, with strides in elements.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix `[rows, columns]`.
    ///
    /// # Panics
    /// If `data` has another length.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "a {rows} × {columns} matrix");
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The transpose, without a copy.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `out = left · right`, or `out += left · right` with `accumulate`; `out` is `[left.rows, right.columns]`.
///
/// Runs on the calling thread. The order of summation, and so the last bits, depend on the instruction set.
///
/// # Panics
/// If the sizes do not match.
#[allow(unsafe_code, reason = "gemm takes pointers")]
pub fn matmul(left: Matrix<'_>, right: Matrix<'_>, out: &mut [f32], accumulate: bool) {
    assert_eq!(left.columns, right.rows, "the inner dimensions");
    assert_eq!(out.len(), left.rows * right.columns, "the product is {} × {}", left.rows, right.columns);
    // Strides are products of slice lengths, which are at most isize::MAX.
    let stride = |stride: usize| stride as isize;
    // SAFETY: `Matrix` is built only by `new`, which checks that rows × columns with its strides lies
    // within the slice, and `transposed`, which keeps that true; `out` is row-major and was checked
    // above. `out` is borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm(
            left.rows,
            right.columns,
            left.columns,
            out.as_mut_ptr(),
            1,
            stride(right.columns),
            accumulate,
            left.data.as_ptr(),
            stride(left.column_stride),
            stride(left.row_stride),
            right.data.as_ptr(),
            stride(right.column_stride),
            stride(right.row_stride),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
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

    proptest! {
        #[test]
        fn agrees_with_the_definition_in_every_layout(m in 1usize..40, k in 1usize..40, n in 1usize..40, seed: u64) {
            let mut random = random::Random::new(seed, 0);
            let mut draw = |n: usize| (0..n).map(|_| random.normal() as f32).collect::<Vec<_>>();
            let (left, right, start) = (draw(m * k), draw(k * n), draw(m * n));
            let expected = reference(&left, &right, m, k, n);
            let (left_t, right_t) = (transpose(&left, m, k), transpose(&right, k, n));
            for left in [Matrix::new(&left, m, k), Matrix::new(&left_t, k, m).transposed()] {
                for right in [Matrix::new(&right, k, n), Matrix::new(&right_t, n, k).transposed()] {
                    for accumulate in [false, true] {
                        let mut out = start.clone();
                        matmul(left, right, &mut out, accumulate);
                        for ((out, expected), start) in out.iter().zip(&expected).zip(&start) {
                            let expected = expected + if accumulate { f64::from(*start) } else { 0.0 };
                            prop_assert!((f64::from(*out) - expected).abs() <= 1e-5 * (k as f64).max(1.0));
                        }
                    }
                }
            }
        }
    }
}
