//! Max and average pooling of NHWC activations, forward and backward.
//!
//! The input is `[images, height, width, channels]`, the output `[images, height / size[0], width / size[1], channels]`. Images
//! are the tasks of the parallel loops; the number of threads does not change results.

mod window;

use crate::{
    isa::{Isa, dispatch},
    vector::{LANES, Vector, dispatch_vector},
};
use parallel::parallel_for;
pub use window::WindowPool;

/// A plan of one layer: non-overlapping windows of `size` rows and columns, no padding; the remainder at the edge is dropped (PyTorch's
/// `MaxPool2d(size)` and `AvgPool2d(size)`).
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    isa: Isa,
    height: usize,
    width: usize,
    channels: usize,
    size: [usize; 2],
}

impl Pool {
    /// Plans a layer; `height`, `width` and `channels` are those of the input.
    ///
    /// # Panics
    /// If a size is 0, or `size` is larger than the image.
    pub fn new(height: usize, width: usize, channels: usize, size: [usize; 2]) -> Self {
        Self::on(Isa::chosen(), height, width, channels, size)
    }

    /// As [`Self::new`], for a given instruction set: for tests and benchmarks.
    ///
    /// # Panics
    /// If a size is 0, or `size` is larger than the image.
    pub fn on(isa: Isa, height: usize, width: usize, channels: usize, size: [usize; 2]) -> Self {
        let [rows, columns] = size;
        let fits = channels > 0 && (1..=height).contains(&rows) && (1..=width).contains(&columns);
        assert!(fits, "windows of {rows} × {columns} in images of {height} × {width} × {channels}");
        Self { isa, height, width, channels, size }
    }

    /// Max pooling. NaN is the maximum, as in PyTorch.
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn max(&self, input: &[f32], output: &mut [f32]) {
        self.each_image(input, output, |image, out| max_image(self.isa, self, image, out));
    }

    /// Writes `grad_input` of [`Self::max`], or with `accumulate` adds to it. Each gradient goes to the first maximum of
    /// its window, in row order, as in PyTorch.
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn max_backward(&self, input: &[f32], grad_output: &[f32], grad_input: &mut [f32], accumulate: bool) {
        assert_eq!(grad_input.len(), input.len(), "elements of the gradient");
        let (image_len, out_len) = self.check(input.len(), grad_output.len());
        let images = input.chunks_exact(image_len).zip(grad_output.chunks_exact(out_len));
        parallel_for(images.zip(grad_input.chunks_exact_mut(image_len)), |((image, out), gradient)| {
            let is_covered = self.height.is_multiple_of(self.size[0]) && self.width.is_multiple_of(self.size[1]);
            if !accumulate && !is_covered {
                gradient.fill(0.0);
            }
            max_image_backward(self.isa, self, image, out, gradient, accumulate);
        });
    }

    /// Average pooling.
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn average(&self, input: &[f32], output: &mut [f32]) {
        self.each_image(input, output, |image, out| average_image(self.isa, self, image, out));
    }

    /// Writes `grad_input` of [`Self::average`], or with `accumulate` adds to it.
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn average_backward(&self, grad_output: &[f32], grad_input: &mut [f32], accumulate: bool) {
        let (image_len, out_len) = self.check(grad_input.len(), grad_output.len());
        let images = grad_input.chunks_exact_mut(image_len).zip(grad_output.chunks_exact(out_len));
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

    /// Elements of an image of the input, and of the output.
    fn check(&self, input: usize, output: usize) -> (usize, usize) {
        let image_len = self.height * self.width * self.channels;
        let out_len = (self.height / self.size[0]) * (self.width / self.size[1]) * self.channels;
        let images = input / image_len;
        assert_eq!([input, output], [images * image_len, images * out_len], "elements of the input and the output");
        (image_len, out_len)
    }

    /// Offsets of the pixels of window `i` in an image, in row order.
    #[inline(always)]
    fn window(&self, i: usize) -> impl Iterator<Item = usize> + use<> {
        let Self { width, channels, size: [rows, columns], .. } = *self;
        let (y, x) = (i / (width / columns), i % (width / columns));
        let first = y * rows * width + x * columns;
        (0..rows).flat_map(move |row| (0..columns).map(move |column| (first + row * width + column) * channels))
    }
}

dispatch! {
    fn max_image(pool: &Pool, image: &[f32], out: &mut [f32]) => max_kernel
}
dispatch_vector! {
    fn max_image_backward(pool: &Pool, image: &[f32], out: &[f32], gradient: &mut [f32], accumulate: bool) => max_backward_kernel
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
        for (group, out) in out.chunks_mut(LANES).enumerate() {
            let maximum = maximum(pool, image, i, group * LANES);
            out.iter_mut().zip(maximum).for_each(|(out, maximum)| *out = maximum);
        }
    }
}

