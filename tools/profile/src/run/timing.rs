//! Times of many runs, summed up.

use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Latencies of `runs` runs in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub min: f64,
    pub median: f64,
    pub p90: f64,
    pub p99: f64,
    pub mean: f64,
}

/// How long is measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Budget {
    /// Runs are thrown away for so long first.
    pub warm_up_seconds: f64,
    /// Runs are measured for so long,
    pub seconds: f64,
    /// but at least so often,
    pub min_runs: usize,
    /// and at most so often.
    pub max_runs: usize,
}

impl Budget {
    /// The durations of runs of `run`.
    ///
    /// # Errors
    /// The first of `run`.
    pub fn spend(&self, mut run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Vec<Duration>> {
        let until = |seconds: f64| Instant::now() + Duration::from_secs_f64(seconds);
        let end = until(self.warm_up_seconds);
        // The first run allocates and may compile: it is never measured.
        run()?;
        while Instant::now() < end {
            run()?;
        }
        let end = until(self.seconds);
        let mut times = Vec::new();
        while times.len() < self.max_runs && (times.len() < self.min_runs || Instant::now() < end) {
            let start = Instant::now();
            run()?;
            times.push(start.elapsed());
        }
        Ok(times)
    }
}

impl Latency {
    /// None of no runs.
    pub fn of(times: &[Duration]) -> Option<Self> {
        let mut seconds: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
        seconds.sort_by(f64::total_cmp);
        let (min, sum) = (*seconds.first()?, seconds.iter().sum::<f64>());
        let at = |quantile| percentile(&seconds, quantile);
        Some(Self { min, median: at(0.5), p90: at(0.9), p99: at(0.99), mean: sum / seconds.len() as f64 })
    }
}

/// The quantile of sorted values, between two by linear interpolation: NumPy's default. `sorted` is not empty.
fn percentile(sorted: &[f64], quantile: f64) -> f64 {
    let position = quantile * (sorted.len() - 1) as f64;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * position.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_numpy() {
        let sorted: Vec<f64> = (1..=10).map(f64::from).collect();
        // numpy.percentile(range(1, 11), [50, 90, 99])
        let ours = [0.5, 0.9, 0.99].map(|quantile| percentile(&sorted, quantile));
        assert!(ours.iter().zip([5.5, 9.1, 9.91]).all(|(ours, numpy)| (ours - numpy).abs() < 1e-12), "{ours:?}");
        assert_eq!(percentile(&[3.0], 0.99), 3.0);
        assert_eq!(Latency::of(&[]), None);
    }

    #[test]
    fn a_budget_has_a_lower_and_an_upper_limit() {
        let runs = |min_runs, max_runs, seconds| {
            let mut count = 0;
            let budget = Budget { warm_up_seconds: 0.0, seconds, min_runs, max_runs };
            let times = budget.spend(|| {
                count += 1;
                Ok(())
            });
            (count, times.expect("no error").len())
        };
        assert_eq!(runs(5, 100, 0.0), (6, 5));
        assert_eq!(runs(1, 7, 60.0), (8, 7));
    }
}
