//! The floating-point types of generic kernels.

use std::ops::{Add, Div, Mul, Sub};

/// `f32` or `f64`, with a logarithm that vectorizes.
pub trait Real:
    Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + 'static
{
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// The nearest value to an `f64`.
    fn from_f64(value: f64) -> Self;
    /// The same value as `f64`.
    fn to_f64(self) -> f64;
    /// The absolute value.
    fn abs(self) -> Self;
    /// 2
    const TWO: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// The smallest positive normal value.
    const MIN_POSITIVE: Self;

    /// (k, f) with self = 2ᵏ·(1+f), 1+f in [√½, √2) and f exact; for positive, finite values.
    ///
    /// With `SUBNORMAL` false it is a third faster, and wrong but finite for 0 and subnormals.
    fn reduce<const SUBNORMAL: bool>(self) -> (Self, Self);

    /// The polynomial of the logarithm, where `s` is f/(2+f).
    fn ln_series(s: Self) -> Self;

    /// k·ln 2 + ln(1+f), of a number reduced to (k, f), where `s` is f/(2+f) and `series` its polynomial.
    fn ln_reduced(k: Self, f: Self, s: Self, series: Self) -> Self;

    /// The natural logarithm of a positive, finite number, within 1 ulp, subnormals included.
    ///
    /// Without branches, table look-ups or fused operations: it vectorizes, and gives the same bits
    /// on every processor. The algorithm and its constants are those of fdlibm's `e_log.c` and
    /// `e_logf.c` (Sun Microsystems, 1993): x = 2ᵏ·(1+f) with 1+f in [√½, √2), and ln(1+f) from a
    /// polynomial in (f/(2+f))². Next to 1, k is 0 and f exact, so that the relative error stays small.
    #[inline(always)]
    fn ln(self) -> Self {
        let (k, f) = self.reduce::<true>();
        let s = f / (Self::TWO + f);
        Self::ln_reduced(k, f, s, Self::ln_series(s))
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const TWO: Self = 2.0;
    const INFINITY: Self = f64::INFINITY;
    const MIN_POSITIVE: Self = f64::MIN_POSITIVE;

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
    fn reduce<const SUBNORMAL: bool>(self) -> (Self, Self) {
        const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
        const ONE: u64 = 0x3ff0_0000_0000_0000;
        const MANTISSA: u64 = (1 << 52) - 1;
        /// As bits, 2⁵² + n for n < 2⁵² is the exponent of 2⁵² with mantissa n: a conversion that AVX2 lacks.
        const TWO_52: f64 = (1u64 << 52) as f64;
        const TWO_54: f64 = (1u64 << 54) as f64;

        let scaled = SUBNORMAL && self < f64::MIN_POSITIVE;
        let x = if scaled { self * TWO_54 } else { self };
        let bits = x.to_bits().wrapping_add(ONE - SQRT_HALF);
        let biased = f64::from_bits((bits >> 52) | TWO_52.to_bits());
        let k = biased - if scaled { TWO_52 + 1023.0 + 54.0 } else { TWO_52 + 1023.0 };
        (k, f64::from_bits((bits & MANTISSA) + SQRT_HALF) - 1.0)
    }

    #[inline(always)]
    fn ln_series(s: Self) -> Self {
        const L1: f64 = 6.666_666_666_666_735e-01;
        const L2: f64 = 3.999_999_999_940_942e-01;
        const L3: f64 = 2.857_142_874_366_239e-01;
        const L4: f64 = 2.222_219_843_214_978_4e-01;
        const L5: f64 = 1.818_357_216_161_805e-01;
        const L6: f64 = 1.531_383_769_920_937_3e-01;
        const L7: f64 = 1.479_819_860_511_658_6e-01;

        let z = s * s;
        let w = z * z;
        let even = w * (L2 + w * (L4 + w * L6));
        let odd = z * (L1 + w * (L3 + w * (L5 + w * L7)));
        even + odd
    }

    #[inline(always)]
    fn ln_reduced(k: Self, f: Self, s: Self, series: Self) -> Self {
        const LN2_HI: f64 = 6.931_471_803_691_238e-01;
        const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;

        let half_square = 0.5 * f * f;
        s * (half_square + series) + k * LN2_LO - half_square + f + k * LN2_HI
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const TWO: Self = 2.0;
    const INFINITY: Self = f32::INFINITY;
    const MIN_POSITIVE: Self = f32::MIN_POSITIVE;

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
    fn reduce<const SUBNORMAL: bool>(self) -> (Self, Self) {
        const SQRT_HALF: u32 = 0x3f35_04f3;
        const ONE: u32 = 0x3f80_0000;
        const MANTISSA: u32 = (1 << 23) - 1;
        const TWO_25: f32 = (1u32 << 25) as f32;

        let scaled = SUBNORMAL && self < f32::MIN_POSITIVE;
        let x = if scaled { self * TWO_25 } else { self };
        let bits = x.to_bits().wrapping_add(ONE - SQRT_HALF);
        let k = ((bits >> 23) as i32 - if scaled { 127 + 25 } else { 127 }) as f32;
        (k, f32::from_bits((bits & MANTISSA) + SQRT_HALF) - 1.0)
    }

    #[inline(always)]
    fn ln_series(s: Self) -> Self {
        const L1: f32 = 0.666_666_6;
        const L2: f32 = 0.400_009_72;
        const L3: f32 = 0.284_987_87;
        const L4: f32 = 0.242_790_79;

        let z = s * s;
        let w = z * z;
        z * (L1 + w * L3) + w * (L2 + w * L4)
    }

    #[inline(always)]
    fn ln_reduced(k: Self, f: Self, s: Self, series: Self) -> Self {
        const LN2_HI: f32 = 0.693_138_1;
        const LN2_LO: f32 = 9.058_001e-6;

        let half_square = 0.5 * f * f;
        s * (half_square + series) + k * LN2_LO - half_square + f + k * LN2_HI
    }
}

#[cfg(test)]
mod tests {
    use super::Real;
    use proptest::prelude::*;

    /// Distance in units in the last place.
    fn ulps(ours: f64, reference: f64) -> u64 {
        (ours.to_bits() as i64).abs_diff(reference.to_bits() as i64)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn f64_logarithm_is_within_1_ulp(bits in 1u64..0x7ff0_0000_0000_0000) {
            let x = f64::from_bits(bits);
            prop_assert!(ulps(Real::ln(x), libm::log(x)) <= 1, "{x:e}");
        }

        #[test]
        fn f64_logarithm_is_within_1_ulp_next_to_1(x in 0.9f64..1.1, tiny in -60i32..-1) {
            for x in [x, 1.0 - 2f64.powi(tiny), 1.0 + 2f64.powi(tiny)] {
                if x != 1.0 {
                    prop_assert!(ulps(Real::ln(x), libm::log(x)) <= 1, "{x:e}");
                }
            }
        }

        #[test]
        fn f32_logarithm_is_within_1_ulp(bits in 1u32..0x7f80_0000, near in 0.9f32..1.1) {
            for x in [f32::from_bits(bits), near] {
                // The f64 logarithm, rounded once.
                let reference = libm::log(f64::from(x)) as f32;
                let distance = (Real::ln(x).to_bits() as i32).abs_diff(reference.to_bits() as i32);
                prop_assert!(x == 1.0 || distance <= 1, "{x:e}: {distance}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_short_reduction_is_the_same_for_normal_numbers(wide in f64::MIN_POSITIVE..f64::MAX, bits in 0x0080_0000u32..0x7f80_0000) {
            let narrow = f32::from_bits(bits);
            prop_assert_eq!(wide.reduce::<false>(), wide.reduce::<true>());
            prop_assert_eq!(narrow.reduce::<false>(), narrow.reduce::<true>());
        }
    }

    #[test]
    fn the_logarithm_of_1_is_0() {
        assert_eq!((Real::ln(1f64), Real::ln(1f32)), (0.0, 0.0));
    }
}
