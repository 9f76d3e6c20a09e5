//! What a model has done since it was loaded.

use crate::histogram::Histogram;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A number of events and the time that they took.
#[derive(Debug, Default)]
pub struct Durations {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Durations {
    /// Counts `count` events that took `time` each.
    pub fn add(&self, count: u64, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(count, Relaxed);
        self.nanoseconds.fetch_add(nanoseconds.saturating_mul(count), Relaxed);
    }

    /// Number of events.
    pub fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Nanoseconds of all events together.
    pub fn nanoseconds(&self) -> u64 {
        self.nanoseconds.load(Relaxed)
    }
}

/// Durations of one run of a model.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunTimes {
    /// Putting the inputs together.
    pub input: Duration,
    /// The model itself.
    pub infer: Duration,
    /// Taking the outputs apart.
    pub output: Duration,
}

/// Runs of one batch size.
#[derive(Debug, Default)]
pub struct BatchStatistics {
    pub input: Durations,
    pub infer: Durations,
    pub output: Durations,
}

/// The statistics of a version of a model, in Triton's terms: every time but those of `batches` is counted once a request.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Requests that were answered, from arrival to outputs.
    pub success: Durations,
    /// Durations of those.
    pub histogram: Histogram,
    /// Requests that failed.
    pub fail: Durations,
    /// Requests whose client left before they ran.
    pub cancel: Durations,
    /// Requests that were refused or timed out in the queue.
    pub reject: Durations,
    /// Waiting for an instance.
    pub queue: Durations,
    pub input: Durations,
    pub infer: Durations,
    pub output: Durations,
    /// Rows.
    pub inferences: AtomicU64,
    /// Runs.
    pub executions: AtomicU64,
    /// Of the last request, in milliseconds since 1970.
    last: AtomicU64,
    batches: Mutex<BTreeMap<usize, BatchStatistics>>,
}

impl Statistics {
    /// Counts a run of `rows` rows for `requests` requests.
    pub fn add_run(&self, requests: u64, rows: usize, times: RunTimes) {
        self.input.add(requests, times.input);
        self.infer.add(requests, times.infer);
        self.output.add(requests, times.output);
        self.inferences.fetch_add(rows as u64, Relaxed);
        self.executions.fetch_add(1, Relaxed);
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = batches.entry(rows).or_default();
        batch.input.add(1, times.input);
        batch.infer.add(1, times.infer);
        batch.output.add(1, times.output);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last.store(u64::try_from(now.as_millis()).unwrap_or(0), Relaxed);
    }

    /// When the last request ran, in milliseconds since 1970; 0 if none did.
    pub fn last_milliseconds(&self) -> u64 {
        self.last.load(Relaxed)
    }

    /// Calls `each` with every batch size and its statistics.
    pub fn for_batches(&self, mut each: impl FnMut(usize, &BatchStatistics)) {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.iter().for_each(|(rows, batch)| each(*rows, batch));
    }
}
