//! Running sums for what is said of predictions.

/// Errors of predictions against targets, in f64, one pair at a time.
#[derive(Debug, Clone, Default)]
pub struct Regression {
    count: u64,
    squared: f64,
    absolute: f64,
    /// Mean of the targets so far, and the sum of their squared distances from it (Welford, 1962).
    mean: f64,
    spread: f64,
}

impl Regression {
    /// Takes one pair into account.
    pub fn add(&mut self, target: f64, prediction: f64) {
        let error = prediction - target;
        self.count += 1;
        self.squared += error * error;
        self.absolute += error.abs();
        let from_old_mean = target - self.mean;
        self.mean += from_old_mean / self.count as f64;
        self.spread += from_old_mean * (target - self.mean);
    }

    /// Takes pairs into account, in order.
    pub fn add_all(&mut self, targets: &[f32], predictions: &[f32]) {
        for (&target, &prediction) in targets.iter().zip(predictions) {
            self.add(f64::from(target), f64::from(prediction));
        }
    }

    /// Number of pairs.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean squared error.
    pub fn mse(&self) -> f64 {
        self.squared / self.count as f64
    }

    /// Mean absolute error.
    pub fn mae(&self) -> f64 {
        self.absolute / self.count as f64
    }

    /// Coefficient of determination, 1 - squared errors / spread of the targets; none where the
    /// targets do not vary.
    pub fn r2(&self) -> Option<f64> {
        (self.spread > 0.0).then(|| 1.0 - self.squared / self.spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_case_worked_by_hand() {
        // The example of scikit-learn's r2_score: 0.948...
        let mut metrics = Regression::default();
        metrics.add_all(&[3.0, -0.5, 2.0, 7.0], &[2.5, 0.0, 2.0, 8.0]);
        assert_eq!((metrics.mse(), metrics.mae()), (0.375, 0.5));
        let r2 = metrics.r2().expect("the targets vary");
        assert!((r2 - 0.948_608_137_044_967_9).abs() < 1e-15, "{r2}");
    }

    #[test]
    fn targets_that_do_not_vary_have_no_r2() {
        let mut metrics = Regression::default();
        metrics.add_all(&[1.0, 1.0], &[0.0, 1.0]);
        assert_eq!(metrics.r2(), None);
    }
}
