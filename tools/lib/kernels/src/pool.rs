//! Pooling of NHWC activations, forward and backward.
//!
//! Each image is computed alone: threads do not matter.

use crate::isa::{Isa, dispatch};
use parallel::parallel_for;

/// Channels that are compared together.
const LANES: usize = 16;

/// A plan of one layer: squares beside each other, without the rows and columns that make no whole square.
///
/// Activations are `[images, height, width, channels]`, and `[images, height / size, width / size, channels]`.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    isa: Isa,
    height: usize,
    width: usize,
    channels: usize,
    size: usize,
}

impl Pool {
    /// Plans a layer of squares of `size × size` pixels.
    ///
    /// # Panics
    /// When a size is 0, or the square larger than the image.
    pub fn new(height: usize, width: usize, channels: usize, size: usize) -> Self {
        Self::on(Isa::chosen(), height, width, channels, size)
    }

    /// As [`Self::new`], with the instructions of `isa`: for tests and measurements.
    ///
    /// # Panics
    /// When a size is 0, or the square larger than the image.
    pub fn on(isa: Isa, height: usize, width: usize, channels: usize, size: usize) -> Self {
        let fits = size > 0 && channels > 0 && size <= height.min(width);
        assert!(fits, "squares of {size} in images of {height} × {width} × {channels}");
        Self { isa, height, width, channels, size }
    }

    /// The greatest of each square. NaN counts as the greatest, as in PyTorch.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn max(&self, input: &[f32], output: &mut [f32]) {
        self.each_image(input, output, |image, out| max_image(self.isa, self, image, out));
    }

    /// The gradient of the input of [`Self::max`] from that of its output: to the first of the greatest, by
    /// rows. With `accumulate` it is added to what `gradient` holds; otherwise it replaces it.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn max_backward(&self, input: &[f32], output: &[f32], gradient: &mut [f32], accumulate: bool) {
        assert_eq!(gradient.len(), input.len(), "elements of the gradient");
        let (image_len, out_len) = self.check(input.len(), output.len());
        let images = input.chunks_exact(image_len).zip(output.chunks_exact(out_len));
        parallel_for(images.zip(gradient.chunks_exact_mut(image_len)), |((image, out), gradient)| {
            if !accumulate {
                gradient.fill(0.0);
            }
            max_image_backward(self.isa, self, image, out, gradient);
        });
    }

    /// The mean of each square.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn average(&self, input: &[f32], output: &mut [f32]) {
        self.each_image(input, output, |image, out| average_image(self.isa, self, image, out));
    }

    /// The gradient of the input of [`Self::average`] from that of its output. With `accumulate` it is added to
    /// what `gradient` holds; otherwise it replaces it.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn average_backward(&self, output: &[f32], gradient: &mut [f32], accumulate: bool) {
        let (image_len, out_len) = self.check(gradient.len(), output.len());
        let images = gradient.chunks_exact_mut(image_len).zip(output.chunks_exact(out_len));
        parallel_for(images, |(gradient, out)| {
            if !accumulate {
                gradient.fill(0.0);
            }
            average_image_backward(self.isa, self, out, gradient);
        });
    }

    fn each_image(&self, input: &[f32], output: &mut [f32], work: impl Fn(&[f32], &mut [f32]) + Sync) {
        let (image_len, out_len) = self.check(input.len(), output.len());
        let images = input.chunks_exact(image_len).zip(output.chunks_exact_mut(out_len));
        parallel_for(images, |(image, out)| work(image, out));
    }

    /// Elements of an image, before and after.
    fn check(&self, input: usize, output: usize) -> (usize, usize) {
        let image_len = self.height * self.width * self.channels;
        let out_len = (self.height / self.size) * (self.width / self.size) * self.channels;
        let images = input / image_len;
        assert_eq!([input, output], [images * image_len, images * out_len], "elements of the input and the output");
        (image_len, out_len)
    }

    /// Where the pixels of a square start in an image, by rows.
    #[inline(always)]
    fn square(&self, i: usize) -> impl Iterator<Item = usize> + use<> {
        let Self { width, channels, size, .. } = *self;
        let (y, x) = (i / (width / size), i % (width / size));
        let first = (y * width + x) * size;
        (0..size).flat_map(move |row| (0..size).map(move |column| (first + row * width + column) * channels))
    }
}

