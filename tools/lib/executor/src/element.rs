//! Element types: what operators ask of them.
//!
//! [`Element`] is any type of a [`Tensor`]; [`Number`] one that is computed in; [`Real`] float32 or float64. float16 and
//! bfloat16 are no [`Number`]: they are computed in float32 and each result is rounded.

use crate::Tensor;
use half::{bf16, f16};
use ndarray::{ArrayD, CowArray, IxDyn};

/// An element type of a [`Tensor`]. Conversions between numbers are those of `as`: integers wrap, and so do floating-point
/// values beyond an integer type of less than 64 bits; NaN becomes 0.
pub(crate) trait Element: Copy + Default + PartialEq + PartialOrd + 'static {
    /// The array of a tensor; None if it is of another type.
    fn array(tensor: &Tensor) -> Option<&ArrayD<Self>>;
    /// The tensor of an array in standard layout.
    fn tensor(array: ArrayD<Self>) -> Tensor;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    fn to_i64(self) -> i64;
    fn to_u64(self) -> u64;
    /// Whether it is not 0.
    fn to_bool(self) -> bool;
}

impl<T: Element> From<ArrayD<T>> for Tensor {
    /// Copies an array that is not in standard layout.
    fn from(array: ArrayD<T>) -> Self {
        T::tensor(if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() })
    }
}

macro_rules! element {
    ($($type:ty, $variant:ident, $zero:expr, $x:ident => [$f32:expr, $f64:expr, $i64:expr, $u64:expr];)*) => {$(
        impl Element for $type {
            fn array(tensor: &Tensor) -> Option<&ArrayD<Self>> {
                match tensor {
                    Tensor::$variant(array) => Some(array),
                    _ => None,
                }
            }
            fn tensor(array: ArrayD<Self>) -> Tensor {
                Tensor::$variant(array)
            }
            fn to_f32(self) -> f32 {
                let $x = self;
                $f32
            }
            fn to_f64(self) -> f64 {
                let $x = self;
                $f64
            }
            fn to_i64(self) -> i64 {
                let $x = self;
                $i64
            }
            fn to_u64(self) -> u64 {
                let $x = self;
                $u64
            }
            fn to_bool(self) -> bool {
                self != $zero
            }
        }
    )*};
}

element! {
    bool, Bool, false, x => [f32::from(x), f64::from(x), x.into(), x.into()];
    u8, U8, 0, x => [x.into(), x.into(), x.into(), x.into()];
    u16, U16, 0, x => [x.into(), x.into(), x.into(), x.into()];
    u32, U32, 0, x => [x as f32, x.into(), x.into(), x.into()];
    u64, U64, 0, x => [x as f32, x as f64, x as i64, x];
    i8, I8, 0, x => [x.into(), x.into(), x.into(), x as u64];
    i16, I16, 0, x => [x.into(), x.into(), x.into(), x as u64];
    i32, I32, 0, x => [x as f32, x.into(), x.into(), x as u64];
    i64, I64, 0, x => [x as f32, x as f64, x, x as u64];
    f16, F16, f16::ZERO, x => [f16::to_f32(x), f16::to_f64(x), f16::to_f64(x) as i64, f16::to_f64(x) as u64];
    bf16, Bf16, bf16::ZERO, x => [bf16::to_f32(x), bf16::to_f64(x), bf16::to_f64(x) as i64, bf16::to_f64(x) as u64];
    f32, F32, 0.0, x => [x, x.into(), x as i64, x as u64];
    f64, F64, 0.0, x => [x as f32, x, x as i64, x as u64];
}

