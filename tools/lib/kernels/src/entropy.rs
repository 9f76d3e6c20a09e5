//! Shannon entropy of rows of probabilities.

use crate::{
    isa::{Isa, dispatch},
    real::Real,
    sum::sum_rows,
};
use rayon::prelude::*;

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

/// The first row that is not a probability vector. The message starts with a verb: its subject is the field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{kind}")]
pub struct RowError {
    /// The row, counted from 0.
    pub row: usize,
    /// Why it is refused.
    pub kind: RowErrorKind,
}

/// Why a row is not a probability vector.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowErrorKind {
    /// An element is negative, NaN or infinite.
    #[error("holds {} at position {index}, no probability", Short(.value))]
    NotAProbability {
        /// Its index in the row.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The row does not sum to 1.
    #[error("sums to {}, expected 1 ± {tolerance:e}", Short(&rounded(*.sum)))]
    NotNormalized {
        /// The sum.
        sum: f64,
        /// Its maximum distance from 1.
        tolerance: f64,
    },
    /// The row sums to 0, or its sum overflows the type, and it cannot be normalized.
    #[error("sums to {} and cannot be normalized", Short(.sum))]
    NoSum {
        /// The sum.
        sum: f64,
    },
}

/// Rounded for reading: a sum of 1.3, not 1.3000000000000003. A huge one is left as it is.
fn rounded(sum: f64) -> f64 {
    let rounded = (sum * 1e9).round() / 1e9;
    if rounded.is_finite() { rounded } else { sum }
}

/// A number on one short line: with an exponent where its digits would not fit.
struct Short<'a>(&'a f64);

impl std::fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(value) = self;
        let fits = **value == 0.0 || (1e-5..1e16).contains(&value.abs());
        if fits { write!(f, "{value}") } else { write!(f, "{value:e}") }
    }
}

/// Elements of a block: they stay in the L1 cache from pass to pass.
const BLOCK: usize = 1024;
/// Elements of a task; up to so many run on the calling thread.
const PARALLEL_ELEMENTS: usize = 1 << 18;
/// Elements whose logarithms are computed at a time, in three short loops. One loop would be a chain of dependent
/// operations so long that it takes twice the time.
const TILE: usize = 128;
/// Independent flags when elements are checked: two vectors of the widest instruction set.
const FLAGS: usize = 16;

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
    let rows = PARALLEL_ELEMENTS.div_ceil(width);
    let piece = |(piece, (probs, out)): (usize, (&[T], &mut [T]))| {
        let at = |error: RowError| RowError { row: piece * rows + error.row, ..error };
        entropy_piece(isa, probs, width, options, out).map_err(at)
    };
    if out.len() <= rows {
        return piece((0, (probs, out)));
    }
    let pieces = probs.par_chunks(rows * width).zip(out.par_chunks_mut(rows)).enumerate();
    // In order: the first bad row is reported, whichever thread finds one first.
    pieces.map(piece).collect::<Vec<_>>().into_iter().collect()
}

/// The rows of a task.
fn entropy_piece<T: Real>(
    isa: Isa,
    probs: &[T],
    width: usize,
    options: &EntropyOptions,
    out: &mut [T],
) -> Result<(), RowError> {
    let at_once = (BLOCK / width).max(1).min(out.len());
    let mut workspace = Workspace {
        scaled: vec![T::ZERO; if options.normalize { at_once * width } else { 0 }],
        terms: vec![T::ZERO; at_once * width],
        sums: vec![0.0; at_once],
        suspect: false,
    };
    let blocks = probs.chunks(at_once * width).zip(out.chunks_mut(at_once));
    for (block, (probs, out)) in blocks.enumerate() {
        entropy_block(isa, probs, width, options, out, &mut workspace);
        if workspace.suspect {
            let at = |error: RowError| RowError { row: block * at_once + error.row, ..error };
            check_rows::<T>(probs, width, options, &workspace.sums).map_err(at)?;
        }
    }
    Ok(())
}

/// Buffers of a block.
pub(crate) struct Workspace<T> {
    /// The rows divided by their sums `[rows, width]`, with `normalize`.
    scaled: Vec<T>,
    /// p ln p `[rows, width]`
    terms: Vec<T>,
    /// `[rows]`
    sums: Vec<f64>,
    /// Whether some row may not be a probability vector.
    suspect: bool,
}

