//! Functions of quantized elements, each with the bits of the ONNX operators one by one, in float32.

use super::requantize::{Affine, quantize_block, quantized};
use crate::{
    isa::{Isa, dispatch},
    pool::WindowPool,
};
use parallel::parallel_for;

/// Elements that are processed while they are in a cache.
const BLOCK: usize = 1 << 14;

/// `QuantizeLinear`: `clamp(round(x / scale), half to even) + zero point`; NaN is 0.
///
/// # Panics
/// If the lengths differ.
pub fn quantize(affine: Affine, x: &[f32], out: &mut [u8]) {
    assert_eq!(x.len(), out.len(), "elements");
    parallel_for(x.chunks(BLOCK).zip(out.chunks_mut(BLOCK)), |(x, out)| {
        quantize_block(Isa::chosen(), affine, x, out);
    });
}

/// `DequantizeLinear`: `(x − zero point) · scale`.
///
/// # Panics
/// If the lengths differ.
pub fn dequantize(affine: Affine, x: &[u8], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "elements");
    parallel_for(x.chunks(BLOCK).zip(out.chunks_mut(BLOCK)), |(x, out)| {
        dequantize_block(Isa::chosen(), affine, x, out);
    });
}

dispatch! {
    fn dequantize_block(affine: Affine, x: &[u8], out: &mut [f32]) => dequantize_kernel
}

#[inline(always)]
fn dequantize_kernel(affine: Affine, x: &[u8], out: &mut [f32]) {
    let real = Real::new(affine);
    for (out, &x) in out.iter_mut().zip(x) {
        *out = real.of(x);
    }
}

/// What turns integers of 8 bits into real values.
#[derive(Clone, Copy)]
struct Real {
    flip: u8,
    zero: i32,
    scale: f32,
}

impl Real {
    #[inline(always)]
    fn new(affine: Affine) -> Self {
        Self { flip: affine.flip(), zero: affine.zero_as_u8().into(), scale: affine.scale }
    }

    #[inline(always)]
    fn of(self, x: u8) -> f32 {
        (i32::from(x ^ self.flip) - self.zero) as f32 * self.scale
    }
}

/// `clamp(a + b)` of dequantized values, quantized: `affines` are those of a, b and the output; `bounds` are of real values.
///
/// # Panics
/// If the lengths differ.
pub fn add(affines: [Affine; 3], bounds: [f32; 2], a: &[u8], b: &[u8], out: &mut [u8]) {
    assert!(a.len() == out.len() && b.len() == out.len(), "elements");
    parallel_for(a.chunks(BLOCK).zip(b.chunks(BLOCK)).zip(out.chunks_mut(BLOCK)), |((a, b), out)| {
        add_block(Isa::chosen(), affines, bounds, a, b, out);
    });
}

dispatch! {
    fn add_block(affines: [Affine; 3], bounds: [f32; 2], a: &[u8], b: &[u8], out: &mut [u8]) => add_kernel
}

#[inline(always)]
fn add_kernel(affines: [Affine; 3], [low, high]: [f32; 2], a: &[u8], b: &[u8], out: &mut [u8]) {
    let [left, right, output] = affines;
    let (left, right, [least, greatest]) = (Real::new(left), Real::new(right), output.steps());
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        let sum = crate::epilogue::clamp(left.of(a) + right.of(b), low, high);
        *out = quantized(sum / output.scale, output.zero_point, least, greatest);
    }
}

/// A function from 8-bit integers to 8-bit integers.
#[derive(Clone)]
pub struct Table(Box<[u8; 256]>);

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}

impl Table {
    /// By the outputs of the bytes 0 to 255.
    pub fn new(outputs: [u8; 256]) -> Self {
        Self(Box::new(outputs))
    }

    /// Looks up each element.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn run(&self, x: &[u8], out: &mut [u8]) {
        assert_eq!(x.len(), out.len(), "elements");
        parallel_for(x.chunks(BLOCK).zip(out.chunks_mut(BLOCK)), |(x, out)| {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = self.0[usize::from(x)];
            }
        });
    }
}

/// Max pooling of NHWC integers; padding is no element.
///
/// # Panics
/// If a length does not match the plan.
pub fn max_pool(pool: &WindowPool, signed: bool, input: &[u8], output: &mut [u8]) {
    let flip = if signed { 0x80 } else { 0 };
    pool.each_row(input, output, |row, image, out| max_row(Isa::chosen(), pool, row, flip, image, out));
}

dispatch! {
    fn max_row(pool: &WindowPool, row: usize, flip: u8, image: &[u8], out: &mut [u8]) => max_kernel
}

#[inline(always)]
fn max_kernel(pool: &WindowPool, row: usize, flip: u8, image: &[u8], out: &mut [u8]) {
    for (column, out) in out.chunks_exact_mut(pool.channels).enumerate() {
        out.fill(0);
        for y in pool.inside(0, row) {
            for x in pool.inside(1, column) {
                let pixel = &image[(y * pool.input[1] + x) * pool.channels..][..out.len()];
                for (out, &x) in out.iter_mut().zip(pixel) {
                    *out = (*out).max(x ^ flip);
                }
            }
        }
        for out in out {
            *out ^= flip;
        }
    }
}

/// The mean of all pixels of each channel of NHWC integers `[images, pixels, channels]`: the sum is exact, then
/// `round(sum · (input scale / (output scale · pixels)))` as ONNX Runtime rounds.
///
/// # Panics
/// If the lengths do not match.
pub fn global_average([from, to]: [Affine; 2], pixels: usize, channels: usize, input: &[u8], output: &mut [u8]) {
    assert_eq!(input.len(), output.len() * pixels, "elements of the input");
    let images = input.chunks_exact((pixels * channels).max(1)).zip(output.chunks_exact_mut(channels.max(1)));
    parallel_for(images, |(input, output)| average(Isa::chosen(), [from, to], channels, input, output));
}

dispatch! {
    fn average(affines: [Affine; 2], channels: usize, input: &[u8], output: &mut [u8]) => average_kernel
}

/// Channels whose sums are kept at once.
const CHANNELS: usize = 64;

#[inline(always)]
fn average_kernel([from, to]: [Affine; 2], channels: usize, input: &[u8], output: &mut [u8]) {
    let pixels = input.len() / channels;
    let (flip, zero) = (from.flip(), i64::from(from.zero_as_u8()));
    let scale = from.scale / (to.scale * pixels as f32);
    let [least, greatest] = to.steps();
    for (block, output) in output.chunks_mut(CHANNELS).enumerate() {
        // Of at most 2^32 / 255 pixels.
        let mut sums = [0u32; CHANNELS];
        for pixel in input.chunks_exact(channels) {
            for (sum, &x) in sums.iter_mut().zip(&pixel[block * CHANNELS..][..output.len()]) {
                *sum = sum.wrapping_add((x ^ flip).into());
            }
        }
        for (out, &sum) in output.iter_mut().zip(&sums) {
            let sum = i64::from(sum) - zero * pixels as i64;
            *out = quantized(sum as f32 * scale, to.zero_point, least, greatest);
        }
    }
}