/// An element type that operators compute in. Integers wrap.
pub(crate) trait Number: Element {
    const ZERO: Self;
    const ONE: Self;
    /// -∞ of a floating-point type.
    const LOWEST: Self;
    /// ∞ of a floating-point type.
    const HIGHEST: Self;
    /// Whether a division by 0 has no result.
    const INTEGER: bool;
    /// A tensor's elements; float16 and bfloat16 as float32. None if the tensor is of another type.
    fn values(tensor: &Tensor) -> Option<CowArray<'_, Self, IxDyn>>;
    /// Rounds to an integer type by truncation; saturates.
    fn from_f64(x: f64) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `self · factor + summand`, rounded once.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    /// Integers are truncated towards 0; 0 where an integer is divided by 0.
    fn div(self, other: Self) -> Self;
    /// With the sign of `self`; 0 where an integer is divided by 0.
    fn rem(self, other: Self) -> Self;
    fn neg(self) -> Self;
    fn abs(self) -> Self;
    fn pow(self, exponent: f64) -> Self;
    /// Accumulated in float64 for floating-point types.
    fn sum(values: impl Iterator<Item = Self>) -> Self;
    /// As [`kernels::gemm::matmul`]: `out = left · right`, of `[m, k]` and `[k, n]` by `sizes`, each element accumulated over k in
    /// ascending order.
    fn matmul(left: &[Self], right: &[Self], sizes: [usize; 3], out: &mut [Self]);

    /// NaN if either is.
    fn max_or_nan(self, other: Self) -> Self {
        if self >= other || self.is_nan() { self } else { other }
    }

    /// NaN if either is.
    fn min_or_nan(self, other: Self) -> Self {
        if self <= other || self.is_nan() { self } else { other }
    }

    fn is_nan(self) -> bool {
        self.partial_cmp(&self).is_none()
    }
}

/// The plain product of [`Number::matmul`].
fn matmul<T: Number>(left: &[T], right: &[T], [m, k, n]: [usize; 3], out: &mut [T]) {
    for row in 0..m {
        for column in 0..n {
            let terms = (0..k).map(|l| (left[row * k + l], right[l * n + column]));
            out[row * n + column] = terms.fold(T::ZERO, |sum, (a, b)| a.mul_add(b, sum));
        }
    }
}

macro_rules! integers {
    ($($type:ty, $abs:ident;)*) => {$(
        impl Number for $type {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const LOWEST: Self = Self::MIN;
            const HIGHEST: Self = Self::MAX;
            const INTEGER: bool = true;
            fn values(tensor: &Tensor) -> Option<CowArray<'_, Self, IxDyn>> {
                Self::array(tensor).map(CowArray::from)
            }
            fn from_f64(x: f64) -> Self {
                x as Self
            }
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn mul_add(self, factor: Self, summand: Self) -> Self {
                self.wrapping_mul(factor).wrapping_add(summand)
            }
            fn div(self, other: Self) -> Self {
                if other == 0 { 0 } else { self.wrapping_div(other) }
            }
            fn rem(self, other: Self) -> Self {
                if other == 0 { 0 } else { self.wrapping_rem(other) }
            }
            fn neg(self) -> Self {
                self.wrapping_neg()
            }
            fn abs(self) -> Self {
                integers!(@$abs self)
            }
            fn pow(self, exponent: f64) -> Self {
                match exponent {
                    exponent if exponent >= 0.0 && exponent <= f64::from(u32::MAX) && exponent.fract() == 0.0 => {
                        self.wrapping_pow(exponent as u32)
                    }
                    exponent => libm::pow(self.to_f64(), exponent) as Self,
                }
            }
            fn sum(values: impl Iterator<Item = Self>) -> Self {
                values.fold(0, Self::wrapping_add)
            }
            fn matmul(left: &[Self], right: &[Self], sizes: [usize; 3], out: &mut [Self]) {
                matmul(left, right, sizes, out);
            }
        }
    )*};
    (@signed $x:expr) => { $x.wrapping_abs() };
    (@unsigned $x:expr) => { $x };
}

integers! {
    u8, unsigned;
    u16, unsigned;
    u32, unsigned;
    u64, unsigned;
    i8, signed;
    i16, signed;
    i32, signed;
    i64, signed;
}

