//! Shannon entropy of rows of probabilities.

mod device;
mod error;
mod rows;
#[cfg(test)]
mod tests;

pub use device::{LogarithmTables, RowChecks};
pub use error::{RowError, RowErrorKind};

use crate::{
    isa::{Isa, dispatch},
    real::Real,
    sum::sum_rows,
};
use rayon::prelude::*;
use rows::{Findings, Rows, entropies};

/// The base of the logarithm, which is the unit of entropy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// e: nats.
    E,
    /// 2: bits.
    Two,
    /// 10: decimal digits (hartleys).
    Ten,
}

impl Base {
    /// ln of the base, by which nats are divided. SciPy divides too: a uniform row of 8 has exactly 3 bits.
    fn divisor(self) -> f64 {
        match self {
            Self::E => 1.0,
            Self::Two => std::f64::consts::LN_2,
            Self::Ten => std::f64::consts::LN_10,
        }
    }
}

/// Settings of [`entropy_rows`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EntropyOptions {
    /// Base of the logarithm.
    pub base: Base,
    /// Whether each row is divided by its sum first.
    pub normalize: bool,
    /// Maximum distance of a row's sum from 1, without `normalize`.
    pub tolerance: f64,
}

/// Elements of a block: they stay in the L1 cache from pass to pass where rows are normalized.
const BLOCK: usize = 2048;
/// Elements of a task; up to so many run on the calling thread.
const PARALLEL_ELEMENTS: usize = 1 << 18;

/// The entropy of every row of `probs` `[rows, width]`, into `out` `[rows]`.
///
/// -Σ p ln p with 0 ln 0 = 0, divided by the logarithm of the base; within 4 ulp for `f64`, and a
/// relative 2e-6 for `f32`, of the true value. The same bits on every processor and for any number
/// of threads.
///
/// # Errors
/// The first row that is not a probability vector; `out` is then unspecified.
///
/// # Panics
/// If the lengths do not match, or `width` is 0.
pub fn entropy_rows<T: Real>(
    probs: &[T],
    width: usize,
    options: &EntropyOptions,
    out: &mut [T],
) -> Result<(), RowError> {
    entropy_rows_on(Isa::chosen(), probs, width, options, out)
}

/// As [`entropy_rows`], for a given instruction set: for tests and benchmarks.
///
/// # Errors
/// As [`entropy_rows`].
///
/// # Panics
/// As [`entropy_rows`].
pub fn entropy_rows_on<T: Real>(
    isa: Isa,
    probs: &[T],
    width: usize,
    options: &EntropyOptions,
    out: &mut [T],
) -> Result<(), RowError> {
    assert!(width > 0 && probs.len() == width * out.len(), "{} numbers for {} rows of {width}", probs.len(), out.len());
    let kernel = Kernel { isa, width, options };
    let rows = PARALLEL_ELEMENTS.div_ceil(width);
    let task = |(task, (probs, out)): (usize, (&[T], &mut [T]))| {
        let at = |error: RowError| RowError { row: task * rows + error.row, ..error };
        kernel.task(probs, out).map_err(at)
    };
    if out.len() <= rows {
        return task((0, (probs, out)));
    }
    let tasks = probs.par_chunks(rows * width).zip(out.par_chunks_mut(rows)).enumerate();
    // In order: the first bad row is reported, whichever thread finds one first.
    tasks.map(task).collect::<Vec<_>>().into_iter().collect()
}

/// What all rows have in common.
struct Kernel<'a> {
    isa: Isa,
    width: usize,
    options: &'a EntropyOptions,
}

