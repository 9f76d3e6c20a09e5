//! What follows the sums: scale, bias, residual, activation, and rounding to integers.

use super::dot::LANES;
use crate::{
    epilogue::{Activation, clamp},
    isa::dispatch,
};

/// How 8-bit integers stand for real values: `scale · (integer − zero point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Positive and finite.
    pub scale: f32,
    /// Of the integers' type.
    pub zero_point: i32,
    /// Whether they are int8: otherwise uint8.
    pub signed: bool,
}

impl Affine {
    /// Least and greatest integer.
    pub fn limits(self) -> [i32; 2] {
        if self.signed { [-128, 127] } else { [0, 255] }
    }

    /// What turns a byte into that of the same value less 128, or more, as int8 and uint8 are turned into each other.
    pub(super) fn flip(self) -> u8 {
        if self.signed { 0x80 } else { 0 }
    }

    /// The zero point of the integers as uint8.
    pub(super) fn zero_as_u8(self) -> u8 {
        (self.zero_point as u8) ^ self.flip()
    }

    /// Least and greatest integer less the zero point, in float32: exact.
    pub(super) fn steps(self) -> [f32; 2] {
        self.limits().map(|limit| (limit - self.zero_point) as f32)
    }
}

/// What follows the sums of a product.
#[derive(Debug, Clone)]
pub struct Requantization {
    /// A factor of each column, and zeros up to a whole number of lines.
    pub(super) scale: Vec<[f32; LANES]>,
    /// Of each column, or empty.
    pub(super) bias: Vec<[f32; LANES]>,
    pub(super) activation: Activation,
    /// The integers that result, or none for float32.
    pub(super) output: Option<Affine>,
    /// Whether sums become integers at once.
    pub(super) direct: bool,
    /// Bounds of x, in units of the output's scale if it is direct.
    pub(super) bounds: [f32; 2],
}

impl Requantization {
    /// `scale` is that of the input times that of each column's weights, in float32; `bias` is empty, or one of each column;
    /// `residual` says whether there is one.
    ///
    /// # Panics
    /// If the bias has another length.
    pub fn new(scale: &[f32], bias: &[f32], residual: bool, activation: Activation, output: Option<Affine>) -> Self {
        assert!(bias.is_empty() || bias.len() == scale.len(), "a bias of {} for {}", bias.len(), scale.len());
        let bounds = activation.bounds();
        let direct = output.filter(|_| bias.is_empty() && !residual && bounds.is_some());
        let scaled: Vec<f32> = match direct {
            Some(output) => scale.iter().map(|scale| scale / output.scale).collect(),
            None => scale.to_vec(),
        };
        let bounds = match (direct, bounds) {
            (Some(output), Some(bounds)) => {
                let [least, greatest] = output.steps();
                // Rounding is monotone: bounds of real values are bounds of their integers.
                bounds.map(|bound| clamp((bound / output.scale).round_ties_even(), least, greatest))
            }
            (None, Some(bounds)) => bounds,
            (_, None) => [f32::NEG_INFINITY, f32::INFINITY],
        };
        Self { scale: lines(&scaled), bias: lines(bias), activation, output, direct: direct.is_some(), bounds }
    }

    /// Whether the result is float32.
    pub fn is_float(&self) -> bool {
        self.output.is_none()
    }

    /// Whether sums are kept as float32 before they become integers.
    pub(super) fn needs_floats(&self) -> bool {
        !self.direct && self.output.is_some()
    }

    /// What turns a line of sums into integers.
    #[inline(always)]
    pub(super) fn column(&self, line: usize) -> Column {
        let zero = self.output.map_or(0, |output| output.zero_point);
        Column { scale: self.scale[line], bounds: self.bounds, zero }
    }

    /// A line of sums as float32, before an activation other than bounds.
    #[inline(always)]
    pub(super) fn floats(&self, sums: &[i32; LANES], line: usize, residual: &[f32]) -> [f32; LANES] {
        let scale = &self.scale[line];
        let mut out = [0.0; LANES];
        for i in 0..LANES {
            out[i] = sums[i] as f32 * scale[i];
        }
        if let Some(bias) = self.bias.get(line) {
            for i in 0..LANES {
                out[i] += bias[i];
            }
        }
        for (x, residual) in out.iter_mut().zip(residual) {
            *x += residual;
        }
        for x in &mut out {
            *x = clamp(*x, self.bounds[0], self.bounds[1]);
        }
        out
    }
}

/// A line of columns of which sums become integers.
#[derive(Clone, Copy)]
pub(super) struct Column {
    scale: [f32; LANES],
    bounds: [f32; 2],
    zero: i32,
}

impl Column {
    #[inline(always)]
    pub fn integers(&self, sums: &[i32; LANES]) -> [u8; LANES] {
        let mut out = [0; LANES];
        for i in 0..LANES {
            let steps = clamp(sums[i] as f32 * self.scale[i], self.bounds[0], self.bounds[1]);
            out[i] = round(steps, self.zero);
        }
        out
    }
}

/// 1.5 · 2²³: of this magnitude, float32 has no fraction, so an addition rounds to integers, half to even.
const MAGIC: f32 = 12_582_912.0;

/// A finite value of at most 2²² as the nearest integer plus a zero point, both within 8 bits.
#[inline(always)]
pub(super) fn round(steps: f32, zero: i32) -> u8 {
    ((steps + MAGIC).to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32).wrapping_add(zero) as u8
}

/// Values by lines, zeros at the end.
fn lines(values: &[f32]) -> Vec<[f32; LANES]> {
    let mut lines = vec![[0.0; LANES]; values.len().div_ceil(LANES)];
    lines.as_flattened_mut()[..values.len()].copy_from_slice(values);
    lines
}

dispatch! {
    /// `round(x / scale)`, saturated; NaN is 0, as in the plain operator.
    fn quantize_block(affine: Affine, x: &[f32], out: &mut [u8]) => quantize_kernel
}

#[inline(always)]
fn quantize_kernel(affine: Affine, x: &[f32], out: &mut [u8]) {
    let [least, greatest] = affine.steps();
    for (out, &x) in out.iter_mut().zip(x) {
        *out = quantized(x / affine.scale, affine.zero_point, least, greatest);
    }
}

/// A number of steps as an integer. The plain operator makes NaN 0 before it saturates, which is the integer 0 where it exists.
#[inline(always)]
pub(super) fn quantized(steps: f32, zero: i32, least: f32, greatest: f32) -> u8 {
    let integer = round(clamp(if steps.is_nan() { 0.0 } else { steps }, least, greatest), zero);
    if steps.is_nan() { 0 } else { integer }
}