/// float32 or float64. Functions are those of the crate libm, whose bits are the same on every CPU.
///
/// Call them where the type is generic, or as `Real::exp(x)`: of a value that is known to be f32, `x.exp()` is the standard
/// library's, that is, the C library's.
pub(crate) trait Real: Number {
    fn sqrt(self) -> Self;
    fn exp(self) -> Self;
    fn exp_m1(self) -> Self;
    fn ln(self) -> Self;
    fn ln_1p(self) -> Self;
    fn erf(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn asinh(self) -> Self;
    fn acosh(self) -> Self;
    fn atanh(self) -> Self;
    /// Halves to even.
    fn round(self) -> Self;
}

macro_rules! reals {
    ($($type:ident, $values:expr, $matmul:path, [$($method:ident $libm:ident),*];)*) => {$(
        impl Number for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LOWEST: Self = Self::NEG_INFINITY;
            const HIGHEST: Self = Self::INFINITY;
            const INTEGER: bool = false;
            fn values(tensor: &Tensor) -> Option<CowArray<'_, Self, IxDyn>> {
                $values(tensor)
            }
            fn from_f64(x: f64) -> Self {
                x as Self
            }
            fn add(self, other: Self) -> Self {
                self + other
            }
            fn sub(self, other: Self) -> Self {
                self - other
            }
            fn mul(self, other: Self) -> Self {
                self * other
            }
            fn mul_add(self, factor: Self, summand: Self) -> Self {
                $type::mul_add(self, factor, summand)
            }
            fn div(self, other: Self) -> Self {
                self / other
            }
            fn rem(self, other: Self) -> Self {
                self % other
            }
            fn neg(self) -> Self {
                -self
            }
            fn abs(self) -> Self {
                $type::abs(self)
            }
            fn pow(self, exponent: f64) -> Self {
                libm::pow(self.into(), exponent) as Self
            }
            fn sum(values: impl Iterator<Item = Self>) -> Self {
                values.fold(0.0, |sum, x| sum + f64::from(x)) as Self
            }
            fn matmul(left: &[Self], right: &[Self], sizes: [usize; 3], out: &mut [Self]) {
                $matmul(left, right, sizes, out);
            }
        }

        impl Real for $type {
            fn sqrt(self) -> Self {
                $type::sqrt(self)
            }
            fn round(self) -> Self {
                self.round_ties_even()
            }
            $(fn $method(self) -> Self {
                libm::$libm(self)
            })*
        }
    )*};
}

reals! {
    f32, f32_values, f32_matmul, [exp expf, exp_m1 expm1f, ln logf, ln_1p log1pf, erf erff, sin sinf, cos cosf, tan tanf,
        asin asinf, acos acosf, atan atanf, sinh sinhf, cosh coshf, tanh tanhf, asinh asinhf, acosh acoshf, atanh atanhf];
    f64, f64_values, matmul, [exp exp, exp_m1 expm1, ln log, ln_1p log1p, erf erf, sin sin, cos cos, tan tan,
        asin asin, acos acos, atan atan, sinh sinh, cosh cosh, tanh tanh, asinh asinh, acosh acosh, atanh atanh];
}

fn f32_values(tensor: &Tensor) -> Option<CowArray<'_, f32, IxDyn>> {
    match tensor {
        Tensor::F32(array) => Some(array.into()),
        Tensor::F16(array) => Some(array.mapv(f16::to_f32).into()),
        Tensor::Bf16(array) => Some(array.mapv(bf16::to_f32).into()),
        _ => None,
    }
}

fn f64_values(tensor: &Tensor) -> Option<CowArray<'_, f64, IxDyn>> {
    f64::array(tensor).map(CowArray::from)
}

fn f32_matmul(left: &[f32], right: &[f32], [m, k, n]: [usize; 3], out: &mut [f32]) {
    use kernels::gemm::{Matrix, matmul};
    // The kernel steps over panels of columns and rows: without any there is nothing to step over.
    if !out.is_empty() {
        matmul(Matrix::new(left, m, k), Matrix::new(right, k, n), out, false);
    }
}
