//! Vectors in AVX-512: one register each.

#![allow(unsafe_code, reason = "the instructions of an instruction set that was checked")]

use super::{COLUMNS, Lanes, Split, Vectorized};
use crate::logarithm::tables::{
    LOGARITHMS_F32, LOGARITHMS_F64, LOW_F32, LOW_F64, MANTISSA_F32, MANTISSA_F64, RECIPROCALS_F32, RECIPROCALS_F64,
    STEP_F32, STEP_F64,
};
use std::arch::x86_64::*;

/// A register of AVX-512 F, DQ and VL.
#[derive(Clone, Copy)]
pub struct Avx512<V>(V);

/// The operations that differ between the types only in the names of their instructions.
macro_rules! same_operations {
    (
        mask: $mask:ty,
        memory: $load:ident $load_masked:ident $store:ident,
        arithmetic: $splat:ident $add:ident $sub:ident $mul:ident $div:ident $mul_add:ident $max:ident $or:ident,
        tests: $abs:ident $compare:ident $blend:ident $signs:ident $bits:ident,
    ) => {
        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller promises the instruction set.
            unsafe { Self($splat(0.0)) }
        }

        #[inline(always)]
        fn splat(self, x: Self::Real) -> Self {
            // SAFETY: `self` proves AVX-512, here and below.
            unsafe { Self($splat(x)) }
        }

        #[inline(always)]
        fn load(self, values: &[Self::Real]) -> Self {
            assert!(values.len() >= Self::Real::LANES, "{} elements", values.len());
            // SAFETY: there are as many elements as lanes.
            unsafe { Self($load(values.as_ptr())) }
        }

        #[inline(always)]
        fn load_first(self, values: &[Self::Real]) -> Self {
            assert!(values.len() < Self::Real::LANES, "{} elements", values.len());
            let lanes: $mask = (1 << values.len()) - 1;
            // SAFETY: lanes outside of the mask, which has one bit for each of `values`, are not read.
            unsafe { Self($load_masked(lanes, values.as_ptr())) }
        }

        #[inline(always)]
        fn store(self, values: &mut [Self::Real]) {
            assert!(values.len() >= Self::Real::LANES, "{} elements", values.len());
            // SAFETY: as in `load`.
            unsafe { $store(values.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self($add(self.0, other.0)) }
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self($sub(self.0, other.0)) }
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self($mul(self.0, other.0)) }
        }

        #[inline(always)]
        fn div(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self($div(self.0, other.0)) }
        }

        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self($mul_add(self.0, factor.0, term.0)) }
        }

        #[inline(always)]
        fn at_least_0(self) -> Self {
            // SAFETY: as in `splat`. Of zeros, or if one is NaN, the instruction returns the second.
            unsafe { Self($max($splat(0.0), self.0)) }
        }

        #[inline(always)]
        fn if_negative(self, negative: Self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self($blend($compare::<_CMP_LT_OQ>(self.0, $splat(0.0)), other.0, negative.0)) }
        }

        #[inline(always)]
        fn or(self, other: Self) -> Self {
            // SAFETY: as in `splat`.
            unsafe { Self($or(self.0, other.0)) }
        }

        #[inline(always)]
        fn any_negative(self) -> bool {
            // SAFETY: as in `splat`.
            unsafe { $signs($bits(self.0)) != 0 }
        }

        #[inline(always)]
        fn any_beyond(self, bound: Self) -> bool {
            // SAFETY: as in `splat`.
            unsafe { $compare::<_CMP_NLE_UQ>($abs(self.0), bound.0) != 0 }
        }

        #[inline(always)]
        fn any_tiny(self, bound: Self) -> bool {
            // SAFETY: as in `splat`.
            unsafe {
                let tiny = $compare::<_CMP_LT_OQ>($abs(self.0), bound.0);
                tiny & $compare::<_CMP_NEQ_UQ>(self.0, $splat(0.0)) != 0
            }
        }
    };
}

impl Lanes for Avx512<__m512d> {
    type Real = f64;

    same_operations! {
        mask: u8,
        memory: _mm512_loadu_pd _mm512_maskz_loadu_pd _mm512_storeu_pd,
        arithmetic: _mm512_set1_pd _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_div_pd _mm512_fmadd_pd _mm512_max_pd _mm512_or_pd,
        tests: _mm512_abs_pd _mm512_cmp_pd_mask _mm512_mask_blend_pd _mm512_movepi64_mask _mm512_castpd_si512,
    }

