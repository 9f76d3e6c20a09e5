//! A run: named metrics, each measured at some steps and epochs.

use crate::{labels::Identity, settings::X};
use indexmap::IndexMap;
use runs::Status;

/// A value of a metric; NaN stands for an unknown step, an unknown epoch, or a value that is not finite.
#[derive(Debug, Clone, Copy)]
pub struct Measurement {
    pub step: f64,
    pub epoch: f64,
    pub value: f64,
}

impl Measurement {
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
    /// Measurements by metric, both in the order of the input.
    pub metrics: IndexMap<String, Vec<Measurement>>,
    /// How it ended; `None` of a table, which does not say.
    pub status: Option<Status>,
}

impl Run {
    /// Adds a measurement of a metric.
    pub fn add(&mut self, metric: &str, sample: Measurement) {
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
