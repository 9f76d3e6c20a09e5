//! Every engine against the definition in 64-bit integers.

use super::{dot::Engine, *};
use crate::{Activation, pool::WindowPool, windows::Windows};
use random::Random;
use std::sync::Arc;

/// Bytes of all values, the extremes often.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed, 0);
    let mut byte = || {
        let x = (random.uniform() * 512.0) as usize;
        if x < 256 { x as u8 } else { [0, 127, 128, 255][x % 4] }
    };
    (0..len).map(|_| byte()).collect()
}

const INPUTS: [Affine; 4] = [
    Affine { scale: 0.02, zero_point: 0, signed: false },
    Affine { scale: 0.5, zero_point: 131, signed: false },
    Affine { scale: 0.013, zero_point: -7, signed: true },
    Affine { scale: 1.0, zero_point: 127, signed: true },
];

struct Case {
    windows: Windows,
    channels: usize,
    outputs: usize,
    input: Affine,
}

impl Case {
    fn weights(&self) -> Vec<i8> {
        bytes(2, self.outputs * self.channels * self.windows.taps()).into_iter().map(|byte| byte as i8).collect()
    }

    fn bias(&self) -> Vec<i32> {
        (0..self.outputs as i32).map(|i| i * 1001 - 5000).collect()
    }

    fn value(&self, byte: u8) -> i64 {
        let integer = if self.input.signed { i64::from(byte as i8) } else { i64::from(byte) };
        integer - i64::from(self.input.zero_point)
    }

    /// The sums, by the definition.
    fn sums(&self, input: &[u8]) -> Vec<i64> {
        let (w, weights, bias) = (self.windows, self.weights(), self.bias());
        let mut sums = Vec::new();
        for image in input.chunks_exact(w.input_pixels() * self.channels) {
            for (y, x) in (0..w.output[0]).flat_map(|y| (0..w.output[1]).map(move |x| (y, x))) {
                for output in 0..self.outputs {
                    let mut sum = i64::from(bias[output]);
                    for tap in 0..w.taps() {
                        let row = y * w.stride[0] + tap / w.kernel[1] * w.dilation[0];
                        let column = x * w.stride[1] + tap % w.kernel[1] * w.dilation[1];
                        let (Some(row), Some(column)) = (row.checked_sub(w.before[0]), column.checked_sub(w.before[1]))
                        else {
                            continue;
                        };
                        if row >= w.input[0] || column >= w.input[1] {
                            continue;
                        }
                        for channel in 0..self.channels {
                            let weight = weights[(output * self.channels + channel) * w.taps() + tap];
                            let byte = image[(row * w.input[1] + column) * self.channels + channel];
                            sum += self.value(byte) * i64::from(weight);
                        }
                    }
                    sums.push(sum);
                }
            }
        }
        sums
    }

    fn check(&self) {
        let w = self.windows;
        let input = bytes(1, w.images * w.input_pixels() * self.channels);
        let sums = self.sums(&input);
        let scale: Vec<f32> = (0..self.outputs).map(|i| 1e-4 * (1.0 + i as f32 / 7.0)).collect();
        let dilated = w.dilation[1] != 1;
        for engine in Engine::supported() {
            let pack = |bias: &[i32]| {
                let sizes = [self.outputs, self.channels];
                QuantizedWeights::on(engine, &self.weights(), sizes, w.kernel, dilated, bias, self.input)
            };
            let weights = Arc::new(pack(&self.bias()).expect("sums that fit"));
            for output in [INPUTS[1], INPUTS[2]] {
                for activation in [Activation::Identity, Activation::Relu, Activation::Clip(-1.0, 6.0)] {
                    let plan = Requantization::new(&scale, &[], false, activation, Some(output));
                    let conv = QuantizedConv::new(w, weights.clone(), plan);
                    let mut out = vec![99; conv.output_len()];
                    conv.integers(&input, &[], &mut out, &mut vec![f32::NAN; conv.workspace_len(2)]);
                    for (i, (&byte, &sum)) in out.iter().zip(&sums).enumerate() {
                        let steps = (sum as f32 * (scale[i % self.outputs] / output.scale)).round_ties_even();
                        let bounds = activation.bounds().expect("bounds");
                        let [low, high] = bounds.map(|bound| (bound / output.scale).round_ties_even());
                        let [least, greatest] = output.limits();
                        let integer = steps.clamp(low, high) as i32 + output.zero_point;
                        let expected = integer.clamp(least, greatest) as u8;
                        assert_eq!(byte, expected, "{engine:?}, {w:?}, {output:?}, {activation:?}, element {i}");
                    }
                }
            }
            self.check_floats(&input, &sums, &scale, &weights);
        }
    }

