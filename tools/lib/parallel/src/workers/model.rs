//! loom runs these under every interleaving and every value that the memory model allows a load to return.
//!
//! Each of these changes makes them fail: `Relaxed` for the `Release` in [`Workers::poll`] or the `Acquire` in
//! `Offer::drop`, a leader that does not wait for [`BUSY`], and a `store` for the exchange that withdraws an offer.

use super::{Poll, Workers};
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

const LOOPS: usize = 2;
const TASKS: usize = 2;

/// A worker polls so often, then leaves as after the spin limit: a worker that polls on would add nothing but states.
const POLLS: usize = 2;

/// A loop's data. loom fails the test if two accesses are not ordered and one of them writes.
struct Data {
    /// Written by the leader between loops, read by every task.
    input: UnsafeCell<usize>,
    /// Written by the thread that claims the task, read by the leader after the loop.
    outputs: [UnsafeCell<usize>; TASKS],
    /// Tasks claimed so far, by loop. The order of claims orders nothing else.
    claimed: [AtomicUsize; LOOPS],
}

#[allow(unsafe_code, reason = "loom checks each access to a cell")]
// SAFETY: loom fails the test where two threads' accesses conflict.
unsafe impl Sync for Data {}

impl Data {
    fn new() -> Self {
        Self {
            input: UnsafeCell::new(0),
            outputs: std::array::from_fn(|_| UnsafeCell::new(0)),
            claimed: std::array::from_fn(|_| AtomicUsize::new(0)),
        }
    }

    /// The body of a loop: claims tasks until there are none.
    #[allow(unsafe_code, reason = "loom checks each access to a cell")]
    fn body(&self, turn: usize) {
        // A thread that finds no task reads the input too: it must not be in a loop that has ended.
        // SAFETY: loom checks that nobody writes it at the same time.
        let input = self.input.with(|input| unsafe { *input });
        loop {
            let task = self.claimed[turn].fetch_add(1, Ordering::Relaxed);
            let Some(output) = self.outputs.get(task) else { return };
            // SAFETY: the task is claimed once; loom checks it.
            output.with_mut(|output| unsafe { *output = input + task });
        }
    }
}

/// A leader with its loops, beside `workers` threads.
#[allow(unsafe_code, reason = "loom checks each access to a cell")]
fn leader_and(workers: usize) {
    let pool = Arc::new(Workers::new(1 + workers));
    let threads: Vec<_> = (1..=workers)
        .map(|worker| {
            let pool = pool.clone();
            thread::spawn(move || (0..POLLS).any(|_| pool.poll(worker) == Poll::Stopped))
        })
        .collect();
    let data = Data::new();
    for turn in 0..LOOPS {
        // SAFETY: no loop runs; loom checks it.
        data.input.with_mut(|input| unsafe { *input = 10 * turn });
        pool.run(&|| data.body(turn));
        for (task, output) in data.outputs.iter().enumerate() {
            // SAFETY: the loop has ended; loom checks it.
            assert_eq!(output.with(|output| unsafe { *output }), 10 * turn + task);
        }
    }
    pool.stop();
    threads.into_iter().for_each(|thread| _ = thread.join().expect("no panic"));
}

#[test]
fn a_loop_has_ended_on_every_thread_when_run_returns() {
    loom::model(|| leader_and(1));
}

#[test]
fn two_workers_of_one_leader() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| leader_and(2));
}
