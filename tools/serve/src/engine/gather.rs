//! Requests that a network thread reads in one turn of its event loop run together.
//!
//! A request of a short model would run alone as soon as it is read, however many others have arrived with it. Instead it
//! lets the other connections of its thread have their turn once, and the first to be back runs all. Nothing waits for a
//! timer, and no other thread is involved. Where no others come, requests stop giving way, but for one in a few that looks
//! again.

use super::queue::{Pending, Queue};
use std::{
    future::poll_fn,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::Poll,
};

/// Requests that give way after the last that met another.
const CREDIT: u32 = 64;
/// Without credit, one request in so many gives way.
const PROBE: u32 = 16;

/// The requests of one network thread.
#[derive(Default)]
pub struct Lane {
    queue: Mutex<Queue>,
    credit: AtomicU32,
    since_probe: AtomicU32,
}

impl Lane {
    /// Whether a request should give way to others. It should where one already does: of a small turn, only one looks again.
    pub fn should_gather(&self) -> bool {
        self.credit.load(Relaxed) > 0
            || !self.queue().is_empty()
            || self.since_probe.fetch_add(1, Relaxed).is_multiple_of(PROBE)
    }

    /// Adds a request and gives way once; then takes all that are there, which may be none.
    pub async fn gather(&self, pending: Pending) -> Queue {
        self.queue().push(pending);
        give_way().await;
        let gathered = std::mem::take(&mut *self.queue());
        match gathered.len() {
            0 => {}
            1 => self.credit.store(self.credit.load(Relaxed).saturating_sub(1), Relaxed),
            _ => self.credit.store(CREDIT, Relaxed),
        }
        gathered
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets every task of this thread that is ready run. tokio's `yield_now` would ask the system for events too.
async fn give_way() {
    let mut has_given_way = false;
    poll_fn(|context| {
        if has_given_way {
            return Poll::Ready(());
        }
        has_given_way = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
