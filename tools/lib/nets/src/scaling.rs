//! Standardising the input, as part of the model.

use serde::{Deserialize, Serialize};

/// `(x - mean) * scale` for each input, in f32: what the training data went through, and the graph repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// `[inputs]`
    pub mean: Vec<f32>,
    /// `[inputs]`: 1 / standard deviation; 1 for an input that never changes.
    pub scale: Vec<f32>,
}

impl Scaling {
    /// The scaling that gives every column of `rows` `[rows, width]` mean 0 and standard deviation 1.
    pub fn standard(rows: &[f32], width: usize) -> Self {
        let count = (rows.len() / width).max(1) as f64;
        let mut mean = vec![0.0f64; width];
        for row in rows.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / count);
        }
        let mut variance = vec![0.0f64; width];
        for row in rows.chunks_exact(width) {
            for ((variance, mean), &x) in variance.iter_mut().zip(&mean).zip(row) {
                *variance += (f64::from(x) - mean).powi(2) / count;
            }
        }
        let scale = |&variance: &f64| if variance > 0.0 { variance.sqrt().recip() as f32 } else { 1.0 };
        Self { mean: mean.iter().map(|&mean| mean as f32).collect(), scale: variance.iter().map(scale).collect() }
    }

    /// Scales `rows` `[rows, width]` in place.
    pub fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.mean.len()) {
            for ((x, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *x = (*x - mean) * scale;
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
        let scaling = Scaling::standard(&rows, 2);
        assert_eq!((scaling.mean.as_slice(), scaling.scale[1]), ([4.0, 5.0].as_slice(), 1.0));
        scaling.apply(&mut rows);
        // By hand: the standard deviation of 1, 3, 5, 7 is the root of 5.
        let expected = [-3.0, 0.0, -1.0, 0.0, 1.0, 0.0, 3.0, 0.0].map(|x: f32| x / 5f32.sqrt());
        rows.iter().zip(expected).for_each(|(x, expected)| assert!((x - expected).abs() < 1e-6, "{x} {expected}"));
    }
}
