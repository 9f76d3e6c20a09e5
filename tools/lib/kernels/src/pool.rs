//! Pooling of NHWC activations, forward and backward.
//!
//! Each image is computed alone: threads do not matter.

use rayon::prelude::*;

/// The mean of each channel of each image: from `[images, pixels, channels]` to `[images, channels]`.
///
/// # Panics
/// When the lengths do not fit.
pub fn average(input: &[f32], channels: usize, output: &mut [f32]) {
    let images = images(output.len(), channels);
    let image_len = image_len(input.len(), images, channels);
    let scale = 1.0 / (image_len / channels) as f32;
    input.par_chunks_exact(image_len).zip(output.par_chunks_exact_mut(channels)).for_each(|(image, means)| {
        means.fill(0.0);
        for pixel in image.chunks_exact(channels) {
            means.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
        }
        means.iter_mut().for_each(|mean| *mean *= scale);
    });
}

/// The gradient of the input of [`average`] from that of its output.
///
/// # Panics
/// When the lengths do not fit.
pub fn average_backward(output: &[f32], channels: usize, input: &mut [f32]) {
    let images = images(output.len(), channels);
    let image_len = image_len(input.len(), images, channels);
    let scale = 1.0 / (image_len / channels) as f32;
    input.par_chunks_exact_mut(image_len).zip(output.par_chunks_exact(channels)).for_each(|(image, means)| {
        for pixel in image.chunks_exact_mut(channels) {
            pixel.iter_mut().zip(means).for_each(|(x, mean)| *x = mean * scale);
        }
    });
}

/// The sizes of what is pooled: `[images, height, width, channels]`.
#[derive(Debug, Clone, Copy)]
pub struct Plane {
    /// Rows of an image; at least 2.
    pub height: usize,
    /// Pixels of a row; at least 2.
    pub width: usize,
    /// Channels of a pixel.
    pub channels: usize,
}

/// The maximum of each 2 × 2 pixels: to `[images, height / 2, width / 2, channels]`, without the last row
/// or column of an odd size. NaN counts as the largest, as in PyTorch.
///
/// # Panics
/// When the lengths do not fit.
pub fn max(input: &[f32], plane: Plane, output: &mut [f32]) {
    let (image_len, out_len) = plane.check(input.len(), output.len());
    input.par_chunks_exact(image_len).zip(output.par_chunks_exact_mut(out_len)).for_each(|(image, out)| {
        for (i, out) in out.chunks_exact_mut(plane.channels).enumerate() {
            let [a, b, c, d] = plane.window(i).map(|start| &image[start..][..plane.channels]);
            for ((((out, &a), &b), &c), &d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *out = larger(larger(a, b), larger(c, d));
            }
        }
    });
}

/// The gradient of the input of [`max`] from that of its output: to the first of the largest, by rows.
///
/// # Panics
/// When the lengths do not fit.
pub fn max_backward(input: &[f32], plane: Plane, output: &[f32], gradient: &mut [f32]) {
    let (image_len, out_len) = plane.check(input.len(), output.len());
    assert_eq!(gradient.len(), input.len(), "elements of the gradient");
    let images = input.par_chunks_exact(image_len).zip(output.par_chunks_exact(out_len));
    images.zip(gradient.par_chunks_exact_mut(image_len)).for_each(|((image, out), gradient)| {
        gradient.fill(0.0);
        for (i, out) in out.chunks_exact(plane.channels).enumerate() {
            let window = plane.window(i);
            for (c, &delta) in out.iter().enumerate() {
                let mut largest = window[0] + c;
                for start in &window[1..] {
                    if above(image[start + c], image[largest]) {
                        largest = start + c;
                    }
                }
                gradient[largest] = delta;
            }
        }
    });
}

/// Whether `b` replaces the maximum `a`.
fn above(b: f32, a: f32) -> bool {
    b > a || b.is_nan() && !a.is_nan()
}

fn larger(a: f32, b: f32) -> f32 {
    if above(b, a) { b } else { a }
}

impl Plane {
    /// Where the four pixels of an output pixel start in an image.
    fn window(self, i: usize) -> [usize; 4] {
        let (y, x) = (i / (self.width / 2), i % (self.width / 2));
        let row = self.width * self.channels;
        let first = 2 * y * row + 2 * x * self.channels;
        [first, first + self.channels, first + row, first + row + self.channels]
    }

