//! Vectors of sixteen `f32` lanes, and run-time dispatch for kernels that use them.
//!
//! Elsewhere kernels are plain loops that the compiler vectorizes. The micro-kernels of matrix products and convolutions are nested loops
//! over arrays that must stay in registers; whether the compiler keeps them there depends on the surrounding code, by a
//! factor of 30 in time. So they use intrinsics.

#![allow(unsafe_code, reason = "the instructions of an instruction set that was checked")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m256i, __m512, _mm_sfence, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_storeu_ps, _mm256_stream_ps, _mm256_sub_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_set1_ps,
    _mm512_storeu_ps, _mm512_stream_ps, _mm512_sub_ps,
};

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// A vector in memory: a cache line.
pub(crate) type Line = [f32; LANES];

/// Sixteen lanes in the registers of one instruction set.
///
/// A value proves that the processor has the instruction set: the first comes from [`dispatch_vector`], which checks;
/// others are made from it.
pub(crate) trait Vector: Copy {
    /// Broadcasts `x`.
    fn splat(self, x: f32) -> Self;
    /// Loads `line`.
    fn load(self, line: &Line) -> Self;
    /// Stores to `line` past the caches (non-temporal), for values that are not needed soon. The line must not be read or
    /// written before the same thread calls [`fence`], which it must before another thread gets the line.
    fn stream(self, line: &mut Line);
    /// Stores to `line`.
    fn store(self, line: &mut Line);
    /// Loads the first lanes, at most a line; the other lanes are 0.
    fn load_first(self, values: &[f32]) -> Self;
    /// Stores the first lanes, as many as `values` has, at most a line.
    fn store_first(self, values: &mut [f32]);
    /// self + other
    fn add(self, other: Self) -> Self;
    /// self - other
    fn sub(self, other: Self) -> Self;
    /// self · other
    fn mul(self, other: Self) -> Self;
    /// `low` where it is above, then `high` where it is below; NaN stays.
    fn clamp(self, low: Self, high: Self) -> Self;
    /// self · factor + term, fused (one rounding).
    fn mul_add(self, factor: Self, term: Self) -> Self;
}

/// Orders the stores of [`Vector::stream`] before what follows.
#[inline(always)]
pub(crate) fn fence() {
    // SAFETY: every x86-64 processor has SSE.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        _mm_sfence();
    }
}

/// Portable: loops that the compiler may vectorize.
#[derive(Clone, Copy)]
pub(crate) struct Plain(Line);

impl Plain {
    /// Zeros.
    pub fn zero() -> Self {
        Self([0.0; LANES])
    }

    #[inline(always)]
    fn zip(mut self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = f(*a, b);
        }
        self
    }
}

impl Vector for Plain {
    #[inline(always)]
    fn splat(self, x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn load(self, line: &Line) -> Self {
        Self(*line)
    }

    #[inline(always)]
    fn stream(self, line: &mut Line) {
        self.store(line);
    }

    #[inline(always)]
    fn store(self, line: &mut Line) {
        *line = self.0;
    }

    #[inline(always)]
    fn load_first(self, values: &[f32]) -> Self {
        let mut line = [0.0; LANES];
        line.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
        Self(line)
    }

    #[inline(always)]
    fn store_first(self, values: &mut [f32]) {
        values.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn clamp(self, low: Self, high: Self) -> Self {
        let raised = self.zip(low, |x, low| if low > x { low } else { x });
        raised.zip(high, |x, high| if high < x { high } else { x })
    }

    #[inline(always)]
    fn mul_add(mut self, factor: Self, term: Self) -> Self {
        for ((a, b), c) in self.0.iter_mut().zip(factor.0).zip(term.0) {
            *a = fused_multiply_add(*a, b, c);
        }
        self
    }
}

/// a · b + c with one rounding, on processors that have no instruction for it.
///
/// In f64 the product is exact. The sum is rounded to odd there: if it is inexact and its last bit is even, it moves by one
/// bit toward the exact sum. Rounding that to f32, which has more than two bits less, gives the rounding of the exact sum
/// (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008). `f32::mul_add` would call the C library for
/// each element: three times as long.
#[inline(always)]
fn fused_multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        return a.mul_add(b, c);
    }
    let (product, term) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + term;
    // Knuth's two-sum: the rounding error of `sum`, exactly. NaN where the sum is not finite.
    let from_term = sum - product;
    let error = (product - (sum - from_term)) + (term - from_term);
    let bits = sum.to_bits();
    let inexact = u64::from(error.abs() > 0.0);
    let away = inexact & !bits & 1;
    let odd = if (error > 0.0) == (sum > 0.0) { bits.wrapping_add(away) } else { bits.wrapping_sub(away) };
    f64::from_bits(odd) as f32
}

/// AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx2([__m256; 2]);

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    /// Zeros.
    ///
    /// # Safety
    /// The processor has AVX2 and FMA.
    #[inline(always)]
    pub unsafe fn zero() -> Self {
        // SAFETY: promised by the caller.
        unsafe { Self([_mm256_set1_ps(0.0); 2]) }
    }
}

#[cfg(target_arch = "x86_64")]
impl Vector for Avx2 {
    #[inline(always)]
    fn splat(self, x: f32) -> Self {
        // SAFETY: `self` proves AVX2, here and below.
        unsafe { Self([_mm256_set1_ps(x); 2]) }
    }

    #[inline(always)]
    fn load(self, line: &Line) -> Self {
        // SAFETY: the eight lanes from 0 and from 8 are within the sixteen of a line.
        unsafe { Self([_mm256_loadu_ps(line.as_ptr()), _mm256_loadu_ps(line.as_ptr().add(8))]) }
    }

    #[inline(always)]
    fn stream(self, line: &mut Line) {
        if line.as_ptr().addr().is_multiple_of(size_of::<Line>()) {
            // SAFETY: as in `store`, and both halves of a line that is aligned are.
            unsafe {
                _mm256_stream_ps(line.as_mut_ptr(), self.0[0]);
                _mm256_stream_ps(line.as_mut_ptr().add(8), self.0[1]);
            }
        } else {
            self.store(line);
        }
    }

    #[inline(always)]
    fn store(self, line: &mut Line) {
        // SAFETY: the eight lanes from 0 and from 8 are within the sixteen of a line.
        unsafe {
            _mm256_storeu_ps(line.as_mut_ptr(), self.0[0]);
            _mm256_storeu_ps(line.as_mut_ptr().add(8), self.0[1]);
        }
    }

    #[inline(always)]
    fn load_first(self, values: &[f32]) -> Self {
        let [low, high] = halves(values.len());
        // SAFETY: a masked load reads no lanes but those of the mask, all of them within `values`; the pointer of the upper
        // half is not read from where that has no lanes.
        unsafe {
            Self([_mm256_maskload_ps(values.as_ptr(), low), _mm256_maskload_ps(values.as_ptr().wrapping_add(8), high)])
        }
    }

