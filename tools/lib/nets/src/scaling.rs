//! Standardization of inputs and targets, as part of the model.

use dataset::Statistics;
use serde::{Deserialize, Serialize};

/// `(x - mean) * scale` for each feature of a row or each channel of an image, in f32: the first operation of the exported
/// graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// `[features]` or `[channels]`
    pub mean: Vec<f32>,
    /// `[features]` or `[channels]`: 1 / standard deviation; 1 for a constant feature.
    pub scale: Vec<f32>,
}

/// The network is trained on `(y - mean) / scale` for each element of a target; the prediction is `output * scale + mean`,
/// in f32: the last operation of the exported graph.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetScaling {
    /// `[elements]`
    pub mean: Vec<f32>,
    /// `[elements]`: the standard deviation; 1 for a constant element.
    pub scale: Vec<f32>,
}

impl Scaling {
    /// The scaling that gives every feature mean 0 and standard deviation 1.
    pub fn standard(statistics: &[Statistics]) -> Self {
        let scale = |one: &Statistics| {
            if one.is_constant() { 1.0 } else { one.standard_deviation().recip().min(f32::MAX.into()) as f32 }
        };
        Self {
            mean: statistics.iter().map(|one| one.mean as f32).collect(),
            scale: statistics.iter().map(scale).collect(),
        }
    }

    /// Scales `rows` `[rows, shape…]` in place.
    pub fn apply(&self, rows: &mut [f32], shape: &[usize]) {
        let plane = shape.iter().product::<usize>() / self.mean.len();
        for row in rows.chunks_exact_mut(plane * self.mean.len()) {
            for ((plane, mean), scale) in row.chunks_exact_mut(plane).zip(&self.mean).zip(&self.scale) {
                plane.iter_mut().for_each(|x| *x = (*x - mean) * scale);
            }
        }
    }
}

impl TargetScaling {
    /// The scaling that gives every element of the target mean 0 and standard deviation 1.
    pub fn standard(statistics: &[Statistics]) -> Self {
        let scale = |one: &Statistics| {
            if one.is_constant() { 1.0 } else { one.standard_deviation().max(f32::MIN_POSITIVE.into()) as f32 }
        };
        Self {
            mean: statistics.iter().map(|one| one.mean as f32).collect(),
            scale: statistics.iter().map(scale).collect(),
        }
    }

    /// Scales `targets` `[rows, elements]` in place, for training.
    pub fn apply(&self, targets: &mut [f32]) {
        self.each(targets, |y, mean, scale| (y - mean) / scale);
    }

    /// Scales `outputs` `[rows, elements]` back in place: predictions.
    pub fn invert(&self, outputs: &mut [f32]) {
        self.each(outputs, |output, mean, scale| output * scale + mean);
    }

    fn each(&self, rows: &mut [f32], change: impl Fn(f32, f32, f32) -> f32) {
        for row in rows.chunks_exact_mut(self.mean.len()) {
            for ((x, &mean), &scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = change(*x, mean, scale);
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
        let scaling = Scaling::standard(&Statistics::of(rows.chunks_exact(2), &[2]));
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
        let scaling = Scaling::standard(&Statistics::of(rows.chunks_exact(4), &[2, 1, 2]));
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
            let exact = Scaling::standard(&Statistics::of_bytes(bytes.chunks_exact(24), shape));
            let expected = Scaling::standard(&Statistics::of(reals.chunks_exact(24), shape));
            assert_eq!((exact.mean[0], exact.scale[0]), (255.0, 1.0), "a channel that never changes");
            let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs());
            assert!(close(&exact.mean, &expected.mean) && close(&exact.scale, &expected.scale), "{exact:?}");
        }
    }

    #[test]
    fn what_never_changes_has_no_variance_and_scale_1() {
        // A tenth is no f32, and three times it is not what a sum gives.
        let rows = [0.1f32; 3];
        let statistics = Statistics::of(rows.chunks_exact(1), &[1]);
        assert!(statistics[0].is_constant() && !statistics[0].is_zero());
        assert_eq!(Scaling::standard(&statistics), Scaling { mean: vec![0.1], scale: vec![1.0] });
        assert_eq!(TargetScaling::standard(&statistics), TargetScaling { mean: vec![0.1], scale: vec![1.0] });
    }

    #[test]
    fn predictions_are_what_learned_targets_were_made_of() {
        let mut rows = [1e6f32, 0.001, 3e6, 0.003];
        let scaling = TargetScaling::standard(&Statistics::of(rows.chunks_exact(2), &[2]));
        assert_eq!((scaling.mean[0], scaling.scale[0]), (2e6, 1e6));
        scaling.apply(&mut rows);
        rows.iter()
            .zip([-1.0, -1.0, 1.0, 1.0])
            .for_each(|(x, expected): (&f32, f32)| assert!((x - expected).abs() < 1e-6));
        scaling.invert(&mut rows);
        rows.iter().zip([1e6f32, 0.001, 3e6, 0.003]).for_each(|(x, y)| assert!((x - y).abs() <= 1e-6 * y, "{x} {y}"));
    }
}
