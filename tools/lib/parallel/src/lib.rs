//! Parallel loops on the threads of rayon's current pool.
//!
//! `kernels`, `nets` and `candle-ops` run their loops here; nothing below this crate knows of tensors. Tasks are handed
//! out one by one, so a thread that the system preempts runs fewer of them. Where no task depends on another and the tasks
//! do not depend on the number of threads, results are the same bytes for any number of threads.
//!
//! | function | threads | workspace |
//! |---|---|---|
//! | [`parallel_for`] | `min(pool, tasks)` | none |
//! | [`parallel_for_with_workspace`] | also at most `workspace.len() / per_thread` | `per_thread` elements of `f32` a thread |
//! | [`on_this_thread`] | one, for the loops of a closure | |
//! | [`with_active_workers`] | keeps the pool's threads spinning between the loops of a closure | |
//!
//! rayon's threads sleep between loops, and waking one takes tens of microseconds, as long as a short loop. Within
//! [`with_active_workers`] they wait actively (OpenMP: `OMP_WAIT_POLICY=active`).
//!
//! ```
//! let mut squares = vec![0; 1000];
//! parallel::with_active_workers(|| {
//!     parallel::parallel_for(squares.iter_mut().enumerate(), |(i, square)| *square = i * i);
//!     parallel::parallel_for(squares.iter_mut(), |square| *square += 1);
//! });
//! assert_eq!(squares[30], 901);
//! ```

mod queues;
mod role;
mod sync;
mod team;
#[cfg(all(test, not(loom)))]
mod tests;
mod workers;

use crossbeam_utils::Backoff;
use queues::Queues;
use rayon::prelude::*;
use role::{Role, RoleGuard};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use team::Team;
use workers::{Body, Poll, Workers};

/// How long a worker spins without a loop before its thread goes back to rayon.
const SPIN_LIMIT: Duration = Duration::from_millis(100);

/// Calls `body` once for each task, in any order, on the threads of rayon's current pool. Returns when all have run.
///
/// # Panics
/// If `body` panics: with its payload, after every thread has left the loop. Tasks may be left out then.
pub fn parallel_for<T: Send>(tasks: impl Iterator<Item = T>, body: impl Fn(T) + Sync) {
    parallel_for_with_workspace(tasks, &mut [], 0, |task, _| body(task));
}

/// As [`parallel_for`], with `per_thread` elements of `workspace` for each thread. There are at most as many threads
/// as the workspace has room for.
///
/// `body` finds in its workspace what an earlier task left there, or what was there before the loop.
///
/// # Panics
/// If `workspace` is too short for one thread, and as [`parallel_for`].
pub fn parallel_for_with_workspace<T: Send>(
    tasks: impl Iterator<Item = T>,
    workspace: &mut [f32],
    per_thread: usize,
    body: impl Fn(T, &mut [f32]) + Sync,
) {
    assert!(
        workspace.len() >= per_thread,
        "a workspace of {} elements; expected {per_thread} per thread",
        workspace.len()
    );
    if Role::is_in_loop() {
        let workspace = &mut workspace[..per_thread];
        return tasks.for_each(|task| body(task, workspace));
    }
    let room = workspace.len().checked_div(per_thread).unwrap_or(usize::MAX);
    let tasks: Vec<T> = tasks.collect();
    let threads = rayon::current_num_threads().min(room).min(tasks.len()).max(1);
    let queues = Queues::new(tasks, threads);
    let workspaces = Mutex::new(workspace.chunks_exact_mut(per_thread.max(1)));
    let next_workspace = || workspaces.lock().unwrap_or_else(PoisonError::into_inner).next();
    run(threads, &|| {
        let workspace = if per_thread == 0 { Some(Default::default()) } else { next_workspace() };
        let Some(workspace) = workspace else { return };
        let thread = rayon::current_thread_index().unwrap_or_default();
        while let Some(task) = queues.next(thread) {
            body(task, workspace);
        }
    });
}

/// Calls `body` once on each thread that takes part, at most `threads`.
fn run(threads: usize, body: Body<'_>) {
    if threads == 1 {
        return body();
    }
    let role = RoleGuard::enter(Role::InLoop);
    match role.previous() {
        Role::Leader(team) => team.workers().run(body),
        // The other workers are in the outer loop.
        Role::InLoop => body(),
        Role::Outside => {
            drop(role);
            (0..threads).into_par_iter().with_max_len(1).for_each(|_| body());
        }
    }
}

/// Runs the loops of `work` on this thread alone, in the order of their tasks: no pool is started, and nothing is allocated.
pub fn on_this_thread<R>(work: impl FnOnce() -> R) -> R {
    let _role = RoleGuard::enter(Role::InLoop);
    work()
}

/// Runs `work` on this thread, the leader; from its first loop of more than one task until it returns, the other threads
/// of rayon's current pool, its workers, spin between the leader's loops instead of sleeping.
///
/// For work of many short loops, such as a training step. Work without such loops costs no more than a call. A worker
/// that finds no loop for 100 ms goes back to rayon; later loops run without it. `work` should not call rayon's own
/// loops: the leader could wait in one of them for threads that spin here. Within a loop or another
/// `with_active_workers`, `work` is called as it is.
pub fn with_active_workers<R>(work: impl FnOnce() -> R) -> R {
    if rayon::current_num_threads() == 1 || !Role::is_outside() {
        return work();
    }
    let _leader = RoleGuard::enter(Role::Leader(Team::default()));
    work()
}

/// Takes part in the leader's loops until the leader stops, or no loop comes for [`SPIN_LIMIT`].
fn serve(workers: &Workers, worker: usize) {
    let _role = RoleGuard::enter(Role::InLoop);
    let (backoff, mut idle_since) = (Backoff::new(), Instant::now());
    while idle_since.elapsed() < SPIN_LIMIT {
        match workers.poll(worker) {
            Poll::Ran => {
                backoff.reset();
                idle_since = Instant::now();
            }
            Poll::Idle => backoff.snooze(),
            Poll::Stopped => return,
        }
    }
}
