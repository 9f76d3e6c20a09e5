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

    /// The scaling that gives every feature of `rows` `[rows, shape…]`, or every channel, mean 0 and standard
    /// deviation 1.
    pub fn standard(rows: &[f32], shape: &[usize]) -> Self {
        let (width, all) = (Self::width(shape), shape.iter().product::<usize>());
        let plane = all / width;
        let count = (rows.len() / width).max(1) as f64;
        let mut mean = vec![0.0f64; width];
        for row in rows.chunks_exact(all) {
            for (mean, plane) in mean.iter_mut().zip(row.chunks_exact(plane)) {
                *mean += plane.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
            }
        }
        let mut variance = vec![0.0f64; width];
        for row in rows.chunks_exact(all) {
            for ((variance, mean), plane) in variance.iter_mut().zip(&mean).zip(row.chunks_exact(plane)) {
                *variance += plane.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
            }
        }
        let scale = |&variance: &f64| if variance > 0.0 { variance.sqrt().recip() as f32 } else { 1.0 };
        Self { mean: mean.iter().map(|&mean| mean as f32).collect(), scale: variance.iter().map(scale).collect() }
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
        let scaling = Scaling::standard(&rows, &[2]);
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
        let scaling = Scaling::standard(&rows, &[2, 1, 2]);
        assert_eq!((scaling.mean.as_slice(), scaling.scale[1]), ([4.0, 5.0].as_slice(), 1.0));
        scaling.apply(&mut rows, &[2, 1, 2]);
        let expected = [-3.0, -1.0, 0.0, 0.0, 1.0, 3.0, 0.0, 0.0].map(|x: f32| x / 5f32.sqrt());
        rows.iter().zip(expected).for_each(|(x, expected)| assert!((x - expected).abs() < 1e-6, "{x} {expected}"));
    }
}
