//! What a model has done since it was loaded.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A number of events and the time that they took.
#[derive(Debug, Default)]
pub struct Durations {
    count: AtomicU64,
    nanoseconds: AtomicU64,
    buckets: Option<Buckets>,
}

/// Events by the time that they took.
#[derive(Debug)]
struct Buckets {
    /// Upper bounds of the buckets, included, in microseconds, ascending.
    bounds: Arc<[u64]>,
    /// Events of each bucket; the last is for those beyond all bounds.
    events: Box<[AtomicU64]>,
}

impl Durations {
    /// None yet; buckets have these upper bounds, in microseconds, ascending.
    fn with_buckets(bounds: &Arc<[u64]>) -> Self {
        let events = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { buckets: Some(Buckets { bounds: Arc::clone(bounds), events }), ..Self::default() }
    }

    /// Counts `count` events that took `time` each.
    pub fn add(&self, count: u64, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(count, Relaxed);
        self.nanoseconds.fetch_add(nanoseconds.saturating_mul(count), Relaxed);
        if let Some(Buckets { bounds, events }) = &self.buckets {
            let bucket = bounds.partition_point(|bound| bound.saturating_mul(1000) < nanoseconds);
            events[bucket].fetch_add(count, Relaxed);
        }
    }

    /// Upper bound in microseconds and events of each bucket; the last has no bound.
    pub fn buckets(&self) -> Vec<(Option<u64>, u64)> {
        let Some(Buckets { bounds, events }) = &self.buckets else { return Vec::new() };
        let bounds = bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(events).map(|(bound, events)| (bound, events.load(Relaxed))).collect()
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
    /// Requests that failed.
    pub fail: Durations,
    /// Those of them for which the model is at fault.
    pub backend_failures: AtomicU64,
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
    /// Nothing yet; histograms have buckets of these upper bounds, in microseconds, ascending.
    pub fn new(bounds: &Arc<[u64]>) -> Self {
        let durations = || Durations::with_buckets(bounds);
        Self {
            success: durations(),
            queue: durations(),
            input: durations(),
            infer: durations(),
            output: durations(),
            ..Self::default()
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let statistics = Statistics::new(&[10, 100].into());
        for (count, microseconds) in [(1, 0), (2, 10), (1, 11), (1, 100), (3, 101)] {
            statistics.queue.add(count, Duration::from_micros(microseconds));
        }
        assert_eq!(statistics.queue.buckets(), [(Some(10), 3), (Some(100), 2), (None, 3)]);
        assert_eq!((statistics.queue.count(), statistics.queue.nanoseconds()), (8, 434_000));
    }
}
