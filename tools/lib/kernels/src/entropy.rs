//! Shannon entropy of rows of probabilities.

use crate::{
    isa::{Isa, dispatch},
    real::Real,
};
use rayon::prelude::*;

/// The base of the logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Nats.
    E,
    /// Bits.
    Two,
    /// Decimal digits.
    Ten,
}

impl Base {
    /// What nats are divided by. SciPy divides too, which makes a uniform row of 8 exactly 3 bits.
    fn divisor(self) -> f64 {
        match self {
            Self::E => 1.0,
            Self::Two => std::f64::consts::LN_2,
            Self::Ten => std::f64::consts::LN_10,
        }
    }
}

/// How entropy is taken, and which rows pass for probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EntropyOptions {
    /// Base of the logarithm.
    pub base: Base,
    /// Divide each row by its sum first.
    pub normalize: bool,
    /// Without `normalize`: how far from 1 a row's sum may be.
    pub tolerance: f64,
}

/// The first row that does not hold probabilities. Displays as what follows the field's name.
#[derive(Debug, Clone, PartialEq)]
pub struct RowError {
    /// The row, counted from 0.
    pub row: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// Why a row does not hold probabilities.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// An element is negative, NaN or infinite.
    NotAProbability {
        /// Its position in the row.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The row does not sum to 1.
    NotNormalized {
        /// What it sums to.
        sum: f64,
        /// How far from 1 that may be.
        tolerance: f64,
    },
    /// The row sums to 0, or to more than the type holds, and cannot be normalised.
    NoSum {
        /// What it sums to.
        sum: f64,
    },
}

impl std::fmt::Display for RowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.problem {
            Problem::NotAProbability { index, value } => write!(f, "holds {value} at position {index}, no probability"),
            // Rounded for reading: the sum of 0.5 and 0.8 is 1.3, not 1.3000000000000000444.
            Problem::NotNormalized { sum, tolerance } => {
                write!(f, "sums to {}, expected 1 ± {tolerance:e}", (sum * 1e9).round() / 1e9)
            }
            Problem::NoSum { sum } => write!(f, "sums to {sum} and cannot be normalised"),
        }
    }
}

impl std::error::Error for RowError {}

/// Elements that are worked on at a time: small enough that every pass finds them in the nearest cache.
const BLOCK: usize = 1024;
/// Below this many elements threads cost more than they bring.
const PARALLEL_ELEMENTS: usize = 1 << 18;
/// Independent sums within a row; also the width up to which a row is summed as a tree.
const LANES: usize = 8;

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
/// When the lengths do not fit, or `width` is 0.
pub fn entropy_rows<T: Real>(
    probs: &[T],
    width: usize,
    options: &EntropyOptions,
    out: &mut [T],
) -> Result<(), RowError> {
    entropy_rows_on(Isa::detect(), probs, width, options, out)
}

/// As [`entropy_rows`], with the instructions of `isa`: for tests and measurements.
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
    let rows = PARALLEL_ELEMENTS.div_ceil(width);
    let piece = |(piece, (probs, out)): (usize, (&[T], &mut [T]))| {
        let at = |error: RowError| RowError { row: piece * rows + error.row, ..error };
        entropy_piece(isa, probs, width, options, out).map_err(at)
    };
    if out.len() <= rows {
        return piece((0, (probs, out)));
    }
    let pieces = probs.par_chunks(rows * width).zip(out.par_chunks_mut(rows)).enumerate();
    // In order, so that the first bad row is found whichever thread comes first.
    pieces.map(piece).collect::<Vec<_>>().into_iter().collect()
}

/// One thread's rows.
fn entropy_piece<T: Real>(
    isa: Isa,
    probs: &[T],
    width: usize,
    options: &EntropyOptions,
    out: &mut [T],
) -> Result<(), RowError> {
    let at_once = (BLOCK / width).max(1);
    let mut scratch = Scratch { terms: vec![T::ZERO; at_once * width], sums: vec![T::ZERO; at_once], suspect: false };
    let blocks = probs.chunks(at_once * width).zip(out.chunks_mut(at_once));
    for (block, (probs, out)) in blocks.enumerate() {
        entropy_block(isa, probs, width, options, out, &mut scratch);
        if scratch.suspect {
            let at = |error: RowError| RowError { row: block * at_once + error.row, ..error };
            check_rows(probs, width, options, &scratch.sums).map_err(at)?;
        }
    }
    Ok(())
}