    #[inline(always)]
    fn store_first(self, values: &mut [f32]) {
        let [low, high] = halves(values.len());
        // SAFETY: as in `load_first`.
        unsafe {
            _mm256_maskstore_ps(values.as_mut_ptr(), low, self.0[0]);
            _mm256_maskstore_ps(values.as_mut_ptr().wrapping_add(8), high, self.0[1]);
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as in `splat`.
        unsafe { Self([_mm256_add_ps(self.0[0], other.0[0]), _mm256_add_ps(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as in `splat`.
        unsafe { Self([_mm256_sub_ps(self.0[0], other.0[0]), _mm256_sub_ps(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: as in `splat`.
        unsafe { Self([_mm256_mul_ps(self.0[0], other.0[0]), _mm256_mul_ps(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    fn clamp(self, low: Self, high: Self) -> Self {
        // SAFETY: as in `splat`. Both instructions give their second operand if either is NaN.
        unsafe {
            let raised = [_mm256_max_ps(low.0[0], self.0[0]), _mm256_max_ps(low.0[1], self.0[1])];
            Self([_mm256_min_ps(high.0[0], raised[0]), _mm256_min_ps(high.0[1], raised[1])])
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        let ([a, b], [x, y], [s, t]) = (self.0, factor.0, term.0);
        // SAFETY: as in `splat`; FMA as well.
        unsafe { Self([_mm256_fmadd_ps(a, x, s), _mm256_fmadd_ps(b, y, t)]) }
    }
}

/// The masks of both halves of a vector for its first `count` lanes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn halves(count: usize) -> [__m256i; 2] {
    /// From its element 16 - n on, so many lanes are set; one more line of zeros is for the upper half.
    static LANES_SET: [i32; 2 * LANES] = {
        let mut lanes = [0; 2 * LANES];
        let mut lane = 0;
        while lane < LANES {
            lanes[lane] = -1;
            lane += 1;
        }
        lanes
    };
    let from = &LANES_SET[LANES - count.min(LANES)..];
    // SAFETY: every processor with AVX-512 or AVX2 has AVX; both loads are within the table, as `from` has a line at least.
    unsafe { [_mm256_loadu_si256(from.as_ptr().cast()), _mm256_loadu_si256(from.as_ptr().add(8).cast())] }
}

/// The mask of the first `count` lanes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn first_lanes(count: usize) -> u16 {
    ((1u32 << count.min(LANES)) - 1) as u16
}

/// AVX-512.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// Zeros.
    ///
    /// # Safety
    /// The processor has AVX-512 F.
    #[inline(always)]
    pub unsafe fn zero() -> Self {
        // SAFETY: promised by the caller.
        unsafe { Self(_mm512_set1_ps(0.0)) }
    }
}

#[cfg(target_arch = "x86_64")]
impl Vector for Avx512 {
    #[inline(always)]
    fn splat(self, x: f32) -> Self {
        // SAFETY: `self` proves AVX-512, here and below.
        unsafe { Self(_mm512_set1_ps(x)) }
    }

    #[inline(always)]
    fn load(self, line: &Line) -> Self {
        // SAFETY: a line has sixteen lanes.
        unsafe { Self(_mm512_loadu_ps(line.as_ptr())) }
    }

    #[inline(always)]
    fn stream(self, line: &mut Line) {
        if line.as_ptr().addr().is_multiple_of(size_of::<Line>()) {
            // SAFETY: as in `store`, and the line is aligned.
            unsafe { _mm512_stream_ps(line.as_mut_ptr(), self.0) }
        } else {
            self.store(line);
        }
    }

    #[inline(always)]
    fn store(self, line: &mut Line) {
        // SAFETY: a line has sixteen lanes.
        unsafe { _mm512_storeu_ps(line.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn load_first(self, values: &[f32]) -> Self {
        // SAFETY: a masked load reads no lanes but those of the mask, all of them within `values`.
        unsafe { Self(_mm512_maskz_loadu_ps(first_lanes(values.len()), values.as_ptr())) }
    }

    #[inline(always)]
    fn store_first(self, values: &mut [f32]) {
        // SAFETY: as in `load_first`.
        unsafe { _mm512_mask_storeu_ps(values.as_mut_ptr(), first_lanes(values.len()), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as in `splat`.
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as in `splat`.
        unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: as in `splat`.
        unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn clamp(self, low: Self, high: Self) -> Self {
        // SAFETY: as in `splat`. Both instructions give their second operand if either is NaN.
        unsafe { Self(_mm512_min_ps(high.0, _mm512_max_ps(low.0, self.0))) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        // SAFETY: as in `splat`.
        unsafe { Self(_mm512_fmadd_ps(self.0, factor.0, term.0)) }
    }
}

/// Defines `$name(isa, arguments)`, which runs `$kernel::<V, M>(zero, arguments)` compiled for `isa`, where
/// `zero` is a vector V of zeros and M the number of rows of a tile that fit in registers.
///
/// `$kernel` and what it calls must be `#[inline(always)]`. AVX2 without FMA, which is rare, runs as
/// the baseline, as does an instruction set that the processor lacks.
macro_rules! dispatch_vector {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) => $kernel:ident) => {
        $(#[$doc])*
        #[allow(unsafe_code, reason = "calling a function compiled for an instruction set that was checked")]
        #[allow(clippy::too_many_arguments, reason = "those of the kernel, and the instruction set")]
        $vis fn $name(isa: $crate::isa::Isa, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments, reason = "those of the kernel")]
            fn avx2($($arg: $type),*) {
                // SAFETY: this function is compiled for AVX2 and FMA, so its caller has checked them.
                let zero = unsafe { $crate::vector::Avx2::zero() };
                $kernel::<_, 6>(zero, $($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
            #[allow(clippy::too_many_arguments, reason = "those of the kernel")]
            fn avx512($($arg: $type),*) {
                // SAFETY: this function is compiled for AVX-512, so its caller has checked it.
                let zero = unsafe { $crate::vector::Avx512::zero() };
                $kernel::<_, 12>(zero, $($arg),*);
            }
            match isa {
                // SAFETY: the processor has AVX2 and FMA: the guard checks it.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx2 if isa.is_supported() && std::arch::is_x86_feature_detected!("fma") => unsafe {
                    avx2($($arg),*)
                },
                // SAFETY: the processor has AVX-512 F, DQ and VL: the guard checks it.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx512 if isa.is_supported() => unsafe { avx512($($arg),*) },
                _ => $kernel::<_, 2>($crate::vector::Plain::zero(), $($arg),*),
            }
        }
    };
}

pub(crate) use dispatch_vector;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use proptest::prelude::*;

    dispatch_vector! {
        fn doubled(from: &[f32], to: &mut [f32]) => doubled_kernel
    }

    #[inline(always)]
    fn doubled_kernel<V: Vector, const M: usize>(zero: V, from: &[f32], to: &mut [f32]) {
        let x = zero.load_first(from);
        x.add(x).store_first(to);
    }

    #[test]
    fn the_first_lanes_alone_are_read_and_written() {
        let from: Vec<f32> = (1..=LANES).map(|i| i as f32).collect();
        for isa in Isa::supported() {
            for (read, written) in (0..=LANES).flat_map(|read| (0..=LANES).map(move |written| (read, written))) {
                let mut to = [-1.0; LANES];
                doubled(isa, &from[..read], &mut to[..written]);
                let expected = |i: usize| match i {
                    i if i >= written => -1.0,
                    i if i >= read => 0.0,
                    i => 2.0 * from[i],
                };
                assert!(to.iter().enumerate().all(|(i, &x)| x == expected(i)), "{isa} {read} {written}: {to:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        /// Any bits: subnormals, infinities and NaN too.
        #[test]
        fn emulated_multiply_add_is_that_of_ieee_754(a: u32, b: u32, c: u32) {
            let [a, b, c] = [a, b, c].map(f32::from_bits);
            let (ours, expected) = (fused_multiply_add(a, b, c), a.mul_add(b, c));
            prop_assert!(ours.to_bits() == expected.to_bits() || ours.is_nan() && expected.is_nan(), "{a:e} {b:e} {c:e}: {ours:e} {expected:e}");
        }

        /// Terms that cancel all but the last bits of the product, or that lie halfway between two results.
        #[test]
        fn emulated_multiply_add_where_rounding_twice_would_show(a: u32, b: u32, shift in -30i32..30, ulps in -3i32..4) {
            let of = |bits: u32| f32::from_bits(0x3f80_0000 | bits >> 9);
            let (a, b) = (of(a), of(b));
            let c = f32::from_bits((a * b).to_bits().wrapping_add_signed(ulps)) * 2f32.powi(shift);
            for c in [c, -c] {
                prop_assert_eq!(fused_multiply_add(a, b, c).to_bits(), a.mul_add(b, c).to_bits(), "{} {} {}", a, b, c);
            }
        }
    }
}
