//! float16 as float32: values that are rounded after each operator, and stored in float32 between them.

use crate::{
    epilogue::{Activation, clamp},
    isa::{Isa, dispatch},
};
use parallel::parallel_for;

/// Elements that are processed while they are in a cache.
const BLOCK: usize = 1 << 13;

/// Rounds to float16, half to even; values beyond its range are infinite.
#[inline(always)]
fn rounded(x: f32) -> f32 {
    /// Bits of 2⁻¹⁴, the smallest normal number.
    const NORMAL: u32 = 0x3880_0000;
    /// Bits of 65 504, the largest number.
    const LARGEST: u32 = 0x477f_e000;
    const INFINITY: u32 = 0x7f80_0000;
    const NAN: u32 = 0x7fc0_0000;
    let magnitude = x.to_bits() & 0x7fff_ffff;
    // Thirteen bits less.
    let normal = (magnitude.wrapping_add(0xfff + (magnitude >> 13 & 1))) & !0x1fff;
    // From 1/2 on, float32 has steps of 2⁻²⁴, those of subnormal numbers.
    let subnormal = ((f32::from_bits(magnitude) + 0.5) - 0.5).to_bits();
    let bits = if magnitude < NORMAL { subnormal } else { normal };
    let bits = if bits > LARGEST { INFINITY } else { bits };
    let bits = if magnitude > INFINITY { NAN } else { bits };
    f32::from_bits(bits | x.to_bits() & 0x8000_0000)
}

/// `activation(float16(x + bias))` of rows as long as the bias; an empty one adds nothing. Of the activations, those of bounds.
pub fn round_to_half(values: &mut [f32], bias: &[f32], activation: Activation) {
    let bounds = activation.bounds().unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
    let block = BLOCK.next_multiple_of(bias.len().max(1));
    parallel_for(values.chunks_mut(block), |values| round_block(Isa::chosen(), values, bias, bounds));
}

dispatch! {
    fn round_block(values: &mut [f32], bias: &[f32], bounds: [f32; 2]) => round_kernel
}

#[inline(always)]
fn round_kernel(values: &mut [f32], bias: &[f32], [low, high]: [f32; 2]) {
    if bias.is_empty() {
        for x in values {
            *x = clamp(rounded(*x), low, high);
        }
        return;
    }
    for row in values.chunks_mut(bias.len()) {
        for (x, bias) in row.iter_mut().zip(bias) {
            *x = clamp(rounded(*x + bias), low, high);
        }
    }
}

/// float16, little-endian, to float32.
///
/// # Panics
/// If there are not two bytes an element.
pub fn half_to_float(bytes: &[u8], out: &mut [f32]) {
    assert_eq!(bytes.len(), 2 * out.len(), "bytes of {} elements", out.len());
    parallel_for(bytes.chunks(2 * BLOCK).zip(out.chunks_mut(BLOCK)), |(bytes, out)| {
        widen_block(Isa::chosen(), bytes, out);
    });
}

dispatch! {
    fn widen_block(bytes: &[u8], out: &mut [f32]) => widen_kernel
}

#[inline(always)]
fn widen_kernel(bytes: &[u8], out: &mut [f32]) {
    /// 2¹¹², the ratio of both types' exponents.
    const RATIO: f32 = f32::from_bits(0x7780_0000);
    for (out, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
        let half = u32::from(u16::from_le_bytes(*bytes));
        let magnitude = f32::from_bits((half & 0x7fff) << 13) * RATIO;
        // Infinite, or NaN.
        let special = if half & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
        *out = f32::from_bits(magnitude.to_bits() | special | (half & 0x8000) << 16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    #[test]
    fn every_float16_is_itself() {
        for isa in Isa::supported() {
            let halves: Vec<u16> = (0..=u16::MAX).collect();
            let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            let mut wide = vec![0.0; halves.len()];
            widen_block(isa, &bytes, &mut wide);
            let mut again = wide.clone();
            round_block(isa, &mut again, &[], [f32::NEG_INFINITY, f32::INFINITY]);
            for ((&half, &wide), &again) in halves.iter().zip(&wide).zip(&again) {
                let expected = f16::from_bits(half).to_f32();
                assert!(wide == expected || wide.is_nan() && expected.is_nan(), "{isa}: {half:#x}");
                assert!(again.to_bits() == wide.to_bits() || wide.is_nan() && again.is_nan(), "{isa}: {half:#x}");
            }
        }
    }

    #[test]
    fn rounds_as_the_crate_half() {
        let mut random = random::Random::new(1, 0);
        let mut bits = || (random.uniform() * 4_294_967_296.0) as u32;
        let mut values: Vec<f32> = (0..200_000).map(|_| f32::from_bits(bits())).collect();
        // Between neighbours, and beside the middle.
        values.extend((0..0x7c00u16).flat_map(|half| {
            let [a, b] = [half, half + 1].map(|bits| f16::from_bits(bits).to_f32());
            let middle = if b.is_infinite() { 65_520.0 } else { f32::midpoint(a, b) };
            [middle, middle.next_up(), -middle.next_down()]
        }));
        for isa in Isa::supported() {
            let mut rounded = values.clone();
            round_block(isa, &mut rounded, &[], [f32::NEG_INFINITY, f32::INFINITY]);
            for (x, y) in values.iter().zip(&rounded) {
                let expected = f16::from_f32(*x).to_f32();
                assert!(y.to_bits() == expected.to_bits() || y.is_nan() && expected.is_nan(), "{isa}: {x:e}: {y:e}");
            }
        }
    }

    #[test]
    fn bias_and_bounds() {
        let mut values = [1.0, -3.0, 2049.0, 70_000.0];
        round_to_half(&mut values, &[0.5, 1.0], Activation::Relu);
        assert_eq!(values, [1.5, 0.0, 2050.0, f32::INFINITY]);
    }
}
