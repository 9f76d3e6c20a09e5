//! Vectors in AVX2 with FMA: two registers each.

#![allow(unsafe_code, reason = "the instructions of an instruction set that was checked")]

use super::{COLUMNS, Lanes, Split, Vectorized};
use crate::logarithm::tables::{
    LOGARITHMS_F32, LOGARITHMS_F64, LOW_F32, LOW_F64, MANTISSA_F32, MANTISSA_F64, RECIPROCALS_F32, RECIPROCALS_F64,
    STEP_F32, STEP_F64,
};
use std::arch::x86_64::*;

/// Two registers of AVX2, on processors with FMA.
#[derive(Clone, Copy)]
pub struct Avx2<V>(V);

/// The operations that differ between the types only in the names of their instructions.
macro_rules! same_operations {
    (
        lanes: $lanes:literal,
        memory: $load:ident $store:ident,
        arithmetic: $splat:ident $add:ident $sub:ident $mul:ident $div:ident $mul_add:ident $max:ident,
        tests: $and:ident $or:ident $and_not:ident $compare:ident $blend:ident $signs:ident,
    ) => {
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller promises the instruction set.
            unsafe { Self([$splat(0.0); 2]) }
        }

        #[inline(always)]
        fn splat(self, x: Self::Real) -> Self {
            // SAFETY: `self` proves AVX2 and FMA, here and below.
            unsafe { Self([$splat(x); 2]) }
        }

        #[inline(always)]
        fn load(self, values: &[Self::Real]) -> Self {
            assert!(values.len() >= Self::Real::LANES, "{} elements", values.len());
            // SAFETY: there are as many elements as lanes in two registers.
            unsafe { Self([$load(values.as_ptr()), $load(values.as_ptr().add($lanes))]) }
        }

        #[inline(always)]
        fn load_first(self, values: &[Self::Real]) -> Self {
            assert!(values.len() < Self::Real::LANES, "{} elements", values.len());
            let mut line = <Self::Real as Vectorized>::Line::default();
            line[..values.len()].copy_from_slice(values);
            self.load(&line)
        }

        #[inline(always)]
        fn store(self, values: &mut [Self::Real]) {
            assert!(values.len() >= Self::Real::LANES, "{} elements", values.len());
            // SAFETY: as in `load`.
            unsafe {
                $store(values.as_mut_ptr(), self.0[0]);
                $store(values.as_mut_ptr().add($lanes), self.0[1]);
            }
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self([$add(self.0[0], other.0[0]), $add(self.0[1], other.0[1])]) }
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self([$sub(self.0[0], other.0[0]), $sub(self.0[1], other.0[1])]) }
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self([$mul(self.0[0], other.0[0]), $mul(self.0[1], other.0[1])]) }
        }

        #[inline(always)]
        fn div(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self([$div(self.0[0], other.0[0]), $div(self.0[1], other.0[1])]) }
        }

        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            let ([a, b], [x, y], [s, t]) = (self.0, factor.0, term.0);
            // SAFETY: as in `splat`.
            unsafe { Self([$mul_add(a, x, s), $mul_add(b, y, t)]) }
        }

        #[inline(always)]
        fn at_least_0(self) -> Self {
            // SAFETY: as in `splat`. Of zeros, or if one is NaN, the instruction returns the second.
            unsafe { Self([$max($splat(0.0), self.0[0]), $max($splat(0.0), self.0[1])]) }
        }

        #[inline(always)]
        fn if_negative(self, negative: Self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe {
                let low = $compare::<_CMP_LT_OQ>(self.0[0], $splat(0.0));
                let high = $compare::<_CMP_LT_OQ>(self.0[1], $splat(0.0));
                Self([$blend(other.0[0], negative.0[0], low), $blend(other.0[1], negative.0[1], high)])
            }
        }

        #[inline(always)]
        fn or(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self([$or(self.0[0], other.0[0]), $or(self.0[1], other.0[1])]) }
        }

        #[inline(always)]
        fn any_negative(self) -> bool {
            // SAFETY: as in `splat`.
            unsafe { $signs($or(self.0[0], self.0[1])) != 0 }
        }

        #[inline(always)]
        fn any_beyond(self, bound: Self) -> bool {
            // SAFETY: as in `splat`.
            unsafe {
                let magnitudes = [$and_not($splat(-0.0), self.0[0]), $and_not($splat(-0.0), self.0[1])];
                let low = $compare::<_CMP_NLE_UQ>(magnitudes[0], bound.0[0]);
                let high = $compare::<_CMP_NLE_UQ>(magnitudes[1], bound.0[1]);
                $signs($or(low, high)) != 0
            }
        }

        #[inline(always)]
        fn any_tiny(self, bound: Self) -> bool {
            // SAFETY: as in `splat`.
            unsafe {
                let magnitudes = [$and_not($splat(-0.0), self.0[0]), $and_not($splat(-0.0), self.0[1])];
                let small_low = $compare::<_CMP_LT_OQ>(magnitudes[0], bound.0[0]);
                let small_high = $compare::<_CMP_LT_OQ>(magnitudes[1], bound.0[1]);
                let low = $and(small_low, $compare::<_CMP_NEQ_UQ>(self.0[0], $splat(0.0)));
                let high = $and(small_high, $compare::<_CMP_NEQ_UQ>(self.0[1], $splat(0.0)));
                $signs($or(low, high)) != 0
            }
        }
    };
}