    /// Biases and residuals in float32, and an activation that is not one of bounds.
    fn check_floats(&self, input: &[u8], sums: &[i64], scale: &[f32], weights: &Arc<QuantizedWeights>) {
        let bias: Vec<f32> = (0..self.outputs).map(|i| i as f32 / 3.0 - 1.0).collect();
        let residual: Vec<f32> = (0..sums.len()).map(|i| (i % 17) as f32 / 5.0 - 1.0).collect();
        for activation in [Activation::Relu, Activation::LeakyRelu(0.25)] {
            let mut expected: Vec<f32> = (0..sums.len())
                .map(|i| sums[i] as f32 * scale[i % self.outputs] + bias[i % self.outputs] + residual[i])
                .collect();
            activation.apply(&mut expected);
            let plan = Requantization::new(scale, &bias, true, activation, None);
            let conv = QuantizedConv::new(self.windows, weights.clone(), plan);
            let (mut out, mut workspace) = (vec![f32::NAN; sums.len()], vec![f32::NAN; conv.workspace_len(1)]);
            conv.floats(input, &residual, &mut out, &mut workspace);
            assert!(out == expected, "{:?}, {:?}", weights.engine, self.windows);
            let output = INPUTS[2];
            let plan = Requantization::new(scale, &bias, true, activation, Some(output));
            let conv = QuantizedConv::new(self.windows, weights.clone(), plan);
            let mut workspace = vec![f32::NAN; conv.workspace_len(1)];
            let (mut integers, mut quantized) = (vec![0; sums.len()], vec![0; sums.len()]);
            conv.integers(input, &residual, &mut integers, &mut workspace);
            quantize(output, &expected, &mut quantized);
            assert_eq!(integers, quantized, "{:?}, {:?}", weights.engine, self.windows);
        }
    }
}

#[test]
fn products_are_exact() {
    for (rows, channels, outputs) in [
        (1, 1, 1),
        (2, 3, 5),
        (7, 4, 16),
        (13, 8, 64),
        (30, 64, 1),
        (5, 130, 70),
        (12, 33, 33),
        (6, 9, 49),
        (25, 300, 130),
    ] {
        for input in INPUTS {
            Case { windows: Windows::rows(rows), channels, outputs, input }.check();
        }
    }
}

#[test]
fn convolutions_are_exact() {
    let square = Windows {
        images: 2,
        input: [7, 6],
        output: [7, 6],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        before: [1, 1],
    };
    let shapes = [
        (square, 3, 5),
        (square, 16, 16),
        (Windows { output: [4, 3], stride: [2, 2], ..square }, 8, 24),
        (Windows { output: [3, 2], kernel: [3, 3], dilation: [2, 2], before: [0, 0], ..square }, 5, 17),
        (Windows { output: [8, 6], kernel: [2, 1], before: [1, 0], ..square }, 4, 33),
        (Windows { output: [7, 6], kernel: [1, 1], before: [0, 0], ..square }, 12, 20),
        (Windows { output: [4, 3], kernel: [1, 1], stride: [2, 2], before: [0, 0], ..square }, 16, 20),
        (Windows { input: [1, 20], output: [1, 9], kernel: [1, 5], stride: [1, 2], before: [0, 1], ..square }, 2, 3),
        (Windows { input: [2, 2], output: [9, 9], kernel: [1, 1], before: [4, 4], ..square }, 4, 4),
    ];
    for (windows, channels, outputs) in shapes {
        for input in INPUTS {
            Case { windows, channels, outputs, input }.check();
        }
    }
}

