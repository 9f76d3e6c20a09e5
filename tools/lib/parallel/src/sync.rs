//! The primitives of [`crate::workers`]: those of std, or of loom where it checks the protocol (`make loom`).

#[cfg(not(all(test, loom)))]
pub(crate) use crossbeam_utils::Backoff;
#[cfg(all(test, loom))]
pub(crate) use loom::sync::{
    Mutex,
    atomic::{AtomicU8, Ordering},
};
#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::{
    Mutex,
    atomic::{AtomicU8, Ordering},
};

/// Tells loom that the thread can go on only after another has run.
#[cfg(all(test, loom))]
pub(crate) struct Backoff;

#[cfg(all(test, loom))]
impl Backoff {
    pub fn new() -> Self {
        Self
    }

    pub fn snooze(&self) {
        loom::thread::yield_now();
    }
}