impl Lanes for Avx2<[__m256d; 2]> {
    type Real = f64;

    same_operations! {
        lanes: 4,
        memory: _mm256_loadu_pd _mm256_storeu_pd,
        arithmetic: _mm256_set1_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_div_pd _mm256_fmadd_pd _mm256_max_pd,
        tests: _mm256_and_pd _mm256_or_pd _mm256_andnot_pd _mm256_cmp_pd _mm256_blendv_pd _mm256_movemask_pd,
    }

    /// Four times 4 × 4.
    #[inline(always)]
    fn columns(self, values: &[f64], stride: usize) -> [Self; COLUMNS] {
        assert!(values.len() >= 7 * stride + COLUMNS, "the last row");
        // SAFETY: 7 is the largest row, and its columns are in `values`. `self` proves AVX2.
        unsafe {
            let (upper_left, lower_left) = (f64_block(values, 0, stride), f64_block(values, 4 * stride, stride));
            let (upper_right, lower_right) = (f64_block(values, 4, stride), f64_block(values, 4 * stride + 4, stride));
            let mut columns = [self; COLUMNS];
            for i in 0..4 {
                columns[i] = Self([upper_left[i], lower_left[i]]);
                columns[4 + i] = Self([upper_right[i], lower_right[i]]);
            }
            columns
        }
    }

    #[inline(always)]
    fn split(self) -> Split<Self> {
        // SAFETY: `self` proves AVX2 and FMA.
        let (low, high) = unsafe { (f64_split(self.0[0]), f64_split(self.0[1])) };
        Split { k: Self([low.k, high.k]), logarithm: Self([low.logarithm, high.logarithm]), f: Self([low.f, high.f]) }
    }
}

impl Lanes for Avx2<[__m256; 2]> {
    type Real = f32;

    same_operations! {
        lanes: 8,
        memory: _mm256_loadu_ps _mm256_storeu_ps,
        arithmetic: _mm256_set1_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps _mm256_fmadd_ps _mm256_max_ps,
        tests: _mm256_and_ps _mm256_or_ps _mm256_andnot_ps _mm256_cmp_ps _mm256_blendv_ps _mm256_movemask_ps,
    }

    /// Twice 8 × 8.
    #[inline(always)]
    fn columns(self, values: &[f32], stride: usize) -> [Self; COLUMNS] {
        assert!(values.len() >= 15 * stride + COLUMNS, "the last row");
        // SAFETY: 15 is the largest row, and its columns are in `values`. `self` proves AVX2.
        unsafe {
            let (a, b) = (f32_block(values, 0, stride), f32_block(values, 4 * stride, stride));
            let (c, d) = (f32_block(values, 8 * stride, stride), f32_block(values, 12 * stride, stride));
            let mut columns = [self; COLUMNS];
            for i in 0..4 {
                let (ab, cd) = ((a[i], b[i]), (c[i], d[i]));
                columns[i] =
                    Self([_mm256_permute2f128_ps::<0x20>(ab.0, ab.1), _mm256_permute2f128_ps::<0x20>(cd.0, cd.1)]);
                columns[4 + i] =
                    Self([_mm256_permute2f128_ps::<0x31>(ab.0, ab.1), _mm256_permute2f128_ps::<0x31>(cd.0, cd.1)]);
            }
            columns
        }
    }