    /// 8 × 8: pairs of rows, then blocks of two elements.
    #[inline(always)]
    fn columns(self, values: &[f64], stride: usize) -> [Self; COLUMNS] {
        assert!(values.len() >= 7 * stride + COLUMNS, "the last row");
        // SAFETY: 7 is the largest row, and its columns are in `values`. `self` proves AVX-512.
        unsafe {
            let (even_01, odd_01) = f64_pair(values, 0, stride);
            let (even_23, odd_23) = f64_pair(values, 2, stride);
            let (even_45, odd_45) = f64_pair(values, 4, stride);
            let (even_67, odd_67) = f64_pair(values, 6, stride);
            let [c0, c2, c4, c6] = f64_blocks(even_01, even_23, even_45, even_67);
            let [c1, c3, c5, c7] = f64_blocks(odd_01, odd_23, odd_45, odd_67);
            [Self(c0), Self(c1), Self(c2), Self(c3), Self(c4), Self(c5), Self(c6), Self(c7)]
        }
    }

    #[inline(always)]
    fn split(self) -> Split<Self> {
        // SAFETY: `self` proves AVX-512. The tables have the elements of two registers.
        unsafe {
            let offset = _mm512_set1_epi64(1f64.to_bits().wrapping_sub(LOW_F64).cast_signed());
            let bits = _mm512_add_epi64(_mm512_castpd_si512(self.0), offset);
            let mantissa = _mm512_and_si512(bits, _mm512_set1_epi64(MANTISSA_F64.cast_signed()));
            let mantissa = _mm512_add_epi64(mantissa, _mm512_set1_epi64(LOW_F64.cast_signed()));
            let entry = _mm512_srli_epi64::<STEP_F64>(bits);
            let reciprocal = f64_look_up(&RECIPROCALS_F64, entry);
            Split {
                k: Self(_mm512_getexp_pd(_mm512_castsi512_pd(bits))),
                logarithm: Self(f64_look_up(&LOGARITHMS_F64, entry)),
                f: Self(_mm512_fmsub_pd(_mm512_castsi512_pd(mantissa), reciprocal, _mm512_set1_pd(1.0))),
            }
        }
    }
}

impl Lanes for Avx512<__m512> {
    type Real = f32;

    same_operations! {
        mask: u16,
        memory: _mm512_loadu_ps _mm512_maskz_loadu_ps _mm512_storeu_ps,
        arithmetic: _mm512_set1_ps _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_div_ps _mm512_fmadd_ps _mm512_max_ps _mm512_or_ps,
        tests: _mm512_abs_ps _mm512_cmp_ps_mask _mm512_mask_blend_ps _mm512_movepi32_mask _mm512_castps_si512,
    }

    /// 16 × 8: registers of two rows, 4 × 4 within each quarter of four of them, then the quarters.
    #[inline(always)]
    fn columns(self, values: &[f32], stride: usize) -> [Self; COLUMNS] {
        assert!(values.len() >= 15 * stride + COLUMNS, "the last row");
        // SAFETY: 15 is the largest row, and its columns are in `values`. `self` proves AVX-512.
        unsafe {
            let (upper, lower) = (f32_quarters(values, 0, stride), f32_quarters(values, 8, stride));
            // Quarters have even rows, left and right columns, then odd rows.
            let left = _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 16, 24, 17, 25, 18, 26, 19, 27);
            let right = _mm512_setr_epi32(4, 12, 5, 13, 6, 14, 7, 15, 20, 28, 21, 29, 22, 30, 23, 31);
            let mut columns = [self; COLUMNS];
            for i in 0..4 {
                columns[i] = Self(_mm512_permutex2var_ps(upper[i], left, lower[i]));
                columns[4 + i] = Self(_mm512_permutex2var_ps(upper[i], right, lower[i]));
            }
            columns
        }
    }

    #[inline(always)]
    fn split(self) -> Split<Self> {
        // SAFETY: `self` proves AVX-512. The tables have the elements of two registers.
        unsafe {
            let offset = _mm512_set1_epi32(1f32.to_bits().wrapping_sub(LOW_F32).cast_signed());
            let bits = _mm512_add_epi32(_mm512_castps_si512(self.0), offset);
            let mantissa = _mm512_and_si512(bits, _mm512_set1_epi32(MANTISSA_F32.cast_signed()));
            let mantissa = _mm512_add_epi32(mantissa, _mm512_set1_epi32(LOW_F32.cast_signed()));
            let entry = _mm512_srli_epi32::<STEP_F32>(bits);
            let reciprocal = f32_look_up(&RECIPROCALS_F32, entry);
            Split {
                k: Self(_mm512_getexp_ps(_mm512_castsi512_ps(bits))),
                logarithm: Self(f32_look_up(&LOGARITHMS_F32, entry)),
                f: Self(_mm512_fmsub_ps(_mm512_castsi512_ps(mantissa), reciprocal, _mm512_set1_ps(1.0))),
            }
        }
    }
}

