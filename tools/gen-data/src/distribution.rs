//! The distributions that rows are drawn from.

use random::Random;

/// A distribution over rows of [`Distribution::width`] values.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// Symmetric Dirichlet over `classes` probabilities.
    Dirichlet { classes: usize, alpha: f64 },
    /// Softmax of independent normals with standard deviation `scale`.
    Softmax { classes: usize, scale: f64 },
    /// One-hot rows with probability `one_hot`; otherwise one class has 1 - `epsilon` and the others
    /// share `epsilon`.
    Edge { classes: usize, one_hot: f64, epsilon: f64 },
    /// A feature, uniform on `low` to `high`, and slope · feature + intercept + noise · normal.
    Line { slope: f64, intercept: f64, noise: f64, low: f64, high: f64 },
}

impl Distribution {
    /// Values in a row.
    pub fn width(&self) -> usize {
        match self {
            Self::Dirichlet { classes, .. } | Self::Softmax { classes, .. } | Self::Edge { classes, .. } => *classes,
            Self::Line { .. } => 2,
        }
    }

    /// Draws one row.
    pub fn draw(&self, random: &mut Random, row: &mut [f64]) {
        match *self {
            Self::Dirichlet { alpha: 1.0, .. } => {
                row.iter_mut().for_each(|p| *p = random.exponential());
                normalize(row, 1.0);
            }
            Self::Dirichlet { alpha, .. } => {
                row.iter_mut().for_each(|p| *p = random.log_gamma(alpha));
                softmax(row);
            }
            Self::Softmax { scale, .. } => {
                row.iter_mut().for_each(|p| *p = scale * random.normal());
                softmax(row);
            }
            Self::Edge { one_hot, epsilon, .. } => {
                let mass = if random.uniform() <= one_hot { 0.0 } else { epsilon };
                let peak = random.index(row.len());
                row.iter_mut().for_each(|p| *p = random.exponential());
                row[peak] = 0.0;
                normalize(row, mass);
                row[peak] = 1.0 - mass;
            }
            Self::Line { slope, intercept, noise, low, high } => {
                row[0] = low + (high - low) * random.uniform();
                row[1] = slope * row[0] + intercept + noise * random.normal();
            }
        }
    }
}

/// Scales a row of non-negative numbers so that it sums to `mass`.
fn normalize(row: &mut [f64], mass: f64) {
    let sum: f64 = row.iter().sum();
    // A uniform of exactly 1 has the exponential 0; a row of nothing but those sums to 0.
    let scale = if sum > 0.0 { mass / sum } else { 0.0 };
    row.iter_mut().for_each(|p| *p *= scale);
}

/// exp(x) / sum(exp(x)), without overflow.
fn softmax(row: &mut [f64]) {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|x| *x = libm::exp(*x - max));
    normalize(row, 1.0);
}
