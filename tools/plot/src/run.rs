//! A run: named metrics, each measured at some steps and epochs.

use crate::{labels::Identity, settings::X};
use indexmap::IndexMap;
use runs::Status;

/// A metric's value at a place; NaN where the run has no step, no epoch, or a value that is not finite.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub step: f64,
    pub epoch: f64,
    pub value: f64,
}

impl Sample {
    pub fn at(&self, x: X) -> f64 {
        match x {
            X::Step => self.step,
            X::Epoch => self.epoch,
        }
    }
}

/// What one run measured.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub identity: Identity,
    /// Samples by metric, both in the order they came.
    pub metrics: IndexMap<String, Vec<Sample>>,
    /// How it ended; None where a table does not say.
    pub status: Option<Status>,
}

impl Run {
    /// Adds a sample of a metric.
    pub fn add(&mut self, metric: &str, sample: Sample) {
        match self.metrics.get_mut(metric) {
            Some(samples) => samples.push(sample),
            None => drop(self.metrics.insert(metric.to_owned(), vec![sample])),
        }
    }

    /// Whether there is anything to draw, finite or not.
    pub fn is_measured(&self) -> bool {
        self.has(X::Step) || self.has(X::Epoch)
    }

    /// Whether anything was measured at a known step, or epoch.
    pub fn has(&self, x: X) -> bool {
        self.metrics.values().flatten().any(|sample| sample.at(x).is_finite())
    }
}