    #[inline(always)]
    fn split(self) -> Split<Self> {
        // SAFETY: `self` proves AVX2 and FMA.
        let (low, high) = unsafe { (f32_split(self.0[0]), f32_split(self.0[1])) };
        Split { k: Self([low.k, high.k]), logarithm: Self([low.logarithm, high.logarithm]), f: Self([low.f, high.f]) }
    }
}

// What follows is called by the methods above only, and as unsafe as its instructions are: the processor has AVX2 and FMA.
// Functions, not closures, which could not be `inline(always)`.

/// 4 × 4: four elements of each of four rows from the element `start`, transposed.
#[inline(always)]
unsafe fn f64_block(values: &[f64], start: usize, stride: usize) -> [__m256d; 4] {
    // SAFETY: promised by the caller, as is that `values` has the rows.
    unsafe {
        let first = values.as_ptr().add(start);
        let (a, b) = (_mm256_loadu_pd(first), _mm256_loadu_pd(first.add(stride)));
        let (c, d) = (_mm256_loadu_pd(first.add(2 * stride)), _mm256_loadu_pd(first.add(3 * stride)));
        let (even_ab, odd_ab) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
        let (even_cd, odd_cd) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
        [
            _mm256_permute2f128_pd::<0x20>(even_ab, even_cd),
            _mm256_permute2f128_pd::<0x20>(odd_ab, odd_cd),
            _mm256_permute2f128_pd::<0x31>(even_ab, even_cd),
            _mm256_permute2f128_pd::<0x31>(odd_ab, odd_cd),
        ]
    }
}

/// Eight elements of each of four rows from the element `start`, 4 × 4 within each half of a register: register i has
/// column i on the left and column i + 4 on the right.
#[inline(always)]
unsafe fn f32_block(values: &[f32], start: usize, stride: usize) -> [__m256; 4] {
    // SAFETY: promised by the caller, as is that `values` has the rows.
    unsafe {
        let first = values.as_ptr().add(start);
        let (a, b) = (_mm256_loadu_ps(first), _mm256_loadu_ps(first.add(stride)));
        let (c, d) = (_mm256_loadu_ps(first.add(2 * stride)), _mm256_loadu_ps(first.add(3 * stride)));
        let (ab, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (cd, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        let (ab, ab_high) = (_mm256_castps_pd(ab), _mm256_castps_pd(ab_high));
        let (cd, cd_high) = (_mm256_castps_pd(cd), _mm256_castps_pd(cd_high));
        [
            _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)),
            _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high)),
        ]
    }
}

/// The entries of a table, whose index is the four bits from [`STEP_F64`]: of each register the one that two bits choose,
/// then by the other two. Gathering would take twice as long.
#[inline(always)]
unsafe fn f64_look_up(table: &[f64; 16], bits: __m256i) -> __m256d {
    // SAFETY: promised by the caller; the table has the elements of four registers.
    unsafe {
        // Both halves of an element: 2i and 2i + 1.
        let twice = _mm256_shuffle_epi32::<0b10_10_00_00>(_mm256_srli_epi64::<{ STEP_F64 as i32 - 1 }>(bits));
        let halves =
            _mm256_or_si256(_mm256_and_si256(twice, _mm256_set1_epi64x(6 << 32 | 6)), _mm256_set1_epi64x(1 << 32));
        let second = _mm256_castsi256_pd(_mm256_slli_epi64::<{ 61 - STEP_F64 as i32 }>(bits));
        let third = _mm256_castsi256_pd(_mm256_slli_epi64::<{ 60 - STEP_F64 as i32 }>(bits));
        let [a, b, c, d] =
            [f64_of(table, 0, halves), f64_of(table, 4, halves), f64_of(table, 8, halves), f64_of(table, 12, halves)];
        _mm256_blendv_pd(_mm256_blendv_pd(a, b, second), _mm256_blendv_pd(c, d, second), third)
    }
}