/// What a block is worked on in.
pub(crate) struct Scratch<T> {
    /// `[rows, width]`
    terms: Vec<T>,
    /// `[rows]`
    sums: Vec<T>,
    /// Whether some row may not hold probabilities.
    suspect: bool,
}

dispatch! {
    /// The entropy of a block of rows; `scratch.suspect` says whether rows must be looked at.
    fn entropy_block<T: Real>(
        probs: &[T],
        width: usize,
        options: &EntropyOptions,
        out: &mut [T],
        scratch: &mut Scratch<T>,
    ) => block
}

#[inline(always)]
fn block<T: Real>(probs: &[T], width: usize, options: &EntropyOptions, out: &mut [T], scratch: &mut Scratch<T>) {
    let Scratch { terms, sums, suspect } = scratch;
    let (terms, sums) = (&mut terms[..probs.len()], &mut sums[..out.len()]);
    // NaN is not at least 0 either.
    let mut bad = !probs.iter().fold(true, |good, &p| good & (p >= T::ZERO));
    sum_rows(probs, width, sums);
    if options.normalize {
        let infinity = T::from_f64(f64::INFINITY);
        for ((row, terms), &sum) in probs.chunks_exact(width).zip(terms.chunks_exact_mut(width)).zip(sums.iter()) {
            bad |= !(sum > T::ZERO && sum < infinity);
            row.iter().zip(terms).for_each(|(&p, term)| *term = term_of(p / sum));
        }
    } else {
        let tolerance = options.tolerance;
        // NaN is not within the tolerance either.
        bad |= !sums.iter().all(|sum| (sum.to_f64() - 1.0).abs() <= tolerance);
        probs.iter().zip(terms.iter_mut()).for_each(|(&p, term)| *term = term_of(p));
    }
    sum_rows(terms, width, out);
    let divisor = T::from_f64(options.base.divisor());
    // Adding 0 makes the -0 of a one-hot row a 0.
    out.iter_mut().for_each(|h| *h = *h / divisor + T::ZERO);
    *suspect = bad;
}

/// -p ln p
#[inline(always)]
fn term_of<T: Real>(p: T) -> T {
    let x = if p > T::ZERO { p } else { T::ONE };
    T::ZERO - p * x.ln()
}

/// The sum of each row of `values` `[rows, width]`.
#[inline(always)]
fn sum_rows<T: Real>(values: &[T], width: usize, sums: &mut [T]) {
    if width == LANES {
        let (rows, _) = values.as_chunks::<LANES>();
        rows.iter().zip(sums).for_each(|(row, sum)| *sum = tree(row));
    } else {
        values.chunks_exact(width).zip(sums).for_each(|(row, sum)| *sum = sum_row(row));
    }
}

/// The sum of a row of any width: a tree up to 8 elements, compensated lanes above.
///
/// Plain sums of a wide row lose digits in proportion to its width. Each lane keeps what its
/// additions round away (Knuth's two-sum), so that the error stays below an ulp or two.
#[inline(always)]
fn sum_row<T: Real>(row: &[T]) -> T {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut last = [T::ZERO; LANES];
    last[..rest.len()].copy_from_slice(rest);
    if chunks.is_empty() {
        return tree(&last);
    }
    let (mut sums, mut lost) = ([T::ZERO; LANES], [T::ZERO; LANES]);
    for chunk in chunks {
        add_compensated(&mut sums, &mut lost, chunk);
    }
    add_compensated(&mut sums, &mut lost, &last);
    // The lanes themselves are added with compensation too.
    let (mut total, mut total_lost) = (sums[0], T::ZERO);
    for &sum in &sums[1..] {
        let next = total + sum;
        let from_sum = next - total;
        total_lost = total_lost + ((total - (next - from_sum)) + (sum - from_sum));
        total = next;
    }
    total + (total_lost + tree(&lost))
}