// What follows is called by the methods above only, and as unsafe as its instructions are: the processor has AVX-512.
// Functions, not closures, which could not be `inline(always)`.

/// The entries of a table, whose index is the low bits of `entry`.
#[inline(always)]
unsafe fn f64_look_up(table: &[f64; 16], entry: __m512i) -> __m512d {
    // SAFETY: promised by the caller; the table has the elements of two registers.
    unsafe {
        let (low, high) = (_mm512_loadu_pd(table.as_ptr()), _mm512_loadu_pd(table.as_ptr().add(8)));
        _mm512_permutex2var_pd(low, entry, high)
    }
}

/// As [`f64_look_up`].
#[inline(always)]
unsafe fn f32_look_up(table: &[f32; 32], entry: __m512i) -> __m512 {
    // SAFETY: as in `f64_look_up`.
    unsafe {
        let (low, high) = (_mm512_loadu_ps(table.as_ptr()), _mm512_loadu_ps(table.as_ptr().add(16)));
        _mm512_permutex2var_ps(low, entry, high)
    }
}

/// Rows `row` and `row + 1`, eight elements of each: the elements of even and of odd columns, in pairs.
#[inline(always)]
unsafe fn f64_pair(values: &[f64], row: usize, stride: usize) -> (__m512d, __m512d) {
    // SAFETY: promised by the caller, as is that `values` has the rows.
    unsafe {
        let first = _mm512_loadu_pd(values.as_ptr().add(row * stride));
        let second = _mm512_loadu_pd(values.as_ptr().add((row + 1) * stride));
        (_mm512_unpacklo_pd(first, second), _mm512_unpackhi_pd(first, second))
    }
}

/// 4 × 4, of blocks of two elements.
#[inline(always)]
unsafe fn f64_blocks(a: __m512d, b: __m512d, c: __m512d, d: __m512d) -> [__m512d; 4] {
    // SAFETY: promised by the caller.
    unsafe {
        let (low_ab, high_ab) = (_mm512_shuffle_f64x2::<0x44>(a, b), _mm512_shuffle_f64x2::<0xee>(a, b));
        let (low_cd, high_cd) = (_mm512_shuffle_f64x2::<0x44>(c, d), _mm512_shuffle_f64x2::<0xee>(c, d));
        [
            _mm512_shuffle_f64x2::<0x88>(low_ab, low_cd),
            _mm512_shuffle_f64x2::<0xdd>(low_ab, low_cd),
            _mm512_shuffle_f64x2::<0x88>(high_ab, high_cd),
            _mm512_shuffle_f64x2::<0xdd>(high_ab, high_cd),
        ]
    }
}

/// Eight rows from `row`, eight elements of each: 4 × 4 within each quarter of a register. The left half of register i has
/// columns i and i + 4 of the even rows, the right half those of the odd rows.
#[inline(always)]
unsafe fn f32_quarters(values: &[f32], row: usize, stride: usize) -> [__m512; 4] {
    // SAFETY: promised by the caller, as is that `values` has the rows.
    unsafe {
        let (a, b) = (f32_two_rows(values, row, stride), f32_two_rows(values, row + 2, stride));
        let (c, d) = (f32_two_rows(values, row + 4, stride), f32_two_rows(values, row + 6, stride));
        let (ab, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let (cd, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        let (ab, ab_high) = (_mm512_castps_pd(ab), _mm512_castps_pd(ab_high));
        let (cd, cd_high) = (_mm512_castps_pd(cd), _mm512_castps_pd(cd_high));
        [
            _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)),
            _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high)),
        ]
    }
}

/// Rows `row` and `row + 1`, eight elements of each.
#[inline(always)]
unsafe fn f32_two_rows(values: &[f32], row: usize, stride: usize) -> __m512 {
    // SAFETY: promised by the caller, as is that `values` has the rows.
    unsafe {
        let first = values.as_ptr().add(row * stride);
        if stride == COLUMNS {
            return _mm512_loadu_ps(first);
        }
        let second = _mm256_loadu_ps(first.add(stride));
        _mm512_insertf32x8::<1>(_mm512_castps256_ps512(_mm256_loadu_ps(first)), second)
    }
}
