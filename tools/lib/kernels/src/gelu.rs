//! GELU, `x · Φ(x)` with the normal distribution function Φ, and its derivative: Hendrycks and Gimpel, "Gaussian error
//! linear units", 2016.

use crate::isa::{Isa, dispatch};
use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LOG2_E};

/// `x = x · Φ(x)` for every element; the error is at most about 3e-7 · max(1, |x|).
pub fn gelu(values: &mut [f32]) {
    gelu_on(Isa::chosen(), values);
}

/// Multiplies each element of `grad` by the derivative `Φ(x) + x · φ(x)` at the x of `inputs`; φ is the normal density.
pub fn gelu_backward(inputs: &[f32], grad: &mut [f32]) {
    gelu_backward_on(Isa::chosen(), inputs, grad);
}

dispatch! {
    /// As [`gelu`], for a given instruction set.
    fn gelu_on(values: &mut [f32]) => gelu_kernel
}
dispatch! {
    /// As [`gelu_backward`], for a given instruction set.
    fn gelu_backward_on(inputs: &[f32], gradients: &mut [f32]) => gelu_backward_kernel
}

#[inline(always)]
fn gelu_kernel(values: &mut [f32]) {
    for x in values {
        *x *= normal_cdf(*x);
    }
}

#[inline(always)]
fn gelu_backward_kernel(inputs: &[f32], gradients: &mut [f32]) {
    for (gradient, &x) in gradients.iter_mut().zip(inputs) {
        *gradient *= normal_cdf(x) + x * density(x);
    }
}

/// Φ(x)
#[inline(always)]
fn normal_cdf(x: f32) -> f32 {
    0.5 + 0.5 * erf(x * FRAC_1_SQRT_2)
}

/// φ(x) = exp(-x² / 2) / √(2π)
#[inline(always)]
fn density(x: f32) -> f32 {
    0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI * exp_negative(-0.5 * x * x)
}

/// The error function as x times a quotient of polynomials of x², those of Eigen's `erf` for f32.
#[inline(always)]
fn erf(x: f32) -> f32 {
    /// From here on it is 1 in f32.
    const END: f32 = 3.925;
    const ABOVE: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const BELOW: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329_2e-3, -1.426_473_9e-2];
    let square = x * x;
    let (mut above, mut below) = (ABOVE[0], BELOW[0]);
    for coefficient in &ABOVE[1..] {
        above = above * square + coefficient;
    }
    for coefficient in &BELOW[1..] {
        below = below * square + coefficient;
    }
    let inside = x * above / below;
    if x >= END {
        1.0
    } else if x <= -END {
        -1.0
    } else {
        inside
    }
}

/// exp(x) for x ≤ 0, by a power of 2 and the polynomial of Cephes' `expf`; 0 where the result would be subnormal.
#[inline(always)]
pub(crate) fn exp_negative(x: f32) -> f32 {
    /// Added to a number below 2²², it leaves the nearest integer in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, of which the first has few bits: products with it are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const POLYNOMIAL: [f32; 6] = [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    const EXPONENT_BIAS: u32 = 127;
    const MANTISSA_BITS: u32 = 23;
    const END: f32 = -87.0;
    let ended = x < END;
    let x = if ended { END } else { x };
    let rounded = x * LOG2_E + ROUND;
    let power = rounded - ROUND;
    let rest = x - power * LN_2[0] - power * LN_2[1];
    let mut sum = POLYNOMIAL[0];
    for coefficient in &POLYNOMIAL[1..] {
        sum = sum * rest + coefficient;
    }
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(EXPONENT_BIAS);
    let exp = (sum * rest * rest + rest + 1.0) * f32::from_bits(exponent << MANTISSA_BITS);
    if ended { 0.0 } else { exp }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every f32 of a grid, its ends, and what is no number.
    fn inputs() -> Vec<f32> {
        let grid = (-120_000..=120_000).map(|i| i as f32 * 1e-4);
        grid.chain([0.0, -0.0, 1e-30, -1e-30, 100.0, -100.0, 3e38, -3e38, f32::INFINITY, f32::NAN]).collect()
    }

    #[test]
    fn agrees_with_the_definition_on_every_instruction_set() {
        let (inputs, mut first) = (inputs(), None);
        for isa in Isa::supported() {
            let (mut values, mut slopes) = (inputs.clone(), vec![1.0; inputs.len()]);
            gelu_on(isa, &mut values);
            gelu_backward_on(isa, &inputs, &mut slopes);
            for ((&x, &value), &slope) in inputs.iter().zip(&values).zip(&slopes) {
                if x.is_nan() {
                    assert!(value.is_nan() && slope.is_nan());
                    continue;
                }
                let wide = f64::from(x);
                let share = 0.5 * libm::erfc(-wide * std::f64::consts::FRAC_1_SQRT_2);
                let density = (-0.5 * wide * wide).exp() / (2.0 * std::f64::consts::PI).sqrt();
                let bound = 3e-7 * wide.abs().max(1.0);
                let moved = if density == 0.0 { 0.0 } else { wide * density };
                if x.is_finite() {
                    assert!((f64::from(value) - wide * share).abs() <= bound, "{isa}: gelu({x}) = {value}");
                    assert!((f64::from(slope) - (share + moved)).abs() <= 6e-7, "{isa}: slope at {x}: {slope}");
                } else {
                    assert_eq!(value, x, "{isa}");
                }
            }
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            let bits = (bits(&values), bits(&slopes));
            assert!(*first.get_or_insert_with(|| bits.clone()) == bits, "{isa} gives other bits");
        }
    }
}
