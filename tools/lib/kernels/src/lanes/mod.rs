//! Vectors of one cache line, 8 `f64` or 16 `f32`, in the registers of each instruction set, with what a logarithm needs.
//!
//! Every operation rounds once and in the same way on all of them, so a kernel written on [`Lanes`] has the same bits
//! everywhere. Intrinsics are used, as in `vector.rs`, where the compiler's own vectors fall short: it neither keeps
//! a table in registers nor transposes.

#![allow(unsafe_code, reason = "the first value of a vector is a promise about the processor")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod plain;
#[cfg(test)]
mod tests;

pub use plain::Plain;
#[cfg(target_arch = "x86_64")]
pub use {avx2::Avx2, avx512::Avx512};

/// Columns that [`Lanes::columns`] loads at once.
pub const COLUMNS: usize = 8;

/// A positive, normal number x taken apart for its logarithm: ln x = k·ln 2 + `logarithm` + ln(1 + f).
#[derive(Clone, Copy)]
pub struct Split<V> {
    /// The exponent, an integer.
    pub k: V,
    /// -ln of the reciprocal that the table has for the mantissa.
    pub logarithm: V,
    /// mantissa · reciprocal - 1, at most 1/32 from 0.
    pub f: V,
}

/// A cache line of elements in the registers of one instruction set.
///
/// A value proves that the processor has the instruction set: the first is made in a function that is compiled for it,
/// others are made from it.
pub trait Lanes: Copy {
    /// The type of a lane.
    type Real: Vectorized;
    /// Zeros.
    ///
    /// # Safety
    /// The processor has the instruction set.
    unsafe fn zero() -> Self;
    /// Broadcasts `x`.
    fn splat(self, x: Self::Real) -> Self;
    /// Loads the first elements of `values`.
    ///
    /// # Panics
    /// If they are fewer than the lanes.
    fn load(self, values: &[Self::Real]) -> Self;
    /// Loads fewer elements than there are lanes; the other lanes are 0.
    ///
    /// # Panics
    /// If they are not fewer.
    fn load_first(self, values: &[Self::Real]) -> Self;
    /// Stores to the first elements of `values`.
    ///
    /// # Panics
    /// If they are fewer than the lanes.
    fn store(self, values: &mut [Self::Real]);
    /// The first lane.
    #[inline(always)]
    fn first(self) -> Self::Real {
        let mut line = <Self::Real as Vectorized>::Line::default();
        self.store(line.as_mut());
        line.as_ref()[0]
    }
    /// Loads one row for each lane, [`COLUMNS`] elements of it, and transposes: `[column][row]`. Rows start `stride`
    /// elements apart.
    ///
    /// # Panics
    /// If `values` ends before the last row's columns.
    fn columns(self, values: &[Self::Real], stride: usize) -> [Self; COLUMNS];
    /// self + other
    fn add(self, other: Self) -> Self;
    /// self - other
    fn sub(self, other: Self) -> Self;
    /// self · other
    fn mul(self, other: Self) -> Self;
    /// self / other
    fn div(self, other: Self) -> Self;
    /// self · factor + term, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// max(0, x), where -0 and NaN stay what they are.
    fn at_least_0(self) -> Self;
    /// `negative` in the lanes where self is below 0, which neither -0 nor NaN is, otherwise `other`.
    fn if_negative(self, negative: Self, other: Self) -> Self;
    /// The bits that either has.
    fn or(self, other: Self) -> Self;
    /// Whether a lane has its sign bit set.
    fn any_negative(self) -> bool;
    /// Whether a lane's magnitude is not at most `bound`; NaN's is not.
    fn any_beyond(self, bound: Self) -> bool;
    /// Whether a lane's magnitude is below `bound`, and not 0.
    fn any_tiny(self, bound: Self) -> bool;
    /// Splits each lane that is a positive, normal number, at most half of the largest; finite for 0.
    fn split(self) -> Split<Self>;
}

/// A type that has vectors.
pub trait Vectorized: Copy + Default + 'static {
    /// `[Self; LANES]`: a cache line.
    type Line: AsRef<[Self]> + AsMut<[Self]> + Copy + Default;
    /// Its vectors in AVX2.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Lanes<Real = Self>;
    /// Its vectors in AVX-512.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Lanes<Real = Self>;
    /// Lanes of a vector.
    const LANES: usize = 64 / size_of::<Self>();
    /// Splits one number: the reference of [`Lanes::split`].
    fn split(self) -> Split<Self>;
}