/// The maxima of window `i`, of a line of channels from `first`.
#[inline(always)]
fn maximum(pool: &Pool, image: &[f32], i: usize, first: usize) -> [f32; LANES] {
    let mut maximum = [0.0; LANES];
    for (k, start) in pool.window(i).enumerate() {
        let pixel = line(&image[start + first..]);
        for (maximum, x) in maximum.iter_mut().zip(pixel) {
            *maximum = if k == 0 || above(x, *maximum) { x } else { *maximum };
        }
    }
    maximum
}

/// The first element that equals its window's maximum takes the gradient, and leaves 0 to the others. Lines are stored as far as a pixel
/// has channels: a whole line would wait for the store before it, which it overlaps.
#[inline(always)]
fn max_backward_kernel<V: Vector, const M: usize>(
    zero: V,
    pool: &Pool,
    image: &[f32],
    out: &[f32],
    gradient: &mut [f32],
    accumulate: bool,
) {
    for i in 0..out.len() / pool.channels {
        for first in (0..pool.channels).step_by(LANES) {
            let channels = LANES.min(pool.channels - first);
            let maximum = maximum(pool, image, i, first);
            let mut left = line(&out[i * pool.channels + first..]);
            for start in pool.window(i) {
                let pixel = line(&image[start + first..]);
                let mut own = [0.0; LANES];
                for (((own, left), x), maximum) in own.iter_mut().zip(&mut left).zip(pixel).zip(maximum) {
                    let takes = x == maximum || x.is_nan() && maximum.is_nan();
                    *own = if takes { *left } else { 0.0 };
                    *left = if takes { 0.0 } else { *left };
                }
                let (own, pixel) = (zero.load(&own), &mut gradient[start + first..][..channels]);
                let sums = if accumulate { zero.load_first(pixel).add(own) } else { own };
                sums.store_first(pixel);
            }
        }
    }
}

/// The first values, as many as a line has lanes: loops over a fixed number are vectorized. Of a pixel with fewer channels,
/// those of the next pixel follow; beyond the last value are zeros.
#[inline(always)]
fn line(values: &[f32]) -> [f32; LANES] {
    match values.first_chunk() {
        Some(line) => *line,
        None => {
            let mut line = [0.0; LANES];
            line.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
            line
        }
    }
}

