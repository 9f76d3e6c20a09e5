//! How many requests took how long.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds of the buckets in microseconds, each 1.3 to 1.7 times the one before: a quantile is off by less than that.
/// One bucket more has what took longer.
pub const BOUNDS_US: [u64; 40] = [
    20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000, 20_000,
    30_000, 50_000, 70_000, 100_000, 150_000, 200_000, 300_000, 500_000, 700_000, 1_000_000, 1_500_000, 2_000_000,
    3_000_000, 5_000_000, 7_000_000, 10_000_000, 15_000_000, 20_000_000, 30_000_000, 50_000_000, 70_000_000,
];

/// Number of durations in each bucket.
#[derive(Debug)]
pub struct Histogram([AtomicU64; BOUNDS_US.len() + 1]);

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BOUNDS_US.len() + 1])
    }
}

impl Histogram {
    /// Counts one.
    pub fn add(&self, time: Duration) {
        let bucket = BOUNDS_US.partition_point(|bound| u128::from(*bound) * 1_000 < time.as_nanos());
        if let Some(count) = self.0.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Those of each bucket, not of all below it.
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|count| count.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_in_the_bucket_below_it() {
        let histogram = Histogram::default();
        for nanoseconds in [0, 20_000, 20_001, 70_000_000_000, 70_000_000_001, u64::MAX] {
            histogram.add(Duration::from_nanos(nanoseconds));
        }
        let counts: Vec<u64> = histogram.counts().collect();
        assert_eq!((counts.len(), counts[0], counts[1], counts[39], counts[40]), (41, 2, 1, 1, 2));
        assert!(BOUNDS_US.is_sorted());
    }
}