dispatch! {
    fn max_image(pool: &Pool, image: &[f32], out: &mut [f32]) => max_kernel
}
dispatch! {
    fn max_image_backward(pool: &Pool, image: &[f32], out: &[f32], gradient: &mut [f32]) => max_backward_kernel
}
dispatch! {
    fn average_image(pool: &Pool, image: &[f32], out: &mut [f32]) => average_kernel
}
dispatch! {
    fn average_image_backward(pool: &Pool, out: &[f32], gradient: &mut [f32]) => average_backward_kernel
}

#[inline(always)]
fn max_kernel(pool: &Pool, image: &[f32], out: &mut [f32]) {
    for (i, out) in out.chunks_exact_mut(pool.channels).enumerate() {
        for (k, start) in pool.square(i).enumerate() {
            let pixel = &image[start..][..out.len()];
            if k == 0 {
                out.copy_from_slice(pixel);
            } else {
                for (out, &x) in out.iter_mut().zip(pixel) {
                    *out = if above(x, *out) { x } else { *out };
                }
            }
        }
    }
}

#[inline(always)]
fn max_backward_kernel(pool: &Pool, image: &[f32], out: &[f32], gradient: &mut [f32]) {
    for (i, out) in out.chunks_exact(pool.channels).enumerate() {
        for (lane, out) in out.chunks(LANES).enumerate() {
            let first = lane * LANES;
            let (mut greatest, mut place) = ([0.0f32; LANES], [0u32; LANES]);
            for (k, start) in pool.square(i).enumerate() {
                let pixel = &image[start + first..][..out.len()];
                for ((greatest, place), &x) in greatest.iter_mut().zip(&mut place).zip(pixel) {
                    let replaces = k == 0 || above(x, *greatest);
                    *greatest = if replaces { x } else { *greatest };
                    *place = if replaces { k as u32 } else { *place };
                }
            }
            for (k, start) in pool.square(i).enumerate() {
                let pixel = &mut gradient[start + first..][..out.len()];
                for ((gradient, &place), &delta) in pixel.iter_mut().zip(&place).zip(out) {
                    *gradient += if place == k as u32 { delta } else { 0.0 };
                }
            }
        }
    }
}

#[inline(always)]
fn average_kernel(pool: &Pool, image: &[f32], out: &mut [f32]) {
    let scale = 1.0 / (pool.size * pool.size) as f32;
    for (i, out) in out.chunks_exact_mut(pool.channels).enumerate() {
        out.fill(0.0);
        for start in pool.square(i) {
            for (sum, x) in out.iter_mut().zip(&image[start..]) {
                *sum += x;
            }
        }
        for mean in out {
            *mean *= scale;
        }
    }
}

#[inline(always)]
fn average_backward_kernel(pool: &Pool, out: &[f32], gradient: &mut [f32]) {
    let scale = 1.0 / (pool.size * pool.size) as f32;
    for (i, out) in out.chunks_exact(pool.channels).enumerate() {
        for start in pool.square(i) {
            for (gradient, delta) in gradient[start..].iter_mut().zip(out) {
                *gradient += delta * scale;
            }
        }
    }
}

