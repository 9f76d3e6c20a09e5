//! Pooling of inference: rectangular windows that may overlap and reach into padding.

use super::above;
use crate::isa::{Isa, dispatch};
use parallel::parallel_for;
use std::ops::Range;

/// A plan of one layer; sizes are height, then width.
#[derive(Debug, Clone, Copy)]
pub struct WindowPool {
    /// Size of the input.
    pub input: [usize; 2],
    /// Size of the output.
    pub output: [usize; 2],
    /// Channels of both.
    pub channels: usize,
    /// Size of a window.
    pub kernel: [usize; 2],
    /// From one window to the next.
    pub stride: [usize; 2],
    /// Padding above and left.
    pub before: [usize; 2],
}

impl WindowPool {
    /// Max pooling of NHWC images; padding is no element. NaN is the maximum.
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn max(&self, input: &[f32], output: &mut [f32]) {
        self.each_row(input, output, |row, image, out| max_row(Isa::chosen(), self, row, image, out));
    }

    /// Average pooling of NHWC images: of the elements of a window that are no padding or, with `padding`, of the whole window
    /// with zeros.
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn average(&self, input: &[f32], output: &mut [f32], padding: bool) {
        self.each_row(input, output, |row, image, out| average_row(Isa::chosen(), self, row, padding, image, out));
    }

    /// Calls `work` with each row of the output.
    pub(crate) fn each_row<T: Send + Sync>(
        &self,
        input: &[T],
        output: &mut [T],
        work: impl Fn(usize, &[T], &mut [T]) + Sync,
    ) {
        let image_len = self.input[0] * self.input[1] * self.channels;
        let row_len = self.output[1] * self.channels;
        let images = input.len().checked_div(image_len).unwrap_or(0);
        assert_eq!(input.len(), images * image_len, "elements of the input");
        assert_eq!(output.len(), images * self.output[0] * row_len, "elements of the output");
        let rows = output.chunks_mut(row_len.max(1)).enumerate();
        parallel_for(rows, |(i, out)| {
            let (image, row) = (i / self.output[0], i % self.output[0]);
            work(row, &input[image * image_len..][..image_len], out);
        });
    }

    /// The part of a window that lies inside, along an axis.
    #[inline(always)]
    pub(crate) fn inside(&self, axis: usize, index: usize) -> Range<usize> {
        let first = index * self.stride[axis];
        let range = |at: usize| at.saturating_sub(self.before[axis]).min(self.input[axis]);
        range(first)..range(first + self.kernel[axis])
    }
}

dispatch! {
    fn max_row(pool: &WindowPool, row: usize, image: &[f32], out: &mut [f32]) => max_kernel
}
dispatch! {
    fn average_row(pool: &WindowPool, row: usize, padding: bool, image: &[f32], out: &mut [f32]) => average_kernel
}

#[inline(always)]
fn max_kernel(pool: &WindowPool, row: usize, image: &[f32], out: &mut [f32]) {
    for (column, out) in out.chunks_exact_mut(pool.channels).enumerate() {
        out.fill(f32::NEG_INFINITY);
        for y in pool.inside(0, row) {
            for x in pool.inside(1, column) {
                let pixel = &image[(y * pool.input[1] + x) * pool.channels..][..out.len()];
                for (out, &x) in out.iter_mut().zip(pixel) {
                    *out = if above(x, *out) { x } else { *out };
                }
            }
        }
    }
}

#[inline(always)]
fn average_kernel(pool: &WindowPool, row: usize, padding: bool, image: &[f32], out: &mut [f32]) {
    for (column, out) in out.chunks_exact_mut(pool.channels).enumerate() {
        out.fill(0.0);
        let [rows, columns] = [pool.inside(0, row), pool.inside(1, column)];
        let count = if padding { pool.kernel[0] * pool.kernel[1] } else { rows.len() * columns.len() };
        for y in rows {
            for x in columns.clone() {
                let pixel = &image[(y * pool.input[1] + x) * pool.channels..][..out.len()];
                for (out, &x) in out.iter_mut().zip(pixel) {
                    *out += x;
                }
            }
        }
        for mean in out {
            *mean /= count as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition, on an image of 3 × 4 pixels and two channels, the second of which is the negative of the first.
    #[test]
    fn overlapping_windows_with_padding() {
        let input: Vec<f32> = (0..12).flat_map(|i| [i as f32, -(i as f32)]).collect();
        let pool =
            WindowPool { input: [3, 4], output: [2, 2], channels: 2, kernel: [3, 3], stride: [2, 2], before: [1, 1] };
        let mut out = [f32::NAN; 8];
        pool.max(&input, &mut out);
        assert_eq!(out, [5.0, 0.0, 7.0, -1.0, 9.0, -4.0, 11.0, -5.0]);
        pool.average(&input, &mut out, false);
        assert_eq!(out, [2.5, -2.5, 4.0, -4.0, 6.5, -6.5, 8.0, -8.0]);
        pool.average(&input, &mut out, true);
        let ninths = [10.0, 24.0, 26.0, 48.0].map(|sum: f32| sum / 9.0);
        assert_eq!(out, [ninths[0], -ninths[0], ninths[1], -ninths[1], ninths[2], -ninths[2], ninths[3], -ninths[3]]);
    }

    #[test]
    fn nan_is_the_maximum() {
        let pool =
            WindowPool { input: [1, 3], output: [1, 1], channels: 1, kernel: [1, 3], stride: [1, 1], before: [0, 0] };
        let mut out = [0.0];
        pool.max(&[1.0, f32::NAN, 3.0], &mut out);
        assert!(out[0].is_nan());
    }
}
