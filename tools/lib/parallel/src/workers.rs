//! How a leader hands its loops to workers that spin, and takes them back.
//!
//! Each worker has a state. The leader publishes the loop's body, sets every state to [`OFFERED`] and runs the body
//! itself. A worker that sees the offer changes it to [`BUSY`], runs the body and sets [`IDLE`]. When the leader is
//! done, it withdraws the offers that no worker has taken, without waiting for them (the system may have given their
//! processor to another program), and waits for workers that are busy. After that no thread holds the body, so its
//! borrows may end: that is what the `unsafe` below relies on, and what the model in `model.rs` checks.

#[cfg(all(test, loom))]
mod model;

use crate::sync::{AtomicU8, Backoff, Mutex, Ordering};
use crossbeam_utils::CachePadded;
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::PoisonError,
};

/// A loop's body: each thread that takes part calls it once.
pub(crate) type Body<'a> = &'a (dyn Fn() + Sync);

/// No loop.
const IDLE: u8 = 0;
/// A loop that the worker may join. Set by the leader.
const OFFERED: u8 = 1;
/// The worker is in the loop. Set by the worker, as is the `IDLE` that follows.
const BUSY: u8 = 2;
/// No loop will follow. Set by the leader.
const STOPPED: u8 = 3;

/// A leader's workers.
pub(crate) struct Workers {
    /// Of the current loop, or of the last one: a worker reads it only while it is [`BUSY`].
    body: Mutex<Option<Body<'static>>>,
    /// The payload of a worker's panic in the current loop.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// By thread index in the pool. The leader's own is not polled.
    states: Vec<CachePadded<AtomicU8>>,
}

/// What a worker found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Poll {
    /// No loop yet.
    Idle,
    /// It has taken part in a loop.
    Ran,
    /// There will be no other loop.
    Stopped,
}

impl Workers {
    /// For a pool of so many threads, the leader's included.
    pub fn new(threads: usize) -> Self {
        let states = (0..threads).map(|_| CachePadded::new(AtomicU8::new(IDLE))).collect();
        Self { body: Mutex::new(None), panic: Mutex::new(None), states }
    }

    /// Runs `body` on the leader, which calls this, and on workers that are free. When it returns, none is in `body`
    /// and what they wrote is visible.
    ///
    /// # Panics
    /// If `body` panics, on any thread, with its payload.
    #[allow(unsafe_code, reason = "workers outlive the borrows of a loop's body")]
    pub fn run(&self, body: Body<'_>) {
        // SAFETY: only the lifetime changes. `offer` is dropped before `body`'s borrows end, also by a panic; its
        // `drop` withdraws the loop and waits for the workers that are in it. See the module's documentation.
        let lasting = unsafe { std::mem::transmute::<Body<'_>, Body<'static>>(body) };
        let offer = Offer::new(self, lasting);
        body();
        drop(offer);
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Takes part in the leader's loop, if there is one. Each worker calls it for its own index.
    pub fn poll(&self, worker: usize) -> Poll {
        let state = &self.states[worker];
        match state.load(Ordering::Relaxed) {
            // `body`'s lock makes the leader's writes visible. The exchange fails if the offer was withdrawn.
            OFFERED if state.compare_exchange(OFFERED, BUSY, Ordering::Relaxed, Ordering::Relaxed).is_ok() => {
                self.call_body();
                // Makes the worker's writes visible to `Offer::drop`.
                state.store(IDLE, Ordering::Release);
                Poll::Ran
            }
            STOPPED => Poll::Stopped,
            _ => Poll::Idle,
        }
    }

    fn call_body(&self) {
        let body = *self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let result = catch_unwind(AssertUnwindSafe(|| body.into_iter().for_each(|body| body())));
        if let Err(panic) = result {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
    }

    /// Lets every worker return from its next poll with [`Poll::Stopped`]. No loop may follow.
    pub fn stop(&self) {
        self.states.iter().for_each(|state| state.store(STOPPED, Ordering::Relaxed));
    }
}

/// A loop on offer, until it is dropped.
struct Offer<'a>(&'a Workers);

impl<'a> Offer<'a> {
    fn new(workers: &'a Workers, body: Body<'static>) -> Self {
        *workers.body.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        workers.states.iter().for_each(|state| state.store(OFFERED, Ordering::Relaxed));
        Self(workers)
    }
}

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        for state in &self.0.states {
            let withdrawn = state.compare_exchange(OFFERED, IDLE, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            let backoff = Backoff::new();
            while !withdrawn && state.load(Ordering::Acquire) == BUSY {
                backoff.snooze();
            }
        }
    }
}
