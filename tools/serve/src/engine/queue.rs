//! Requests that wait for an instance, oldest first.

use super::batch::{Answer, fit_together};
use crate::{model::Job, statistics::Statistics};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
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

    /// Puts requests that have waited for `timeout` behind those that have not; both stay in their order.
    pub fn delay_expired(&mut self, timeout: Duration) {
        let is_expired = |pending: &Pending| pending.arrived.elapsed() >= timeout;
        let (expired, rest): (VecDeque<_>, VecDeque<_>) = self.0.drain(..).partition(is_expired);
        self.0 = rest;
        self.0.extend(expired);
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use open_inference::{DataType, Tensor};

    /// Requests of `(rows, width)`.
    fn queue(requests: &[(usize, usize)]) -> (Queue, Vec<oneshot::Receiver<Answer>>) {
        let mut queue = Queue::default();
        let mut answers = Vec::new();
        for &(rows, width) in requests {
            let data = Bytes::from(vec![0; rows * width]);
            let input = Tensor::new("x".into(), DataType::Uint8, vec![rows, width], data).expect("a tensor");
            let (answer, waiting) = oneshot::channel();
            let job = Job { inputs: vec![input], rows, outputs: Vec::new() };
            queue.push(Pending { job, arrived: Instant::now(), answer });
            answers.push(waiting);
        }
        (queue, answers)
    }

    fn batch(requests: &[(usize, usize)], max_rows: usize, preferred: &[usize]) -> (usize, usize) {
        queue(requests).0.batch(max_rows, preferred)
    }

    #[test]
    fn a_batch_is_as_many_requests_as_fit() {
        assert_eq!(batch(&[], 8, &[]), (0, 0));
        assert_eq!(batch(&[(1, 3), (2, 3), (4, 3)], 8, &[]), (3, 7));
        assert_eq!(batch(&[(4, 3), (4, 3), (1, 3)], 8, &[]), (2, 8));
        assert_eq!(batch(&[(4, 3), (5, 3), (1, 3)], 8, &[]), (1, 4));
        // A model without a batch axis runs them one by one.
        assert_eq!(batch(&[(1, 3), (1, 3)], 0, &[]), (1, 1));
    }

    #[test]
    fn rows_of_another_shape_are_left_for_the_next_batch() {
        assert_eq!(batch(&[(1, 3), (1, 4), (1, 3)], 8, &[]), (1, 1));
    }

    #[test]
    fn the_largest_preferred_size_wins() {
        let ones = [(1, 3); 7];
        assert_eq!(batch(&ones, 8, &[2, 4]), (4, 4));
        assert_eq!(batch(&ones, 8, &[4, 2]), (4, 4));
        assert_eq!(batch(&ones[..3], 8, &[4, 8]), (3, 3));
        assert_eq!(batch(&[(3, 3), (3, 3)], 8, &[4]), (2, 6));
    }

    #[test]
    fn requests_that_have_waited_for_too_long_are_behind_the_others() {
        let (mut queue, _answers) = queue(&[(1, 3), (2, 3), (3, 3), (4, 3)]);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(600)).expect("the machine runs for longer");
        queue.0[0].arrived = long_ago;
        queue.0[2].arrived = long_ago;
        queue.delay_expired(Duration::from_secs(300));
        queue.delay_expired(Duration::from_secs(300));
        let rows: Vec<_> = queue.take(4).iter().map(|pending| pending.job.rows).collect();
        assert_eq!(rows, [2, 4, 1, 3]);
    }

    #[test]
    fn the_client_that_has_gone_leaves_the_queue() {
        let (mut queue, mut answers) = queue(&[(1, 3), (2, 3), (3, 3)]);
        answers.remove(1);
        let statistics = Statistics::default();
        queue.remove_abandoned(&statistics);
        assert_eq!((queue.len(), statistics.cancel.count()), (2, 1));
        let rows: Vec<_> = queue.take(5).iter().map(|pending| pending.job.rows).collect();
        assert_eq!((rows, queue.is_empty()), (vec![1, 3], true));
    }
}