    /// Elements of an image, before and after.
    fn check(self, input: usize, output: usize) -> (usize, usize) {
        let image_len = self.height * self.width * self.channels;
        let out_len = self.height / 2 * (self.width / 2) * self.channels;
        assert!(out_len > 0, "images of {} × {} × {}", self.height, self.width, self.channels);
        let images = input / image_len;
        assert_eq!([input, output], [images * image_len, images * out_len], "elements of the input and the output");
        (image_len, out_len)
    }
}

fn images(len: usize, channels: usize) -> usize {
    assert!(len > 0 && len.is_multiple_of(channels), "{len} elements of {channels} channels");
    len / channels
}

fn image_len(len: usize, images: usize, channels: usize) -> usize {
    assert!(
        len > 0 && len.is_multiple_of(images * channels),
        "{len} elements of {images} images with {channels} channels"
    );
    len / images
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use proptest::prelude::*;

    fn draw(seed: u64, len: usize) -> Vec<f32> {
        let mut random = Random::new(seed, 0);
        // Coarse, so that maxima are often shared.
        (0..len).map(|_| random.index(5) as f32).collect()
    }

    proptest! {
        #[test]
        fn averages_agree_with_the_definition(images in 1usize..4, pixels in 1usize..20, channels in 1usize..20, seed: u64) {
            let input = draw(seed, images * pixels * channels);
            let mut means = vec![f32::NAN; images * channels];
            average(&input, channels, &mut means);
            for (i, mean) in means.iter().enumerate() {
                let image = &input[i / channels * pixels * channels..][..pixels * channels];
                let sum: f64 = image.iter().skip(i % channels).step_by(channels).map(|&x| f64::from(x)).sum();
                prop_assert!((f64::from(*mean) - sum / pixels as f64).abs() < 1e-6);
            }
            let mut gradient = vec![f32::NAN; input.len()];
            average_backward(&means, channels, &mut gradient);
            for (i, gradient) in gradient.iter().enumerate() {
                let mean = means[i / (pixels * channels) * channels + i % channels];
                prop_assert!((gradient - mean / pixels as f32).abs() < 1e-6);
            }
        }

        #[test]
        fn maxima_agree_with_the_definition(images in 1usize..4, height in 2usize..8, width in 2usize..8, channels in 1usize..6, seed: u64) {
            let plane = Plane { height, width, channels };
            let input = draw(seed, images * height * width * channels);
            let (oh, ow) = (height / 2, width / 2);
            let mut output = vec![f32::NAN; images * oh * ow * channels];
            max(&input, plane, &mut output);
            let delta: Vec<f32> = (1..=output.len()).map(|i| i as f32).collect();
            let (mut gradient, mut expected) = (vec![f32::NAN; input.len()], vec![0.0; input.len()]);
            max_backward(&input, plane, &delta, &mut gradient);
            for (i, out) in output.iter().enumerate() {
                let (n, y, x, c) = (i / (oh * ow * channels), i / (ow * channels) % oh, i / channels % ow, i % channels);
                let at = |dy: usize, dx: usize| ((n * height + 2 * y + dy) * width + 2 * x + dx) * channels + c;
                let window = [at(0, 0), at(0, 1), at(1, 0), at(1, 1)];
                prop_assert_eq!(*out, window.map(|i| input[i]).into_iter().fold(f32::MIN, f32::max));
                expected[*window.iter().find(|&&i| input[i] == *out).expect("the maximum is one of them")] = delta[i];
            }
            prop_assert_eq!(gradient, expected);
        }
    }

    #[test]
    fn nan_is_the_largest() {
        let plane = Plane { height: 2, width: 2, channels: 1 };
        let (input, mut output, mut gradient) = ([1.0, f32::NAN, f32::NAN, 3.0], [0.0], [0.0; 4]);
        max(&input, plane, &mut output);
        max_backward(&input, plane, &[7.0], &mut gradient);
        assert!(output[0].is_nan());
        assert_eq!(gradient, [0.0, 7.0, 0.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "elements of the input and the output")]
    fn a_wrong_length_is_told() {
        max(&[0.0; 9], Plane { height: 2, width: 2, channels: 1 }, &mut [0.0; 2]);
    }
}
