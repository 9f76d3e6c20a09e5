//! The logarithm against libm's, rounded once.

#![allow(unsafe_code, reason = "the first value of a vector is a promise about the processor")]

use super::ln;
use crate::{
    lanes::{Lanes, Plain, Vectorized},
    real::Real,
};
use proptest::prelude::*;

/// The logarithm of one number.
fn scalar<T: Real>(x: T) -> T {
    // SAFETY: plain Rust runs everywhere.
    let zero = unsafe { Plain::<T>::zero() };
    ln(zero.splat(x)).first()
}

fn ulps(ours: f64, reference: f64) -> u64 {
    (ours.to_bits() as i64).abs_diff(reference.to_bits() as i64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn f64_logarithm_is_within_2_ulp(bits in f64::MIN_POSITIVE.to_bits()..(f64::MAX / 2.0).to_bits()) {
        let x = f64::from_bits(bits);
        prop_assert!(ulps(scalar(x), libm::log(x)) <= 2, "{x:e}");
    }

    #[test]
    fn f64_logarithm_is_within_2_ulp_next_to_1(x in 0.5f64..2.0, tiny in -60i32..-1) {
        for x in [x, 1.0 - 2f64.powi(tiny), 1.0 + 2f64.powi(tiny)] {
            prop_assert!(ulps(scalar(x), libm::log(x)) <= 2, "{x:e}");
        }
    }
}

/// The largest relative error over every `step`th normal number from `first`.
fn worst_f32(first: u32, step: u32) -> f64 {
    // SAFETY: plain Rust runs everywhere.
    let zero = unsafe { Plain::<f32>::zero() };
    let mut worst = 0f64;
    for start in (first..(f32::MAX / 2.0).to_bits() - 16 * step).step_by(16 * step as usize) {
        let mut x = [0f32; f32::LANES];
        for (lane, x) in (0u32..).zip(&mut x) {
            *x = f32::from_bits(start + lane * step);
        }
        let mut ours = x;
        ln(zero.load(&x)).store(&mut ours);
        for (ours, x) in ours.iter().zip(x) {
            let expected = libm::log(f64::from(x));
            let error = (f64::from(*ours) - expected).abs();
            worst = worst.max(if expected == 0.0 { error } else { error / expected.abs() });
        }
    }
    worst
}

#[test]
fn f32_logarithm_is_within_4e_7() {
    let worst = worst_f32(f32::MIN_POSITIVE.to_bits(), 1009);
    assert!(worst <= 4e-7, "{worst:e}");
}

/// All of the interval in which the logarithm has a zero, and its neighbours.
#[test]
fn f32_logarithm_is_within_4e_7_next_to_1() {
    let first = 0.96f32.to_bits();
    assert!(worst_f32(first, 7) <= 4e-7);
}

#[test]
#[ignore = "a minute: every normal number"]
fn every_f32_logarithm_is_within_4e_7() {
    let worst = worst_f32(f32::MIN_POSITIVE.to_bits(), 1);
    assert!(worst <= 4e-7, "{worst:e}");
}

#[test]
fn the_logarithm_of_1_is_0_and_of_0_finite() {
    assert_eq!((scalar(1f64), scalar(1f32)), (0.0, 0.0));
    assert!(scalar(0f64).is_finite() && scalar(0f32).is_finite());
    assert!(scalar(-0f64).is_finite() && scalar(-0f32).is_finite());
}
