//! The floating-point types of generic kernels.

use crate::{
    lanes::Vectorized,
    logarithm::tables::{SERIES_F32, SERIES_F64},
};
use std::ops::{Add, Div, Mul, Sub};

/// `f32` or `f64`.
pub trait Real:
    Vectorized
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// ln 2
    const LN_2: Self;
    /// Distance from 1 to the next larger value.
    const EPSILON: Self;
    /// An entropy of at least this has all its digits if subnormal elements, at most 2³⁰ of them, are wrong by a tenth.
    const TINY: Self;
    /// (ln(1 + f) - f) / f² as a polynomial in f, lowest power first.
    const SERIES: &[Self];
    /// The nearest value to an `f64`.
    fn from_f64(value: f64) -> Self;
    /// The same value as `f64`.
    fn to_f64(self) -> f64;
    /// The absolute value.
    fn abs(self) -> Self;
    /// self · factor + term, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// The bits that either has.
    fn or(self, other: Self) -> Self;
    /// Whether the sign bit is set.
    fn is_sign_negative(self) -> bool;
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const INFINITY: Self = f64::INFINITY;
    const LN_2: Self = std::f64::consts::LN_2;
    const EPSILON: Self = f64::EPSILON;
    const TINY: Self = f64::from_bits((1023 - 900) << 52);
    const SERIES: &[Self] = &SERIES_F64;

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        f64::mul_add(self, factor, term)
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self::from_bits(self.to_bits() | other.to_bits())
    }

    #[inline(always)]
    fn is_sign_negative(self) -> bool {
        f64::is_sign_negative(self)
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const INFINITY: Self = f32::INFINITY;
    const LN_2: Self = std::f32::consts::LN_2;
    const EPSILON: Self = f32::EPSILON;
    const TINY: Self = f32::from_bits((127 - 60) << 23);
    const SERIES: &[Self] = &SERIES_F32;

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        f32::mul_add(self, factor, term)
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self::from_bits(self.to_bits() | other.to_bits())
    }

    #[inline(always)]
    fn is_sign_negative(self) -> bool {
        f32::is_sign_negative(self)
    }
}