/// Adds `values` to `sums` lane by lane, and what rounding takes away to `lost`.
#[inline(always)]
fn add_compensated<T: Real>(sums: &mut [T; LANES], lost: &mut [T; LANES], values: &[T; LANES]) {
    for lane in 0..LANES {
        let (old, value) = (sums[lane], values[lane]);
        let next = old + value;
        let from_value = next - old;
        lost[lane] = lost[lane] + ((old - (next - from_value)) + (value - from_value));
        sums[lane] = next;
    }
}

/// The sum of 8 numbers in three levels: halves that are next to each other in a vector register.
#[inline(always)]
fn tree<T: Real>(x: &[T; LANES]) -> T {
    let four = [x[0] + x[4], x[1] + x[5], x[2] + x[6], x[3] + x[7]];
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Looks at suspect rows one by one, off the fast path.
fn check_rows<T: Real>(probs: &[T], width: usize, options: &EntropyOptions, sums: &[T]) -> Result<(), RowError> {
    for (row, (probs, sum)) in probs.chunks_exact(width).zip(sums).enumerate() {
        let (sum, tolerance) = (sum.to_f64(), options.tolerance);
        let bad = probs.iter().position(|p| !(p.to_f64() >= 0.0 && p.to_f64().is_finite()));
        let problem = match bad {
            Some(index) => Problem::NotAProbability { index, value: probs[index].to_f64() },
            None if options.normalize && sum > 0.0 && sum.is_finite() => continue,
            None if options.normalize => Problem::NoSum { sum },
            None if (sum - 1.0).abs() <= tolerance => continue,
            None => Problem::NotNormalized { sum, tolerance },
        };
        return Err(RowError { row, problem });
    }
    Ok(())
}

/// The definition, for tests: what the fast version must agree with.
pub fn entropy_reference(row: &[f64]) -> f64 {
    row.iter().filter(|p| **p > 0.0).map(|p| -p * libm::log(*p)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NATS: EntropyOptions = EntropyOptions { base: Base::E, normalize: false, tolerance: 1e-4 };

    fn rows(seed: u64, width: usize, count: usize) -> Vec<f64> {
        let mut random = crate::random::Random::new(seed, 0);
        let mut rows: Vec<f64> = (0..width * count).map(|_| random.exponential().powi(4)).collect();
        for row in rows.chunks_exact_mut(width) {
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|p| *p /= sum);
        }
        rows
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(seed: u64, width in 1usize..70, count in 1usize..40) {
            let probs = rows(seed, width, count);
            let mut out = vec![0.0; count];
            entropy_rows(&probs, width, &NATS, &mut out).expect("probabilities");
            let narrow: Vec<f32> = probs.iter().map(|&p| p as f32).collect();
            let mut out32 = vec![0f32; count];
            entropy_rows(&narrow, width, &NATS, &mut out32).expect("probabilities");
            for ((row, h), h32) in probs.chunks_exact(width).zip(&out).zip(&out32) {
                let expected = entropy_reference(row);
                prop_assert!((h - expected).abs() <= 1e-14 * expected.max(1e-300), "{row:?}: {h} {expected}");
                let wide: Vec<f64> = row.iter().map(|&p| f64::from(p as f32)).collect();
                let expected = entropy_reference(&wide);
                prop_assert!((f64::from(*h32) - expected).abs() <= 2e-6 * expected + 1e-37, "{row:?}: {h32} {expected}");
            }
        }

        #[test]
        fn every_instruction_set_gives_the_same_bits(seed: u64, width in 1usize..70, count in 1usize..60, normalize: bool) {
            let probs = rows(seed, width, count);
            let options = EntropyOptions { normalize, ..NATS };
            let narrow: Vec<f32> = probs.iter().map(|&p| p as f32).collect();
            let run = |isa| {
                let (mut out, mut out32) = (vec![0.0; count], vec![0f32; count]);
                entropy_rows_on(isa, &probs, width, &options, &mut out).expect("probabilities");
                entropy_rows_on(isa, &narrow, width, &options, &mut out32).expect("probabilities");
                (out, out32)
            };
            for isa in Isa::supported() {
                prop_assert_eq!(run(isa), run(Isa::Baseline), "{:?}", isa);
            }
        }

        #[test]
        fn the_first_bad_row_is_named(width in 1usize..20, count in 1usize..3000, bad in 0usize..3000, worse in 0usize..3000) {
            let mut probs = rows(1, width, count);
            let (bad, worse) = (bad.min(count - 1), worse.min(count - 1));
            probs[bad * width] = -1.0;
            probs[worse * width] = f64::NAN;
            let error = entropy_rows(&probs, width, &NATS, &mut vec![0.0; count]).expect_err("a bad row");
            prop_assert_eq!(error.row, bad.min(worse));
            let at_first = matches!(error.problem, Problem::NotAProbability { index: 0, .. });
            prop_assert!(at_first, "{}", error);
        }
    }

    #[test]
    fn cases_worked_by_hand() {
        let entropy = |row: &[f64], options: &EntropyOptions| {
            let mut out = [f64::NAN];
            entropy_rows(row, row.len(), options, &mut out).map(|()| out[0])
        };
        let bits = EntropyOptions { base: Base::Two, ..NATS };
        assert_eq!(entropy(&[0.125; 8], &bits), Ok(3.0));
        assert_eq!(entropy(&[0.5, 0.25, 0.25], &bits), Ok(1.5));
        let digits = entropy(&[0.1; 10], &EntropyOptions { base: Base::Ten, ..NATS }).expect("probabilities");
        assert!((digits - 1.0).abs() <= 4.0 * f64::EPSILON, "{digits}");
        // One-hot rows have no entropy, and its zero has no sign.
        assert_eq!(entropy(&[0.0, 1.0, 0.0], &NATS).map(f64::to_bits), Ok(0));
        assert_eq!(entropy(&[1.0], &NATS).map(f64::to_bits), Ok(0));
        let normalized = EntropyOptions { normalize: true, ..bits };
        assert_eq!(entropy(&[7.0, 7.0], &normalized), Ok(1.0));
        assert_eq!(entropy(&[5e-324, 5e-324], &normalized), Ok(1.0));
    }

    #[test]
    fn a_wide_uniform_row_keeps_its_digits() {
        for width in [1000usize, 99_999, 100_000, 1 << 20] {
            let row = vec![1.0 / width as f64; width];
            let mut out = [0.0];
            entropy_rows(&row, width, &NATS, &mut out).expect("probabilities");
            // The true value for the rounded probability p is -width · p ln p.
            let p = row[0];
            let expected = -(width as f64 * p) * libm::log(p);
            assert!((out[0] - expected).abs() <= 4.0 * f64::EPSILON * expected, "{width}: {} {expected}", out[0]);
        }
    }

    #[test]
    fn what_is_no_probability_is_said() {
        let problem = |row: &[f64], options: &EntropyOptions| {
            entropy_rows(row, row.len(), options, &mut [0.0]).expect_err("a bad row").to_string()
        };
        let normalize = EntropyOptions { normalize: true, ..NATS };
        assert_eq!(problem(&[0.5, 0.8], &NATS), "sums to 1.3, expected 1 ± 1e-4");
        assert_eq!(problem(&[0.5, -0.5], &NATS), "holds -0.5 at position 1, no probability");
        assert_eq!(problem(&[f64::INFINITY, 0.5], &NATS), "holds inf at position 0, no probability");
        assert_eq!(problem(&[f64::INFINITY, 0.5], &normalize), "holds inf at position 0, no probability");
        assert_eq!(problem(&[0.0, 0.0], &normalize), "sums to 0 and cannot be normalised");
        assert_eq!(problem(&[1e308, 1e308], &normalize), "sums to inf and cannot be normalised");
        assert_eq!(problem(&[f64::NAN], &normalize), "holds NaN at position 0, no probability");
    }
}
