//! Means of repeated runs, and how sure they are.
//!
//! Intervals are Student's, the difference of two means has Welch's (unequal variances, and the degrees of freedom of
//! Welch and Satterthwaite), as `scipy.stats.ttest_1samp` and `ttest_ind(equal_var=False)` have them.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The mean of independent values, and their spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub n: usize,
    pub mean: f64,
    /// With n - 1 in the denominator; 0 of a single value.
    variance: f64,
}

impl Sample {
    /// None of no values. A value that is no number makes all of it none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Some(Self { n, mean, variance: squares / (n.max(2) - 1) as f64 })
    }

    /// The sample of `factor * value + constant`.
    pub fn scaled(self, factor: f64, constant: f64) -> Self {
        Self { n: self.n, mean: factor * self.mean + constant, variance: factor * factor * self.variance }
    }

    /// Half the width of the mean's confidence interval; None of a single value.
    pub fn half_width(&self, confidence: f64) -> Option<f64> {
        (self.n > 1).then(|| quantile((self.n - 1) as f64, confidence) * self.squared_error().sqrt())
    }

    /// Half the width of the confidence interval of the difference of two means; None unless both are of several values.
    pub fn difference_half_width(&self, other: &Self, confidence: f64) -> Option<f64> {
        if self.n < 2 || other.n < 2 {
            return None;
        }
        let error = self.squared_error() + other.squared_error();
        if error == 0.0 {
            return Some(0.0);
        }
        // As shares of their sum: squares of small errors would underflow.
        let shares = [self, other].map(|sample| (sample.squared_error() / error, (sample.n - 1) as f64));
        let freedom = 1.0 / shares.iter().map(|(share, freedom)| share * share / freedom).sum::<f64>();
        Some(quantile(freedom, confidence) * error.sqrt())
    }

    fn squared_error(&self) -> f64 {
        self.variance / self.n as f64
    }
}

/// The bound that Student's t stays within, on both sides, with that probability.
fn quantile(freedom: f64, confidence: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.inverse_cdf(0.5 + confidence / 2.0));
    // Logarithms and exponentials in it are the platform's, and differ in their last bits.
    format!("{t:.11e}").parse().unwrap_or(t)
}
