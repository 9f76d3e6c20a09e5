//! Standardising the input, as part of the model.

use serde::{Deserialize, Serialize};

/// `(x - mean) * scale` for each feature of a row, or for each channel of an image, in f32: what the training
/// data went through, and the exported graph repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// `[features]`, or `[channels]`
    pub mean: Vec<f32>,
    /// Likewise: 1 / standard deviation; 1 for a feature that never changes.
    pub scale: Vec<f32>,
}

impl Scaling {
    /// Numbers of a scaling for rows of this shape: one a feature, or one a channel of an image.
    pub fn width(shape: &[usize]) -> usize {
        match shape {
            [channels, _, _] => *channels,
            shape => shape.iter().product(),
        }
    }

    /// The scaling that gives every feature of `rows`, each `[shape…]`, or every channel, mean 0 and standard
    /// deviation 1.
    pub fn standard<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, shape: &[usize]) -> Self {
        let (width, all) = (Self::width(shape), shape.iter().product::<usize>());
        let plane = all / width;
        let count = (rows.clone().count() * plane).max(1) as f64;
        let mut mean = vec![0.0f64; width];
        for row in rows.clone() {
            for (mean, plane) in mean.iter_mut().zip(row.chunks_exact(plane)) {
                *mean += plane.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
            }
        }
        let mut variance = vec![0.0f64; width];
        for row in rows {
            for ((variance, mean), plane) in variance.iter_mut().zip(&mean).zip(row.chunks_exact(plane)) {
                *variance += plane.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
            }
        }
        Self::of(mean.into_iter().zip(variance))
    }

    /// As [`Scaling::standard`], for rows of bytes, whose sums are exact whole numbers.
    pub fn standard_bytes<'a>(rows: impl Iterator<Item = &'a [u8]>, shape: &[usize]) -> Self {
        let (width, all) = (Self::width(shape), shape.iter().product::<usize>());
        let plane = all / width;
        let mut count = 0u64;
        let mut sums = vec![(0u64, 0u64); width];
        for row in rows {
            count += plane as u64;
            for ((sum, squares), plane) in sums.iter_mut().zip(row.chunks_exact(plane)) {
                *sum += plane.iter().map(|&x| u64::from(x)).sum::<u64>();
                *squares += plane.iter().map(|&x| u64::from(x) * u64::from(x)).sum::<u64>();
            }
        }
        let count = u128::from(count.max(1));
        Self::of(sums.into_iter().map(|(sum, squares)| {
            let (sum, squares) = (u128::from(sum), u128::from(squares));
            let variance = (count * squares - sum * sum) as f64 / (count * count) as f64;
            (sum as f64 / count as f64, variance)
        }))
    }

    /// Of means and variances.
    fn of(moments: impl Iterator<Item = (f64, f64)>) -> Self {
        let scale = |variance: f64| if variance > 0.0 { variance.sqrt().recip() as f32 } else { 1.0 };
        let (mean, scale) = moments.map(|(mean, variance)| (mean as f32, scale(variance))).unzip();
        Self { mean, scale }
    }

    /// Scales `rows` in place, whose shape is `[rows, shape…]`.
    pub fn apply(&self, rows: &mut [f32], shape: &[usize]) {
        let plane = shape.iter().product::<usize>() / self.mean.len();
        for row in rows.chunks_exact_mut(plane * self.mean.len()) {
            for ((plane, mean), scale) in row.chunks_exact_mut(plane).zip(&self.mean).zip(&self.scale) {
                plane.iter_mut().for_each(|x| *x = (*x - mean) * scale);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_get_mean_0_and_standard_deviation_1() {
        let mut rows = [1.0, 5.0, 3.0, 5.0, 5.0, 5.0, 7.0, 5.0];
        let scaling = Scaling::standard(rows.chunks_exact(2), &[2]);
        assert_eq!((scaling.mean.as_slice(), scaling.scale[1]), ([4.0, 5.0].as_slice(), 1.0));
        scaling.apply(&mut rows, &[2]);
        // By hand: the standard deviation of 1, 3, 5, 7 is the root of 5.
        let expected = [-3.0, 0.0, -1.0, 0.0, 1.0, 0.0, 3.0, 0.0].map(|x: f32| x / 5f32.sqrt());
        rows.iter().zip(expected).for_each(|(x, expected)| assert!((x - expected).abs() < 1e-6, "{x} {expected}"));
    }

    #[test]
    fn channels_of_images_are_scaled_as_one() {
        // Two images of two channels of 1 × 2 pixels.
        let mut rows = [1.0, 3.0, 5.0, 5.0, 5.0, 7.0, 5.0, 5.0];
        let scaling = Scaling::standard(rows.chunks_exact(4), &[2, 1, 2]);
        assert_eq!((scaling.mean.as_slice(), scaling.scale[1]), ([4.0, 5.0].as_slice(), 1.0));
        scaling.apply(&mut rows, &[2, 1, 2]);
        let expected = [-3.0, -1.0, 0.0, 0.0, 1.0, 3.0, 0.0, 0.0].map(|x: f32| x / 5f32.sqrt());
        rows.iter().zip(expected).for_each(|(x, expected)| assert!((x - expected).abs() < 1e-6, "{x} {expected}"));
    }
    #[test]
    fn bytes_are_scaled_as_the_same_numbers_are() {
        let bytes: Vec<u8> = (0..6 * 24).map(|i| if i % 24 < 8 { 255 } else { (i * i % 251) as u8 }).collect();
        let reals: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte)).collect();
        for shape in [&[24][..], &[3, 2, 4]] {
            let exact = Scaling::standard_bytes(bytes.chunks_exact(24), shape);
            let expected = Scaling::standard(reals.chunks_exact(24), shape);
            assert_eq!((exact.mean[0], exact.scale[0]), (255.0, 1.0), "a channel that never changes");
            let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs());
            assert!(close(&exact.mean, &expected.mean) && close(&exact.scale, &expected.scale), "{exact:?}");
        }
    }
}
