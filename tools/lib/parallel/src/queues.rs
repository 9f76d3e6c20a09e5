//! The tasks of a loop.

use crossbeam_utils::CachePadded;
use std::{
    cell::Cell,
    sync::{Mutex, PoisonError},
    vec,
};

thread_local! {
    /// Whether the previous loop over a batch ran backwards.
    static BACKWARDS: Cell<bool> = const { Cell::new(true) };
}

/// Loops of at least so many tasks alternate their direction. Loops over a batch have as many; most loops over weights
/// have fewer.
const MIN_BATCH_TASKS: usize = 8;

/// The tasks of a loop, in one queue a thread.
///
/// What the previous loop read and wrote last is still in a cache. Each thread therefore starts with its own queue,
/// which covers about the same part of a batch in every loop, and every second loop goes through it backwards.
pub(crate) struct Queues<T> {
    queues: Vec<CachePadded<Mutex<vec::IntoIter<T>>>>,
    backwards: bool,
}

impl<T> Queues<T> {
    pub fn new(tasks: Vec<T>, threads: usize) -> Self {
        let (count, mut tasks) = (tasks.len(), tasks.into_iter());
        let len = |i: usize| (i + 1) * count / threads - i * count / threads;
        let queues = (0..threads).map(|i| tasks.by_ref().take(len(i)).collect::<Vec<_>>());
        let queues = queues.map(|queue| CachePadded::new(Mutex::new(queue.into_iter()))).collect();
        let backwards = count >= MIN_BATCH_TASKS && !BACKWARDS.get();
        if count >= MIN_BATCH_TASKS {
            BACKWARDS.set(backwards);
        }
        Self { queues, backwards }
    }

    /// The next task of the thread's own queue; if that is empty, one from the far end of another's.
    pub fn next(&self, thread: usize) -> Option<T> {
        let count = self.queues.len();
        let take = |i: usize, backwards: bool| {
            let queue = &self.queues[(thread + i) % count];
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            if backwards { queue.next_back() } else { queue.next() }
        };
        take(0, self.backwards).or_else(|| (1..count).find_map(|i| take(i, !self.backwards)))
    }
}