impl Kernel<'_> {
    /// The rows of a task, block by block.
    fn task<T: Real>(&self, probs: &[T], out: &mut [T]) -> Result<(), RowError> {
        let width = self.width;
        let at_once = (BLOCK / width).next_multiple_of(T::LANES).clamp(1, out.len().max(1));
        let mut sums = vec![0.0; at_once]; // [rows]
        let blocks = probs.chunks(at_once * width).zip(out.chunks_mut(at_once));
        for (block, (probs, out)) in blocks.enumerate() {
            let at = |error: RowError| RowError { row: block * at_once + error.row, ..error };
            self.block(probs, out, &mut sums[..probs.len() / width]).map_err(at)?;
        }
        Ok(())
    }

    /// The rows of a block. `sums` `[rows]` is a buffer.
    fn block<T: Real>(&self, probs: &[T], out: &mut [T], sums: &mut [f64]) -> Result<(), RowError> {
        let Self { isa, width, options } = *self;
        if options.normalize {
            sum_rows_on(isa, probs, width, sums);
        }
        let rows = Rows { probs, width, options, sums: options.normalize.then_some(&*sums) };
        let Findings { suspect, tiny } = entropies(isa, &rows, out);
        if tiny {
            recompute_tiny(&rows, out);
        }
        if options.normalize {
            if suspect || !sums.iter().all(|&sum| sum_is_good::<T>(sum, options)) {
                check_rows(probs, width, options, sums)?;
            }
        } else if suspect {
            sum_rows_on(isa, probs, width, sums);
            check_rows(probs, width, options, sums)?;
        }
        Ok(())
    }
}

dispatch! {
    /// As [`sum_rows`].
    fn sum_rows_on<T: Real>(probs: &[T], width: usize, sums: &mut [f64]) => sum_rows
}

/// Whether a row with this sum is valid, if its elements are.
fn sum_is_good<T: Real>(sum: f64, options: &EntropyOptions) -> bool {
    if options.normalize {
        let divisor = T::from_f64(sum);
        (divisor > T::ZERO) & (divisor < T::INFINITY)
    } else {
        // An infinite tolerance does not admit an infinite element; a NaN sum is always refused.
        ((sum - 1.0).abs() <= options.tolerance) & (sum < f64::INFINITY)
    }
}

/// Checks suspect rows one by one, off the fast path.
fn check_rows<T: Real>(probs: &[T], width: usize, options: &EntropyOptions, sums: &[f64]) -> Result<(), RowError> {
    for (row, (probs, &sum)) in probs.chunks_exact(width).zip(sums).enumerate() {
        let bad = probs.iter().position(|p| !(p.to_f64() >= 0.0 && p.to_f64().is_finite()));
        // Elements are finite and of one sign here: a NaN sum has overflowed.
        let sum = if sum.is_nan() { f64::INFINITY } else { sum };
        let kind = match bad {
            Some(index) => RowErrorKind::NotAProbability { index, value: probs[index].to_f64() },
            None if sum_is_good::<T>(sum, options) => continue,
            None if options.normalize => RowErrorKind::NoSum { sum },
            None => RowErrorKind::NotNormalized { sum, tolerance: options.tolerance },
        };
        return Err(RowError { row, kind });
    }
    Ok(())
}

/// Computes those rows again whose entropy is so small that subnormal elements may count, which [`entropies`] takes for
/// small normal ones.
fn recompute_tiny<T: Real>(rows: &Rows<T>, out: &mut [T]) {
    for (row, h) in out.iter_mut().enumerate().filter(|(_, h)| h.abs() < T::TINY && **h != T::ZERO) {
        let sum = rows.sums.map_or(T::ONE, |sums| T::from_f64(sums[row]));
        let probs = &rows.probs[row * rows.width..(row + 1) * rows.width];
        let probs: Vec<f64> = probs.iter().map(|&p| (p / sum).to_f64()).collect();
        *h = T::from_f64(entropy_reference(&probs) / rows.options.base.divisor());
    }
}

/// The definition in nats, for tests and for comparison with [`entropy_rows`].
pub fn entropy_reference(row: &[f64]) -> f64 {
    row.iter().filter(|p| **p > 0.0).map(|p| -p * libm::log(*p)).sum()
}
