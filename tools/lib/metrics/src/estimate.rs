//! Means of repeated runs, and their confidence intervals.
//!
//! Intervals are Student's, that of the difference of two means is Welch's (unequal variances, degrees of freedom by
//! Welch and Satterthwaite), as of `scipy.stats.ttest_1samp` and `ttest_ind(equal_var=False)`.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The mean of a metric over independent runs, and their variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Number of runs.
    pub n: usize,
    /// Mean of their values.
    pub mean: f64,
    /// Unbiased, with n - 1 in the denominator; 0 of a single value.
    variance: f64,
}

impl Estimate {
    /// `None` of no values. A value that is NaN makes the mean NaN.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Some(Self { n, mean, variance: squares / (n.max(2) - 1) as f64 })
    }

    /// The estimate of `factor * value + constant`.
    pub fn scaled(self, factor: f64, constant: f64) -> Self {
        Self { n: self.n, mean: factor * self.mean + constant, variance: factor * factor * self.variance }
    }

    /// Half the width of the mean's confidence interval; `confidence` is 0.95 for 95 %. `None` of a single value.
    pub fn half_width(&self, confidence: f64) -> Option<f64> {
        (self.n > 1).then(|| quantile((self.n - 1) as f64, confidence) * self.squared_standard_error().sqrt())
    }

    /// Half the width of the confidence interval of the difference of two means; `None` where either is of a single value.
    pub fn difference_half_width(&self, other: &Self, confidence: f64) -> Option<f64> {
        if self.n < 2 || other.n < 2 {
            return None;
        }
        let error = self.squared_standard_error() + other.squared_standard_error();
        if error == 0.0 {
            return Some(0.0);
        }
        // As shares of their sum: squares of small errors would underflow.
        let shares = [self, other].map(|one| (one.squared_standard_error() / error, (one.n - 1) as f64));
        let freedom = 1.0 / shares.iter().map(|(share, freedom)| share * share / freedom).sum::<f64>();
        Some(quantile(freedom, confidence) * error.sqrt())
    }

    fn squared_standard_error(&self) -> f64 {
        self.variance / self.n as f64
    }
}

/// The t within whose ± a variable of Student's distribution lies with probability `confidence`.
fn quantile(freedom: f64, confidence: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.inverse_cdf(0.5 + confidence / 2.0));
    // Logarithms and exponentials in it are the platform's, and differ in their last bits.
    format!("{t:.11e}").parse().unwrap_or(t)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of Student's distribution, 0.975 with 1, 2 and 3 degrees of freedom, as tables and SciPy have them.
    const T: [f64; 3] = [12.706_204_736_432_095, 4.302_652_729_911_275, 3.182_446_305_284_263];

    fn of(values: &[f64]) -> Estimate {
        Estimate::of(values).expect("values")
    }

    fn near(ours: Option<f64>, expected: f64) {
        let ours = ours.expect("several values");
        assert!((ours - expected).abs() <= 1e-9 * expected, "{ours}, expected {expected}");
    }

    #[test]
    fn intervals_agree_with_cases_worked_by_hand() {
        let four = of(&[0.5, 0.25, 0.75, 1.0]);
        assert_eq!((four.n, four.mean), (4, 0.625));
        near(four.half_width(0.95), T[2] * (0.3125f64 / 3.0 / 4.0).sqrt());
        let [low, high, same] = [[0.0, 1.0], [2.0, 3.0], [2.0, 2.0]].map(|values| of(&values));
        near(low.half_width(0.95), T[0] * 0.5);
        // Equal variances add their degrees of freedom; a sample without variance adds none.
        near(low.difference_half_width(&high, 0.95), T[1] * 0.5f64.sqrt());
        near(low.difference_half_width(&same, 0.95), T[0] * 0.5);
        assert_eq!(same.difference_half_width(&same, 0.95), Some(0.0));
    }

    #[test]
    fn a_scaled_estimate_is_that_of_scaled_values() {
        let scaled = of(&[0.0, 1.0]).scaled(-4.0, 0.5);
        assert_eq!(scaled, of(&[0.5, -3.5]));
    }

    #[test]
    fn a_single_value_has_no_interval() {
        let (one, two) = (of(&[2.0]), of(&[0.0, 1.0]));
        assert_eq!((one.n, one.mean, one.half_width(0.95)), (1, 2.0, None));
        assert_eq!((one.difference_half_width(&two, 0.95), two.difference_half_width(&one, 0.95)), (None, None));
        assert_eq!(Estimate::of(&[]), None);
        assert!(of(&[f64::NAN, 1.0]).mean.is_nan());
    }
}
