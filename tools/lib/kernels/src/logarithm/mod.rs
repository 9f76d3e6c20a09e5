//! The natural logarithm on vectors.
//!
//! x = 2ᵏ·m with m in [0.73, 1.47). A table of 16 (`f64`) or 32 (`f32`) intervals of m has r, about 1/m, and -ln r, so that
//!
//! ln x = k·ln 2 - ln r + ln(1 + f), f = m·r - 1,
//!
//! where |f| ≤ 1/32 (1/64) and ln(1 + f) = f + f²·series(f). The table fits in two registers of AVX-512, and there is
//! neither a division nor a branch. The interval around 1 has r = 1 and k = 0: there f is exact, so that the relative
//! error stays small where the logarithm goes through 0.

pub(crate) mod tables;
#[cfg(test)]
mod tests;

use crate::{
    lanes::{Lanes, Split},
    real::Real,
};

/// ln x of each lane that is positive and normal, at most half of the largest number: within 2 ulp (`f64`), or a relative 4e-7 (`f32`). For 0 some
/// finite number, so that 0 times it is 0.
#[inline(always)]
pub(crate) fn ln<V: Lanes<Real: Real>>(x: V) -> V {
    let Split { k, logarithm, f } = x.split();
    let [lower @ .., highest] = V::Real::SERIES else { return f };
    let mut series = x.splat(*highest);
    for &coefficient in lower.iter().rev() {
        series = series.mul_add(f, x.splat(coefficient));
    }
    let near_1 = f.mul(f).mul_add(series, f);
    k.mul_add(x.splat(V::Real::LN_2), logarithm).add(near_1)
}
