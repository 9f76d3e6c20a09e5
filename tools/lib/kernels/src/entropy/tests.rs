//! Entropies against the definition, on every instruction set.

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

/// Rows with what is rare in them: zeros of both signs, subnormal numbers, one-hot rows, an element next to 1.
fn odd_rows(seed: u64, width: usize, count: usize) -> Vec<f64> {
    let mut random = random::Random::new(seed, 1);
    let mut probs = rows(seed, width, count);
    for row in probs.chunks_exact_mut(width) {
        let one = random.index(width);
        match random.index(5) {
            0 => row.fill(0.0),
            1 => row.fill(5e-324),
            2 => row.fill(-0.0),
            3 => row.fill(1e-310),
            _ => continue,
        }
        row[one] = if random.index(2) == 0 { 1.0 } else { 1.0 - f64::EPSILON };
    }
    probs
}

proptest! {
    #[test]
    fn odd_rows_have_the_same_bits_on_every_instruction_set_and_alone(
        seed: u64, width in 1usize..700, count in 1usize..40, normalize: bool,
    ) {
        let probs = odd_rows(seed, width, count);
        let narrow: Vec<f32> = probs.iter().map(|&p| p as f32).collect();
        let options = EntropyOptions { normalize, ..NATS };
        let mut expected = (vec![0.0; count], vec![0f32; count]);
        // Each row alone, on the baseline.
        for row in 0..count {
            let elements = row * width..(row + 1) * width;
            let (out, out32) = (&mut expected.0[row..=row], &mut expected.1[row..=row]);
            entropy_rows_on(Isa::Baseline, &probs[elements.clone()], width, &options, out).expect("probabilities");
            entropy_rows_on(Isa::Baseline, &narrow[elements], width, &options, out32).expect("probabilities");
        }
        for isa in Isa::supported() {
            let mut ours = (vec![0.0; count], vec![0f32; count]);
            entropy_rows_on(isa, &probs, width, &options, &mut ours.0).expect("probabilities");
            entropy_rows_on(isa, &narrow, width, &options, &mut ours.1).expect("probabilities");
            prop_assert_eq!(&ours, &expected, "{}", isa);
        }
        for (row, h) in probs.chunks_exact(width).zip(&expected.0).filter(|_| !normalize) {
            let reference = entropy_reference(row);
            prop_assert!((h - reference).abs() <= 1e-14 * reference.abs(), "{row:?}: {h} {reference}");
        }
    }
}

#[test]
fn any_scale_of_weights() {
    let normalize = EntropyOptions { normalize: true, ..NATS };
    for exponent in [-1060, -1022, -500, 0, 500, 1020] {
        let scale = 2f64.powi(exponent);
        let (mut ours, mut expected) = ([0.0; 2], [0.0; 2]);
        entropy_rows(&[scale, 2.0 * scale, scale, 0.0], 2, &normalize, &mut ours).expect("weights");
        entropy_rows(&[1.0, 2.0, 1.0, 0.0], 2, &normalize, &mut expected).expect("weights");
        assert_eq!(ours, expected, "2^{exponent}");
    }
}

#[test]
fn every_element_of_a_row_is_checked() {
    for width in [1, 7, 8, 9, 64, 65, 200] {
        for index in 0..width {
            // The bad element is of the last row but one, and its row sums to 1.
            let mut probs = rows(5, width, 21);
            probs[19 * width + index] = -1e-9;
            let expected = RowErrorKind::NotAProbability { index, value: -1e-9 };
            let lax = EntropyOptions { tolerance: 10.0, ..NATS };
            for isa in Isa::supported() {
                let error = entropy_rows_on(isa, &probs, width, &lax, &mut [0.0; 21]).expect_err("a bad row");
                assert_eq!(error, RowError { row: 19, kind: expected.clone() }, "{isa}");
            }
        }
    }
}

#[test]
fn a_tolerance_finer_than_the_kernel_sums_is_decided_exactly() {
    for width in [2usize, 64, 1000] {
        let mut row = vec![1.0 / width as f64; width];
        row[0] += 1e-15;
        let sum: f64 = row.iter().sum();
        let distance = (sum - 1.0).abs();
        let within = EntropyOptions { tolerance: 4.0 * distance, ..NATS };
        entropy_rows(&row, width, &within, &mut [0.0]).expect("within the tolerance");
        let beyond = EntropyOptions { tolerance: 0.0, ..NATS };
        row[0] += 1e-13;
        entropy_rows(&row, width, &beyond, &mut [0.0]).expect_err("beyond the tolerance");
    }
}
