//! How requests of a model are run.

use std::{sync::Arc, time::Duration};

/// How requests of a model are run.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Most rows of a batch; 0 for one request a run.
    pub max_rows: usize,
    /// Batch sizes that do not wait for more rows; empty for `max_rows` alone.
    pub preferred: Vec<usize>,
    /// How long the oldest request of a batch waits for others.
    pub delay: Duration,
    /// Most requests that wait.
    pub max_queue: usize,
    /// How long a request may take, waiting included; None for any time.
    pub timeout: Option<Duration>,
    /// Whether a request may say that it waits for less than `timeout`, or where there is none, for any time.
    pub allows_timeouts: bool,
    /// Whether a request that has waited for `timeout` is run after those that have not, in place of being refused.
    pub delays_expired: bool,
    /// Runs that are expected to take less stay on the thread of their connection.
    pub inline: Duration,
    /// Upper bounds of the histograms' buckets, in microseconds, ascending.
    pub histogram: Arc<[u64]>,
}

impl Policy {
    /// How long a request that asks for `requested` may take; None for any time.
    pub fn timeout(&self, requested: Option<Duration>) -> Option<Duration> {
        let own = self.timeout.filter(|_| !self.delays_expired);
        match requested.filter(|_| self.allows_timeouts) {
            Some(requested) => Some(own.map_or(requested, |own| own.min(requested))),
            None => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_shorten_its_timeout_where_it_is_allowed_to() {
        let seconds = |number| Some(Duration::from_secs(number));
        let policy = |timeout, allows_timeouts, delays_expired| Policy {
            max_rows: 0,
            preferred: Vec::new(),
            delay: Duration::ZERO,
            max_queue: 1,
            timeout,
            allows_timeouts,
            delays_expired,
            inline: Duration::ZERO,
            histogram: Arc::from([]),
        };
        for (policy, requested, expected) in [
            (policy(seconds(5), true, false), None, seconds(5)),
            (policy(seconds(5), true, false), seconds(3), seconds(3)),
            (policy(seconds(5), true, false), seconds(7), seconds(5)),
            (policy(None, true, false), seconds(7), seconds(7)),
            (policy(seconds(5), false, false), seconds(3), seconds(5)),
            (policy(None, false, false), seconds(3), None),
            // It runs later, and is not refused.
            (policy(seconds(5), true, true), None, None),
            (policy(seconds(5), true, true), seconds(3), seconds(3)),
        ] {
            assert_eq!(policy.timeout(requested), expected, "{policy:?} {requested:?}");
        }
    }
}