impl Vectorized for f64 {
    type Line = [f64; 8];
    #[cfg(target_arch = "x86_64")]
    type Avx2 = Avx2<[std::arch::x86_64::__m256d; 2]>;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = Avx512<std::arch::x86_64::__m512d>;

    #[inline(always)]
    fn split(self) -> Split<Self> {
        use crate::logarithm::tables::{LOGARITHMS_F64, LOW_F64, MANTISSA_F64, RECIPROCALS_F64, STEP_F64};
        let bits = self.to_bits().wrapping_add(Self::to_bits(1.0) - LOW_F64);
        let mantissa = Self::from_bits((bits & MANTISSA_F64) + LOW_F64);
        let entry = (bits >> STEP_F64) as usize % RECIPROCALS_F64.len();
        Split {
            k: ((bits >> 52 & 0x7ff) as i32 - 1023).into(),
            logarithm: LOGARITHMS_F64[entry],
            f: mantissa.mul_add(RECIPROCALS_F64[entry], -1.0),
        }
    }
}

impl Vectorized for f32 {
    type Line = [f32; 16];
    #[cfg(target_arch = "x86_64")]
    type Avx2 = Avx2<[std::arch::x86_64::__m256; 2]>;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = Avx512<std::arch::x86_64::__m512>;

    #[inline(always)]
    fn split(self) -> Split<Self> {
        use crate::logarithm::tables::{LOGARITHMS_F32, LOW_F32, MANTISSA_F32, RECIPROCALS_F32, STEP_F32};
        let bits = self.to_bits().wrapping_add(Self::to_bits(1.0) - LOW_F32);
        let mantissa = Self::from_bits((bits & MANTISSA_F32) + LOW_F32);
        let entry = (bits >> STEP_F32) as usize % RECIPROCALS_F32.len();
        Split {
            k: ((bits >> 23 & 0xff) as i16 - 127).into(),
            logarithm: LOGARITHMS_F32[entry],
            f: mantissa.mul_add(RECIPROCALS_F32[entry], -1.0),
        }
    }
}

/// Defines `$name(isa, arguments)`, which runs `$kernel(zero, arguments)` compiled for `isa`, where `zero` is a vector of
/// zeros. `T` is a [`crate::real::Real`].
///
/// `$kernel` and what it calls must be `#[inline(always)]`, so not closures. An instruction set that the processor lacks
/// runs as the baseline.
macro_rules! dispatch_lanes {
    ($(#[$doc:meta])* fn $name:ident<$t:ident>($($arg:ident: $type:ty),* $(,)?) -> $out:ty => $kernel:ident) => {
        $(#[$doc])*
        #[allow(unsafe_code, reason = "calling a function compiled for an instruction set that was checked")]
        pub(crate) fn $name<$t: $crate::real::Real>(isa: $crate::isa::Isa, $($arg: $type),*) -> $out {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2<$t: $crate::real::Real>($($arg: $type),*) -> $out {
                // SAFETY: this function is compiled for AVX2 and FMA, so its caller has checked them.
                $kernel(unsafe { <$t::Avx2 as $crate::lanes::Lanes>::zero() }, $($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
            fn avx512<$t: $crate::real::Real>($($arg: $type),*) -> $out {
                // SAFETY: this function is compiled for AVX-512, so its caller has checked it.
                $kernel(unsafe { <$t::Avx512 as $crate::lanes::Lanes>::zero() }, $($arg),*)
            }
            match isa {
                // SAFETY: the processor has AVX2 and FMA: the guard checks it.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx2 if isa.is_supported() => unsafe { avx2($($arg),*) },
                // SAFETY: the processor has AVX-512 F, DQ and VL: the guard checks it.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx512 if isa.is_supported() => unsafe { avx512($($arg),*) },
                // SAFETY: plain Rust runs everywhere.
                _ => $kernel(unsafe { <$crate::lanes::Plain<$t> as $crate::lanes::Lanes>::zero() }, $($arg),*),
            }
        }
    };
}

pub(crate) use dispatch_lanes;
