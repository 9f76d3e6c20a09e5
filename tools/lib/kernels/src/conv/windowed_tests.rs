//! What tests of convolutions of any windows share.

use crate::windows::Windows;

const SQUARE: Windows = Windows {
    images: 2,
    input: [9, 11],
    output: [9, 11],
    kernel: [3, 3],
    stride: [1, 1],
    dilation: [1, 1],
    before: [1, 1],
};

/// Strides, dilations, kernels that are no squares, padding that is wider than the kernel, one axis.
pub const SHAPES: [Windows; 8] = [
    SQUARE,
    Windows { input: [2, 30], output: [2, 30], ..SQUARE },
    Windows { output: [5, 6], stride: [2, 2], ..SQUARE },
    Windows { output: [9, 11], kernel: [3, 1], before: [1, 0], ..SQUARE },
    Windows { output: [9, 11], dilation: [2, 2], before: [2, 2], ..SQUARE },
    Windows { output: [4, 12], kernel: [2, 4], stride: [3, 1], before: [1, 3], ..SQUARE },
    Windows { output: [11, 13], kernel: [1, 1], ..SQUARE },
    Windows { input: [1, 20], output: [1, 9], kernel: [1, 5], stride: [1, 2], before: [0, 1], ..SQUARE },
];

pub fn draw(seed: u64, len: usize) -> Vec<f32> {
    let mut random = random::Random::new(seed, 0);
    (0..len).map(|_| random.normal() as f32).collect()
}

/// Sums of a convolution of NHWC images, `[channels, outputs, groups]` and weights `[outputs, channels / groups, kernel]`: in row-major order
/// of the kernel, then by channels, each term by a fused multiply-add.
pub fn reference(w: &Windows, [channels, outputs, groups]: [usize; 3], input: &[f32], weights: &[f32]) -> Vec<f32> {
    let (group_inputs, group_outputs) = (channels / groups, outputs / groups);
    let mut sums = Vec::new();
    for image in input.chunks_exact(w.input_pixels() * channels) {
        for (y, x) in (0..w.output[0]).flat_map(|y| (0..w.output[1]).map(move |x| (y, x))) {
            for output in 0..outputs {
                let mut sum = 0f32;
                for tap in 0..w.taps() {
                    let row = (y * w.stride[0] + tap / w.kernel[1] * w.dilation[0]).checked_sub(w.before[0]);
                    let column = (x * w.stride[1] + tap % w.kernel[1] * w.dilation[1]).checked_sub(w.before[1]);
                    let (Some(row), Some(column)) = (row, column) else { continue };
                    if row >= w.input[0] || column >= w.input[1] {
                        continue;
                    }
                    for c in 0..group_inputs {
                        let channel = output / group_outputs * group_inputs + c;
                        let weight = weights[(output * group_inputs + c) * w.taps() + tap];
                        sum = image[(row * w.input[1] + column) * channels + channel].mul_add(weight, sum);
                    }
                }
                sums.push(sum);
            }
        }
    }
    sums
}
