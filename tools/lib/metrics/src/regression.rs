//! Errors of predicted values.

use crate::Metric;

/// Errors of predictions against targets, of one or several targets a row.
///
/// The mean squared and the mean absolute error are over all elements, R2 is of each target. Memory is constant.
#[derive(Debug, Clone)]
pub struct Regression {
    /// One for each target.
    targets: Vec<Target>,
}

/// Running sums of one target.
#[derive(Debug, Clone, Default)]
struct Target {
    count: u64,
    squared: f64,
    absolute: f64,
    /// Running mean, and sum of squared deviations from it (Welford, 1962).
    mean: f64,
    squared_deviations: f64,
}

impl Target {
    fn add(&mut self, target: f64, prediction: f64) {
        let error = prediction - target;
        self.count += 1;
        self.squared += error * error;
        self.absolute += error.abs();
        let deviation = target - self.mean;
        self.mean += deviation / self.count as f64;
        self.squared_deviations += deviation * (target - self.mean);
    }

    fn r2(&self) -> Option<f64> {
        (self.squared_deviations > 0.0).then(|| 1.0 - self.squared / self.squared_deviations)
    }
}

impl Regression {
    /// For rows of so many targets, at least one.
    pub fn new(targets: usize) -> Self {
        Self { targets: vec![Target::default(); targets] }
    }

    /// Adds rows, in order: both slices are `[rows, targets]`.
    pub fn add<T: Copy + Into<f64>>(&mut self, targets: &[T], predictions: &[T]) {
        let width = self.targets.len();
        for (targets, predictions) in targets.chunks_exact(width).zip(predictions.chunks_exact(width)) {
            for (sums, (&target, &prediction)) in self.targets.iter_mut().zip(targets.iter().zip(predictions)) {
                sums.add(target.into(), prediction.into());
            }
        }
    }

    /// Mean squared error over all elements; NaN without rows.
    pub fn mse(&self) -> f64 {
        self.mean(|target| target.squared)
    }

    /// Mean absolute error over all elements; NaN without rows.
    pub fn mae(&self) -> f64 {
        self.mean(|target| target.absolute)
    }

    fn mean(&self, sum: impl Fn(&Target) -> f64) -> f64 {
        let count: u64 = self.targets.iter().map(|target| target.count).sum();
        self.targets.iter().map(sum).sum::<f64>() / count as f64
    }

    /// Coefficient of determination, 1 - Σ (y - ŷ)² / Σ (y - ȳ)²; of several targets the mean of theirs
    /// (scikit-learn's `multioutput="uniform_average"`).
    ///
    /// `None` where no target varies. A target that never varies is left out of the mean; scikit-learn counts it as 1 if
    /// it is predicted exactly, else as 0.
    pub fn r2(&self) -> Option<f64> {
        let (sum, count) =
            self.targets.iter().filter_map(Target::r2).fold((0.0, 0u64), |(sum, count), r2| (sum + r2, count + 1));
        (count > 0).then(|| sum / count as f64)
    }

    /// The metrics over all rows, in the order in which they are written.
    pub fn metrics(&self) -> [(Metric, Option<f64>); 3] {
        [(Metric::Mse, Some(self.mse())), (Metric::Mae, Some(self.mae())), (Metric::R2, self.r2())]
    }

    /// R2 of each target; `None` where it never varies.
    pub fn r2_per_target(&self) -> Vec<Option<f64>> {
        self.targets.iter().map(Target::r2).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_case_worked_by_hand() {
        // The example of scikit-learn's r2_score: 0.948...
        let mut metrics = Regression::new(1);
        metrics.add(&[3.0f32, -0.5, 2.0, 7.0], &[2.5, 0.0, 2.0, 8.0]);
        assert_eq!((metrics.mse(), metrics.mae()), (0.375, 0.5));
        assert_eq!(metrics.metrics()[..2], [(Metric::Mse, Some(0.375)), (Metric::Mae, Some(0.5))]);
        let r2 = metrics.r2().expect("the target varies");
        assert!((r2 - 0.948_608_137_044_967_9).abs() < 1e-15, "{r2}");
    }

    #[test]
    fn targets_that_never_vary_have_no_r2() {
        let mut metrics = Regression::new(1);
        metrics.add(&[1.0, 1.0], &[0.0, 1.0]);
        assert_eq!(metrics.r2(), None);
        let mut metrics = Regression::new(2);
        metrics.add(&[1.0, 0.0, 1.0, 2.0], &[1.0, 1.0, 1.0, 1.0]);
        assert_eq!(metrics.r2_per_target(), [None, Some(0.0)]);
        assert_eq!(metrics.r2(), Some(0.0));
    }
}
