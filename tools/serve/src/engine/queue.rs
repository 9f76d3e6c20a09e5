//! Requests that wait for an instance, oldest first.

use super::batch::{Answer, fit_together};
use crate::{model::Job, statistics::Statistics};
use std::{collections::VecDeque, time::Instant};
use tokio::sync::oneshot;

/// A request that waits.
pub struct Pending {
    pub job: Job,
    pub arrived: Instant,
    pub answer: oneshot::Sender<Answer>,
}

/// The requests that wait.
#[derive(Default)]
pub struct Queue(VecDeque<Pending>);

impl Queue {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn push(&mut self, pending: Pending) {
        self.0.push_back(pending);
    }

    /// When the oldest arrived.
    pub fn oldest(&self) -> Option<Instant> {
        self.0.front().map(|pending| pending.arrived)
    }

    /// Removes requests whose client left or gave up waiting.
    pub fn remove_abandoned(&mut self, statistics: &Statistics) {
        self.0.retain(|pending| {
            let is_abandoned = pending.answer.is_closed();
            if is_abandoned {
                statistics.cancel.add(1, pending.arrived.elapsed());
            }
            !is_abandoned
        });
    }

    /// How many of the oldest make up the next batch, and their rows: those that fit together, up to `max_rows`, or up to
    /// the largest preferred size that they make up exactly. At least one.
    pub fn batch(&self, max_rows: usize, preferred: &[usize]) -> (usize, usize) {
        let Some(first) = self.0.front() else { return (0, 0) };
        let mut best = (1, first.job.rows);
        let mut rows = 0;
        let mut is_preferred = false;
        for (at, pending) in self.0.iter().enumerate() {
            rows += pending.job.rows;
            if at > 0 && (rows > max_rows || !fit_together(&first.job, &pending.job)) {
                break;
            }
            if preferred.contains(&rows) {
                (best, is_preferred) = ((at + 1, rows), true);
            } else if !is_preferred {
                best = (at + 1, rows);
            }
        }
        best
    }

    /// The `count` oldest.
    pub fn take(&mut self, count: usize) -> Vec<Pending> {
        self.0.drain(..count.min(self.0.len())).collect()
    }
}