dispatch! {
    /// The entropy of a block of rows; sets `workspace.suspect` if its rows must be checked.
    fn entropy_block<T: Real>(
        probs: &[T],
        width: usize,
        options: &EntropyOptions,
        out: &mut [T],
        workspace: &mut Workspace<T>,
    ) => block
}

#[inline(always)]
fn block<T: Real>(probs: &[T], width: usize, options: &EntropyOptions, out: &mut [T], workspace: &mut Workspace<T>) {
    let Workspace { scaled, terms, sums, suspect } = workspace;
    let (terms, sums) = (&mut terms[..probs.len()], &mut sums[..out.len()]);
    let odd = any_odd(probs);
    sum_rows(probs, width, sums);
    *suspect = odd | any(sums, |sum| !sum_is_good::<T>(sum, options));
    if options.normalize {
        let scaled = &mut scaled[..probs.len()];
        divide_rows(probs, width, sums, scaled);
        p_ln_p(scaled, any_odd(scaled), terms);
    } else {
        p_ln_p(probs, odd, terms);
    }
    sum_rows(terms, width, out);
    let divisor = T::from_f64(options.base.divisor());
    // Taken from 0, the sum of a one-hot row, which may be -0, becomes 0.
    for h in out {
        *h = T::ZERO - *h / divisor;
    }
}

/// Each row of `probs` `[rows, width]` divided by its sum.
#[inline(always)]
fn divide_rows<T: Real>(probs: &[T], width: usize, sums: &[f64], scaled: &mut [T]) {
    for (row, &sum) in sums.iter().enumerate() {
        let sum = T::from_f64(sum);
        let row = row * width..(row + 1) * width;
        for (scaled, &p) in scaled[row.clone()].iter_mut().zip(&probs[row]) {
            *scaled = p / sum;
        }
    }
}

/// Whether a row with this sum is valid, if its elements are.
#[inline(always)]
fn sum_is_good<T: Real>(sum: f64, options: &EntropyOptions) -> bool {
    if options.normalize {
        let divisor = T::from_f64(sum);
        (divisor > T::ZERO) & (divisor < T::INFINITY)
    } else {
        // An infinite tolerance does not admit an infinite element; a NaN sum is always refused.
        ((sum - 1.0).abs() <= options.tolerance) & (sum < f64::INFINITY)
    }
}

/// Whether an element is negative, NaN or subnormal (or normal, but below the second power of two).
#[inline(always)]
fn any_odd<T: Real>(probs: &[T]) -> bool {
    any(probs, |p| {
        // Not two comparisons of p: the compiler makes those a test of its class, which does not vectorize.
        let tiny = (p - T::MIN_POSITIVE).abs() < T::MIN_POSITIVE;
        // NaN is not at least 0 either.
        let at_least_0 = p >= T::ZERO;
        tiny | !at_least_0
    })
}

/// Whether something holds for any of `values`; all of them are looked at.
#[inline(always)]
fn any<T: Real>(values: &[T], holds: impl Fn(T) -> bool) -> bool {
    // Flags of the elements' own size stay in vectors; a bool would be packed at every step.
    let mut flags = [T::ZERO; FLAGS];
    let (chunks, rest) = values.as_chunks::<FLAGS>();
    for chunk in chunks {
        for i in 0..FLAGS {
            flags[i] = if holds(chunk[i]) { T::ONE } else { flags[i] };
        }
    }
    for (flag, &value) in flags.iter_mut().zip(rest) {
        *flag = if holds(value) { T::ONE } else { *flag };
    }
    flags.contains(&T::ONE)
}

/// p ln p of each element, 0 for 0. `odd` is [`any_odd`] of them.
#[inline(always)]
fn p_ln_p<T: Real>(probs: &[T], odd: bool, terms: &mut [T]) {
    // Few blocks hold subnormal numbers; the others need not pay for them.
    if odd {
        p_ln_p_tiles::<T, true>(probs, terms);
    } else {
        p_ln_p_tiles::<T, false>(probs, terms);
    }
}

#[inline(always)]
fn p_ln_p_tiles<T: Real, const SUBNORMAL: bool>(probs: &[T], terms: &mut [T]) {
    let zeros = [T::ZERO; TILE];
    let mut parts = Parts { k: zeros, f: zeros, s: zeros, series: zeros };
    let (tiles, rest) = probs.as_chunks::<TILE>();
    let (term_tiles, term_rest) = terms.as_chunks_mut::<TILE>();
    for (probs, terms) in tiles.iter().zip(term_tiles) {
        p_ln_p_tile::<T, SUBNORMAL>(probs, terms, &mut parts);
    }
    p_ln_p_tile::<T, SUBNORMAL>(rest, term_rest, &mut parts);
}