/// Of the four elements from `start`, those whose halves are given.
#[inline(always)]
unsafe fn f64_of(table: &[f64; 16], start: usize, halves: __m256i) -> __m256d {
    // SAFETY: promised by the caller, as is that `start` is at most 12.
    unsafe { _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr().add(start).cast()), halves)) }
}

/// The entries of a table, whose index is the five bits from [`STEP_F32`]: of each register the one that three bits choose,
/// then by the other two.
#[inline(always)]
unsafe fn f32_look_up(table: &[f32; 32], bits: __m256i) -> __m256 {
    // SAFETY: promised by the caller; the table has the elements of four registers.
    unsafe {
        let entry = _mm256_srli_epi32::<{ STEP_F32 as i32 }>(bits);
        let third = _mm256_castsi256_ps(_mm256_slli_epi32::<{ 28 - STEP_F32 as i32 }>(bits));
        let fourth = _mm256_castsi256_ps(_mm256_slli_epi32::<{ 27 - STEP_F32 as i32 }>(bits));
        let a = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr()), entry);
        let b = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr().add(8)), entry);
        let c = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr().add(16)), entry);
        let d = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr().add(24)), entry);
        _mm256_blendv_ps(_mm256_blendv_ps(a, b, third), _mm256_blendv_ps(c, d, third), fourth)
    }
}

#[inline(always)]
unsafe fn f64_split(x: __m256d) -> Split<__m256d> {
    /// As bits, 2⁵² + n for n < 2⁵² is the exponent of 2⁵² with mantissa n: a conversion that AVX2 lacks.
    const TWO_52: f64 = (1u64 << 52) as f64;
    // SAFETY: promised by the caller.
    unsafe {
        let offset = _mm256_set1_epi64x(1f64.to_bits().wrapping_sub(LOW_F64).cast_signed());
        let bits = _mm256_add_epi64(_mm256_castpd_si256(x), offset);
        let mantissa = _mm256_and_si256(bits, _mm256_set1_epi64x(MANTISSA_F64.cast_signed()));
        let mantissa = _mm256_add_epi64(mantissa, _mm256_set1_epi64x(LOW_F64.cast_signed()));
        let reciprocal = f64_look_up(&RECIPROCALS_F64, bits);
        let biased = _mm256_or_si256(_mm256_srli_epi64::<52>(bits), _mm256_castpd_si256(_mm256_set1_pd(TWO_52)));
        Split {
            k: _mm256_sub_pd(_mm256_castsi256_pd(biased), _mm256_set1_pd(TWO_52 + 1023.0)),
            logarithm: f64_look_up(&LOGARITHMS_F64, bits),
            f: _mm256_fmsub_pd(_mm256_castsi256_pd(mantissa), reciprocal, _mm256_set1_pd(1.0)),
        }
    }
}

#[inline(always)]
unsafe fn f32_split(x: __m256) -> Split<__m256> {
    // SAFETY: promised by the caller.
    unsafe {
        let offset = _mm256_set1_epi32(1f32.to_bits().wrapping_sub(LOW_F32).cast_signed());
        let bits = _mm256_add_epi32(_mm256_castps_si256(x), offset);
        let mantissa = _mm256_and_si256(bits, _mm256_set1_epi32(MANTISSA_F32.cast_signed()));
        let mantissa = _mm256_add_epi32(mantissa, _mm256_set1_epi32(LOW_F32.cast_signed()));
        let reciprocal = f32_look_up(&RECIPROCALS_F32, bits);
        let exponent = _mm256_sub_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(127));
        Split {
            k: _mm256_cvtepi32_ps(exponent),
            logarithm: f32_look_up(&LOGARITHMS_F32, bits),
            f: _mm256_fmsub_ps(_mm256_castsi256_ps(mantissa), reciprocal, _mm256_set1_ps(1.0)),
        }
    }
}
