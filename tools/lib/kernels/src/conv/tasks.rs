//! Sharing work among threads that each have some scratch memory.

use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Calls `work` once for each of `count` tasks, in any order, on the threads of the current pool: at
/// most as many as `scratch` has parts of `each` elements.
///
/// A task must depend on nothing but itself, and not on what its scratch holds.
///
/// # Panics
/// When `scratch` has no room for one thread.
pub(super) fn share<T: Send>(
    count: usize,
    tasks: impl Iterator<Item = T> + Send,
    scratch: &mut [f32],
    each: usize,
    work: impl Fn(T, &mut [f32]) + Sync,
) {
    assert!(scratch.len() >= each, "scratch of {} elements; expected {each} a thread", scratch.len());
    let room = scratch.len().checked_div(each).unwrap_or(usize::MAX);
    let threads = rayon::current_num_threads().min(room).min(count);
    if threads <= 1 {
        tasks.for_each(|task| work(task, &mut scratch[..each]));
        return;
    }
    let tasks = Mutex::new(tasks);
    let next = || tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = |scratch: &mut [f32]| {
        while let Some(task) = next() {
            work(task, scratch);
        }
    };
    if each == 0 {
        (0..threads).into_par_iter().with_max_len(1).for_each(|_| worker(&mut []));
    } else {
        scratch[..threads * each].par_chunks_exact_mut(each).with_max_len(1).for_each(worker);
    }
}