/// A tile of logarithms on their way: see [`Real::ln_reduced`].
struct Parts<T> {
    k: [T; TILE],
    f: [T; TILE],
    s: [T; TILE],
    series: [T; TILE],
}

/// The logarithm of 0 is taken as some finite number, so that 0 times it is 0.
#[inline(always)]
fn p_ln_p_tile<T: Real, const SUBNORMAL: bool>(probs: &[T], terms: &mut [T], parts: &mut Parts<T>) {
    let n = probs.len();
    let (k, f, s) = (&mut parts.k[..n], &mut parts.f[..n], &mut parts.s[..n]);
    let (series, terms) = (&mut parts.series[..n], &mut terms[..n]);
    for i in 0..n {
        (k[i], f[i]) = probs[i].reduce::<SUBNORMAL>();
        s[i] = f[i] / (T::TWO + f[i]);
    }
    for i in 0..n {
        series[i] = T::ln_series(s[i]);
    }
    for i in 0..n {
        terms[i] = probs[i] * T::ln_reduced(k[i], f[i], s[i], series[i]);
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

/// The definition in nats, for tests and for comparison with [`entropy_rows`].
pub fn entropy_reference(row: &[f64]) -> f64 {
    row.iter().filter(|p| **p > 0.0).map(|p| -p * libm::log(*p)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NATS: EntropyOptions = EntropyOptions { base: Base::E, normalize: false, tolerance: 1e-4 };

    fn rows(seed: u64, width: usize, count: usize) -> Vec<f64> {
        let mut random = random::Random::new(seed, 0);
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
            let at_first = matches!(error.kind, RowErrorKind::NotAProbability { index: 0, .. });
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
    fn f32_rows_are_checked_in_f64() {
        // Exact in f64; a sum in f32 is 1.
        let row = [1.0f32, 2f32.powi(-30), 0.0];
        let strict = EntropyOptions { tolerance: 2f64.powi(-31), ..NATS };
        let problem = entropy_rows(&row, 3, &strict, &mut [0.0]).expect_err("too large a sum").kind;
        assert_eq!(problem, RowErrorKind::NotNormalized { sum: 1.0 + 2f64.powi(-30), tolerance: 2f64.powi(-31) });
        // A sum that f64 holds and f32 does not.
        let normalize = EntropyOptions { normalize: true, ..NATS };
        let problem = entropy_rows(&[f32::MAX; 2], 2, &normalize, &mut [0.0]).expect_err("too large a sum").kind;
        assert_eq!(problem, RowErrorKind::NoSum { sum: 2.0 * f64::from(f32::MAX) });
    }

    #[test]
    fn subnormal_numbers_do_not_touch_their_neighbours() {
        let mut probs = rows(3, 8, 100);
        let mut without = vec![0.0; 100];
        entropy_rows(&probs, 8, &NATS, &mut without).expect("probabilities");
        probs[40 * 8..41 * 8].copy_from_slice(&[5e-324, 1.0, 1e-310, 0.0, 0.0, f64::MIN_POSITIVE, 0.0, 0.0]);
        let mut with = vec![0.0; 100];
        entropy_rows(&probs, 8, &NATS, &mut with).expect("probabilities");
        let expected = entropy_reference(&probs[40 * 8..41 * 8]);
        assert!((with[40] - expected).abs() <= 4.0 * f64::EPSILON * expected, "{} {expected}", with[40]);
        with[40] = without[40];
        assert_eq!(with, without);
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
        assert_eq!(problem(&[0.0, 0.0], &normalize), "sums to 0 and cannot be normalized");
        assert_eq!(problem(&[1e308, 1e308], &normalize), "sums to inf and cannot be normalized");
        assert_eq!(problem(&[f64::NAN], &normalize), "holds NaN at position 0, no probability");
        assert_eq!(problem(&[-5e-324, 8.0], &normalize), "holds -5e-324 at position 0, no probability");
        assert_eq!(problem(&[1e300, 0.5], &NATS), "sums to 1e300, expected 1 ± 1e-4");
        assert_eq!(problem(&[f64::MAX; 40], &normalize), "sums to inf and cannot be normalized");
        let lax = EntropyOptions { tolerance: f64::INFINITY, ..NATS };
        assert_eq!(problem(&[f64::INFINITY, 0.5], &lax), "holds inf at position 0, no probability");
    }
}