/// The largest sums: all of the same sign, up to the last that fits int32.
#[test]
fn sums_that_might_not_fit_are_refused() {
    let input = Affine { scale: 1.0, zero_point: 0, signed: false };
    let new = |depth: usize, bias: i32| {
        QuantizedWeights::new(&vec![-128; depth], [1, depth], [1, 1], false, &[bias], input).map(Arc::new)
    };
    // 65 793 · 255 · 128 = 2³¹ − 2¹⁵ − … is the last product that fits.
    let depth = (i32::MAX / (255 * 128)) as usize;
    assert_eq!(depth, 65_793);
    let rest = i32::MAX - depth as i32 * 255 * 128;
    for engine in Engine::supported() {
        let weights = vec![-128; depth];
        let weights = QuantizedWeights::on(engine, &weights, [1, depth], [1, 1], false, &[-rest], input);
        let plan = Requantization::new(&[1.0], &[], false, Activation::Identity, None);
        let conv = QuantizedConv::new(Windows::rows(1), Arc::new(weights.expect("it fits")), plan);
        let mut out = [0.0];
        conv.floats(&vec![255; depth], &[], &mut out, &mut vec![0.0; conv.workspace_len(1)]);
        assert_eq!(out, [-i32::MAX as f32], "{engine:?}");
    }
    assert!(new(depth, rest).is_some() && new(depth, rest + 1).is_none() && new(depth + 1, 0).is_none());
}

/// Threads and blocks decide nothing.
#[test]
fn rows_of_many_blocks() {
    let (rows, channels, outputs) = (3000, 65, 40);
    Case { windows: Windows::rows(rows), channels, outputs, input: INPUTS[1] }.check();
}

#[test]
fn elements_round_half_to_even_and_saturate() {
    let unsigned = Affine { scale: 2.0, zero_point: 3, signed: false };
    let signed = Affine { scale: 0.5, zero_point: -1, signed: true };
    let x = [0.0, 1.0, 3.0, -1.0, -5.0, 7.0, -100.0, 1e9, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    let mut out = [0; 11];
    quantize(unsigned, &x, &mut out);
    assert_eq!(out, [3, 3, 5, 3, 1, 7, 0, 255, 0, 255, 0]);
    quantize(signed, &x, &mut out);
    assert_eq!(out.map(|x| x as i8), [-1, 1, 5, -3, -11, 13, -128, 127, 0, 127, -128]);
    let mut reals = [0.0; 3];
    dequantize(signed, &[0, 127, 128], &mut reals);
    assert_eq!(reals, [0.5, 64.0, -63.5]);
    let mut sum = [0; 2];
    add([unsigned, signed, unsigned], [0.0, 30.0], &[3, 255], &[0, 100], &mut sum);
    // 0 + 0.5 = 0.25 steps; 504 + 50.5, at most 30.
    assert_eq!(sum, [3, 18]);
    let mut mean = [0; 2];
    global_average([signed, unsigned], 3, 2, &[1, 255, 4, 255, 7, 255], &mut mean);
    // (2 + 5 + 8) / 3 · 0.5 = 2.5 → 1.25 steps; 0 steps.
    assert_eq!(mean, [4, 3]);
}

#[test]
fn maxima_of_either_type() {
    let pool =
        WindowPool { input: [2, 3], output: [1, 2], channels: 1, kernel: [2, 2], stride: [1, 1], before: [0, 0] };
    let mut out = [0; 2];
    max_pool(&pool, false, &[1, 200, 3, 4, 5, 6], &mut out);
    assert_eq!(out, [200, 200]);
    max_pool(&pool, true, &[1, 200, 3, 4, 255, 250], &mut out);
    assert_eq!(out.map(|x| x as i8), [4, 3]);
}