/// Whether `b` replaces the maximum `a`.
#[inline(always)]
fn above(b: f32, a: f32) -> bool {
    b > a || b.is_nan() && !a.is_nan()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use random::Random;

    fn draw(seed: u64, len: usize) -> Vec<f32> {
        let mut random = Random::new(seed, 0);
        // Coarse, so that maxima are often shared.
        (0..len).map(|_| random.index(5) as f32).collect()
    }

    /// The places of the input that each element of the output sees, in the order of rows.
    fn squares(images: usize, [height, width, channels, size]: [usize; 4]) -> Vec<Vec<usize>> {
        let (oh, ow) = (height / size, width / size);
        let place = |i: usize| {
            let (n, y, x, c) = (i / (oh * ow * channels), i / (ow * channels) % oh, i / channels % ow, i % channels);
            let at = |dy: usize, dx: usize| ((n * height + size * y + dy) * width + size * x + dx) * channels + c;
            (0..size * size).map(|k| at(k / size, k % size)).collect()
        };
        (0..images * oh * ow * channels).map(place).collect()
    }

    proptest! {
        #[test]
        fn averages_agree_with_the_definition(
            images in 1usize..4, size in 1usize..5, height in 4usize..9, width in 4usize..9, channels in 1usize..40, seed: u64,
        ) {
            let squares = squares(images, [height, width, channels, size]);
            let input = draw(seed, images * height * width * channels);
            let delta = draw(seed + 1, squares.len());
            let mean = |square: &Vec<usize>| square.iter().map(|&i| f64::from(input[i])).sum::<f64>() / square.len() as f64;
            let mut expected = vec![1.0; input.len()];
            for (square, delta) in squares.iter().zip(&delta) {
                square.iter().for_each(|&i| expected[i] += f64::from(*delta) / square.len() as f64);
            }
            for isa in Isa::supported() {
                let pool = Pool::on(isa, height, width, channels, size);
                let (mut means, mut gradient) = (vec![f32::NAN; squares.len()], vec![1.0; input.len()]);
                pool.average(&input, &mut means);
                for (ours, square) in means.iter().zip(&squares) {
                    prop_assert!((f64::from(*ours) - mean(square)).abs() < 1e-6);
                }
                pool.average_backward(&delta, &mut gradient, true);
                for (ours, expected) in gradient.iter().zip(&expected) {
                    prop_assert!((f64::from(*ours) - expected).abs() < 1e-6);
                }
                pool.average_backward(&delta, &mut gradient, false);
                for (ours, expected) in gradient.iter().zip(&expected) {
                    prop_assert!((f64::from(*ours) - expected + 1.0).abs() < 1e-6);
                }
            }
        }

        #[test]
        fn maxima_agree_with_the_definition(
            images in 1usize..4, size in 1usize..5, height in 4usize..9, width in 4usize..9, channels in 1usize..40, seed: u64,
        ) {
            let squares = squares(images, [height, width, channels, size]);
            let input = draw(seed, images * height * width * channels);
            let greatest: Vec<f32> = squares.iter().map(|s| s.iter().map(|&i| input[i]).fold(f32::MIN, f32::max)).collect();
            let delta: Vec<f32> = (1..=squares.len()).map(|i| i as f32).collect();
            let mut expected = vec![0.0; input.len()];
            for ((square, greatest), delta) in squares.iter().zip(&greatest).zip(&delta) {
                expected[*square.iter().find(|&&i| input[i] == *greatest).expect("the maximum is one of them")] = *delta;
            }
            for isa in Isa::supported() {
                let pool = Pool::on(isa, height, width, channels, size);
                let (mut output, mut gradient) = (vec![f32::NAN; squares.len()], vec![f32::NAN; input.len()]);
                pool.max(&input, &mut output);
                assert!(output == greatest);
                pool.max_backward(&input, &delta, &mut gradient, false);
                assert!(gradient == expected);
                pool.max_backward(&input, &delta, &mut gradient, true);
                assert!(gradient.iter().zip(&expected).all(|(twice, once)| *twice == 2.0 * once));
            }
        }
    }

    #[test]
    fn nan_is_the_greatest() {
        let pool = Pool::new(2, 2, 1, 2);
        let (input, mut output, mut gradient) = ([1.0, f32::NAN, f32::NAN, 3.0], [0.0], [0.0; 4]);
        pool.max(&input, &mut output);
        pool.max_backward(&input, &[7.0], &mut gradient, false);
        assert!(output[0].is_nan());
        assert_eq!(gradient, [0.0, 7.0, 0.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "elements of the input and the output")]
    fn a_wrong_length_is_told() {
        Pool::new(2, 2, 1, 2).max(&[0.0; 9], &mut [0.0; 2]);
    }
}