#[inline(always)]
fn average_kernel(pool: &Pool, image: &[f32], out: &mut [f32]) {
    let scale = 1.0 / (pool.size[0] * pool.size[1]) as f32;
    for (i, out) in out.chunks_exact_mut(pool.channels).enumerate() {
        out.fill(0.0);
        for start in pool.window(i) {
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
    let scale = 1.0 / (pool.size[0] * pool.size[1]) as f32;
    for (i, out) in out.chunks_exact(pool.channels).enumerate() {
        for start in pool.window(i) {
            for (gradient, grad_output) in gradient[start..].iter_mut().zip(out) {
                *gradient += grad_output * scale;
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
        // Coarse, so that windows often have several maxima.
        (0..len).map(|_| random.index(5) as f32).collect()
    }

    /// The input indices of the window of each output element, in row order.
    fn windows(images: usize, [height, width, channels]: [usize; 3], size: [usize; 2]) -> Vec<Vec<usize>> {
        let (oh, ow) = (height / size[0], width / size[1]);
        let place = |i: usize| {
            let (n, y, x, c) = (i / (oh * ow * channels), i / (ow * channels) % oh, i / channels % ow, i % channels);
            let at = |dy: usize, dx: usize| ((n * height + size[0] * y + dy) * width + size[1] * x + dx) * channels + c;
            (0..size[0] * size[1]).map(|k| at(k / size[1], k % size[1])).collect()
        };
        (0..images * oh * ow * channels).map(place).collect()
    }

    proptest! {
        #[test]
        fn averages_agree_with_the_definition(
            images in 1usize..4, size in [1usize..5, 1usize..5], height in 4usize..9, width in 4usize..9, channels in 1usize..40, seed: u64,
        ) {
            let windows = windows(images, [height, width, channels], size);
            let input = draw(seed, images * height * width * channels);
            let grad_output = draw(seed + 1, windows.len());
            let mean = |window: &Vec<usize>| window.iter().map(|&i| f64::from(input[i])).sum::<f64>() / window.len() as f64;
            let mut expected = vec![1.0; input.len()];
            for (window, grad_output) in windows.iter().zip(&grad_output) {
                window.iter().for_each(|&i| expected[i] += f64::from(*grad_output) / window.len() as f64);
            }
            for isa in Isa::supported() {
                let pool = Pool::on(isa, height, width, channels, size);
                let (mut means, mut gradient) = (vec![f32::NAN; windows.len()], vec![1.0; input.len()]);
                pool.average(&input, &mut means);
                for (ours, window) in means.iter().zip(&windows) {
                    prop_assert!((f64::from(*ours) - mean(window)).abs() < 1e-6);
                }
                pool.average_backward(&grad_output, &mut gradient, true);
                for (ours, expected) in gradient.iter().zip(&expected) {
                    prop_assert!((f64::from(*ours) - expected).abs() < 1e-6);
                }
                pool.average_backward(&grad_output, &mut gradient, false);
                for (ours, expected) in gradient.iter().zip(&expected) {
                    prop_assert!((f64::from(*ours) - expected + 1.0).abs() < 1e-6);
                }
            }
        }

        #[test]
        fn maxima_agree_with_the_definition(
            images in 1usize..4, size in [1usize..5, 1usize..5], height in 4usize..9, width in 4usize..9, channels in 1usize..40, seed: u64,
        ) {
            let windows = windows(images, [height, width, channels], size);
            let input = draw(seed, images * height * width * channels);
            let greatest: Vec<f32> = windows.iter().map(|window| window.iter().map(|&i| input[i]).fold(f32::MIN, f32::max)).collect();
            let grad_output: Vec<f32> = (1..=windows.len()).map(|i| i as f32).collect();
            let mut expected = vec![0.0; input.len()];
            for ((window, greatest), grad_output) in windows.iter().zip(&greatest).zip(&grad_output) {
                expected[*window.iter().find(|&&i| input[i] == *greatest).expect("the maximum is one of them")] = *grad_output;
            }
            for isa in Isa::supported() {
                let pool = Pool::on(isa, height, width, channels, size);
                let (mut output, mut gradient) = (vec![f32::NAN; windows.len()], vec![f32::NAN; input.len()]);
                pool.max(&input, &mut output);
                assert!(output == greatest);
                pool.max_backward(&input, &grad_output, &mut gradient, false);
                assert!(gradient == expected);
                pool.max_backward(&input, &grad_output, &mut gradient, true);
                assert!(gradient.iter().zip(&expected).all(|(twice, once)| *twice == 2.0 * once));
            }
        }
    }

    #[test]
    fn nan_is_the_maximum() {
        let pool = Pool::new(2, 2, 1, [2, 2]);
        let (input, mut output, mut gradient) = ([1.0, f32::NAN, f32::NAN, 3.0], [0.0], [0.0; 4]);
        pool.max(&input, &mut output);
        pool.max_backward(&input, &[7.0], &mut gradient, false);
        assert!(output[0].is_nan());
        assert_eq!(gradient, [0.0, 7.0, 0.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "elements of the input and the output")]
    fn a_wrong_length_is_told() {
        Pool::new(2, 2, 1, [2, 2]).max(&[0.0; 9], &mut [0.0; 2]);
    }
}
