//! Parallel loops on the threads of rayon's current pool.
//!
//! A loop's tasks are handed out one by one, so that a thread which is held up takes fewer of them. rayon's threads
//! go to sleep between loops, and waking them takes as long as a short loop; in a [`team`] they stay awake.

use crossbeam_utils::{Backoff, CachePadded};
use rayon::prelude::*;
use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
    vec,
};

/// Calls `work` once for each of the tasks, in any order.
pub fn share<T: Send>(tasks: impl Iterator<Item = T>, work: impl Fn(T) + Sync) {
    share_with(tasks, &mut [], 0, |task, _| work(task));
}

/// Calls `work` once for each of the tasks, in any order, on at most as many threads as `scratch` has parts of `each`
/// elements, one for each thread.
///
/// A task must depend on nothing but itself, and not on what its scratch holds.
///
/// # Panics
/// When `scratch` has no room for one thread.
pub fn share_with<T: Send>(
    tasks: impl Iterator<Item = T>,
    scratch: &mut [f32],
    each: usize,
    work: impl Fn(T, &mut [f32]) + Sync,
) {
    assert!(scratch.len() >= each, "scratch of {} elements; expected {each} a thread", scratch.len());
    let room = scratch.len().checked_div(each).unwrap_or(usize::MAX);
    let tasks: Vec<T> = tasks.collect();
    let threads = rayon::current_num_threads().min(room).min(tasks.len()).max(1);
    let queues = Queues::new(tasks, threads);
    let parts = Mutex::new(scratch.chunks_exact_mut(each.max(1)));
    run(threads, &|| {
        let part = if each == 0 { Some(Default::default()) } else { locked(&parts).next() };
        let Some(part) = part else { return };
        let own = rayon::current_thread_index().unwrap_or_default();
        while let Some(task) = queues.next(own) {
            work(task, part);
        }
    });
}

thread_local! {
    /// Whether the loop before went backwards.
    static BACKWARDS: Cell<bool> = const { Cell::new(true) };
}

/// Tasks of a loop over a batch, at least; a loop over weights has fewer, as a rule.
const BATCH_TASKS: usize = 8;

/// The tasks of a loop, in as many queues as threads.
///
/// What a loop has read and written last is still in a cache. So a thread begins with its own tasks, which are about
/// the same part of a batch in every loop, and every other loop goes through them backwards.
struct Queues<T> {
    queues: Vec<CachePadded<Mutex<vec::IntoIter<T>>>>,
    backwards: bool,
}

impl<T> Queues<T> {
    fn new(tasks: Vec<T>, threads: usize) -> Self {
        let (count, mut tasks) = (tasks.len(), tasks.into_iter());
        let share = |i: usize| (i + 1) * count / threads - i * count / threads;
        let queues = (0..threads).map(|i| tasks.by_ref().take(share(i)).collect::<Vec<_>>());
        let queues = queues.map(|queue| CachePadded::new(Mutex::new(queue.into_iter()))).collect();
        let backwards = count >= BATCH_TASKS && !BACKWARDS.get();
        if count >= BATCH_TASKS {
            BACKWARDS.set(backwards);
        }
        Self { queues, backwards }
    }

    /// The next of a thread's own tasks; without any, the last of another's.
    fn next(&self, own: usize) -> Option<T> {
        let count = self.queues.len();
        let take = |i: usize, backwards: bool| {
            let mut queue = locked(&self.queues[(own + i) % count]);
            if backwards { queue.next_back() } else { queue.next() }
        };
        take(0, self.backwards).or_else(|| (1..count).find_map(|i| take(i, !self.backwards)))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A loop: each thread that takes part calls it once.
type Loop<'a> = &'a (dyn Fn() + Sync);

fn run(threads: usize, work: Loop<'_>) {
    if threads == 1 {
        return work();
    }
    match PLACE.replace(Place::Loop) {
        Place::Team(team) => {
            let back = Back(team);
            back.0.run(work);
        }
        Place::Loop => work(),
        Place::Alone => {
            PLACE.set(Place::Alone);
            (0..threads).into_par_iter().with_max_len(1).for_each(|_| work());
        }
    }
}

/// Runs `work` on a thread of the current pool, whose others wait awake for its loops until it is done.
///
/// For work of many short loops, milliseconds long in all: the others do nothing else meanwhile. Loops of rayon's own
/// do not belong in it: a thread could come to wait in one of those, and would be missing in the next loop.
pub fn team<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| {
        let (threads, place) = (rayon::current_num_threads(), PLACE.take());
        let alone = matches!(place, Place::Alone);
        PLACE.set(place);
        if threads == 1 || !alone {
            return work();
        }
        let lead = Lead::new(Arc::new(Team::new(threads)));
        let (team, leader) = (lead.0.clone(), rayon::current_thread_index());
        // Not of the scope, which would wait for each of them at its end, also for those that never came.
        rayon::spawn_broadcast(move |thread| {
            if Some(thread.index()) != leader {
                team.help(thread.index());
            }
        });
        work()
    })
}

/// Where a thread is.
#[derive(Default)]
enum Place {
    #[default]
    Alone,
    /// At the head of a team.
    Team(Arc<Team>),
    /// In a loop of a team: the others are busy, so it does a loop within the loop itself.
    Loop,
}

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Alone) };
}

/// Nothing to do.
const IDLE: u8 = 0;
/// There is a loop to take part in.
const OFFERED: u8 = 1;
/// In the loop.
const BUSY: u8 = 2;
/// There will be no other loop.
const STOPPED: u8 = 3;

/// How long a thread waits for the next loop.
const PATIENCE: Duration = Duration::from_millis(100);

struct Team {
    work: Mutex<Option<Loop<'static>>>,
    /// What a thread panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// What each thread is at; the leader's own stays as it is offered.
    states: Vec<CachePadded<AtomicU8>>,
}

impl Team {
    fn new(threads: usize) -> Self {
        let states = (0..threads).map(|_| CachePadded::default()).collect();
        Self { work: Mutex::new(None), panic: Mutex::new(None), states }
    }

    /// Has the leader, who calls it, and those that are free do the loop.
    #[allow(unsafe_code, reason = "other threads see a loop as one that lasts")]
    fn run(&self, work: Loop<'_>) {
        // SAFETY: the offer is withdrawn before this function ends, also by a panic: from then on no thread takes
        // the loop up, and none is in it.
        let lasting = unsafe { std::mem::transmute::<Loop<'_>, Loop<'static>>(work) };
        let offer = Offer::new(self, lasting);
        work();
        drop(offer);
        let panic = locked(&self.panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Takes part in the leader's loops until there are no more, or none for long.
    fn help(&self, thread: usize) {
        let state = &self.states[thread];
        let (backoff, mut since) = (Backoff::new(), Instant::now());
        while since.elapsed() < PATIENCE {
            match state.load(Ordering::Relaxed) {
                OFFERED => {
                    if state.compare_exchange(OFFERED, BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                        self.take_part();
                        state.store(IDLE, Ordering::Release);
                    }
                    backoff.reset();
                    since = Instant::now();
                }
                STOPPED => return,
                _ => backoff.snooze(),
            }
        }
    }

    fn take_part(&self) {
        let place = PLACE.replace(Place::Loop);
        let work = *locked(&self.work);
        let result = catch_unwind(AssertUnwindSafe(|| work.into_iter().for_each(|work| work())));
        PLACE.set(place);
        if let Err(panic) = result {
            *locked(&self.panic) = Some(panic);
        }
    }
}

/// A loop on offer, until it is dropped.
struct Offer<'a>(&'a Team);

impl<'a> Offer<'a> {
    fn new(team: &'a Team, work: Loop<'static>) -> Self {
        *locked(&team.work) = Some(work);
        team.states.iter().for_each(|state| state.store(OFFERED, Ordering::Release));
        Self(team)
    }
}

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        for state in &self.0.states {
            // Who has not begun is not waited for: the system may have given its processor to another program.
            let withdrawn = state.compare_exchange(OFFERED, IDLE, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            let backoff = Backoff::new();
            while !withdrawn && state.load(Ordering::Acquire) == BUSY {
                backoff.snooze();
            }
        }
    }
}

/// Makes a thread the leader again when a loop has ended.
struct Back(Arc<Team>);

impl Drop for Back {
    fn drop(&mut self) {
        PLACE.set(Place::Team(self.0.clone()));
    }
}

/// What makes a thread the leader, until it is dropped.
struct Lead(Arc<Team>);

impl Lead {
    fn new(team: Arc<Team>) -> Self {
        PLACE.set(Place::Team(team.clone()));
        Self(team)
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        PLACE.set(Place::Alone);
        self.0.states.iter().for_each(|state| state.store(STOPPED, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
    }

    /// Loops one after the other, each of which writes to what the last one read.
    fn loops(len: usize) -> Vec<usize> {
        let (mut from, mut to) = (vec![0; len], vec![0; len]);
        for _ in 0..200 {
            share(to.iter_mut().enumerate(), |(i, to)| *to = from[i] + from[len - 1 - i] % 7 + i);
            std::mem::swap(&mut from, &mut to);
        }
        from
    }

    #[test]
    fn every_task_is_done_once_before_the_next_loop() {
        for len in [1, 2, 3, 100] {
            let expected = pool(1).install(|| loops(len));
            for threads in [2, 3, 5] {
                let pool = pool(threads);
                assert_eq!(pool.install(|| loops(len)), expected, "{len} tasks, {threads} threads");
                assert_eq!(pool.install(|| team(|| loops(len))), expected, "{len} tasks, a team of {threads}");
            }
        }
    }

    #[test]
    fn threads_have_scratch_of_their_own() {
        let (mut scratch, sums) = (vec![0.0; 3 * 10], Mutex::new(Vec::new()));
        pool(4).install(|| {
            team(|| {
                share_with(0..500, &mut scratch, 10, |task, part| {
                    part.fill(task as f32);
                    std::thread::yield_now();
                    sums.lock().expect("no panic").push(part.iter().sum::<f32>());
                });
            });
        });
        let mut sums = sums.into_inner().expect("no panic");
        sums.sort_by(f32::total_cmp);
        assert_eq!(sums, (0..500).map(|task| 10.0 * task as f32).collect::<Vec<_>>());
    }

    #[test]
    fn loops_within_loops_and_teams_within_teams_end() {
        let count = AtomicUsize::new(0);
        let inner = || share(0..10, |_| _ = count.fetch_add(1, Ordering::Relaxed));
        pool(3).install(|| {
            team(|| {
                share(0..8, |_| inner());
                share(0..8, |_| team(inner));
                team(inner);
            });
            rayon::join(inner, || team(inner));
        });
        assert_eq!(count.into_inner(), 190);
    }

    #[test]
    fn teams_of_one_pool_work_side_by_side() {
        let (pool, expected) = (pool(2), loops(50));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| assert_eq!(pool.install(|| team(|| loops(50))), expected)));
            }
        });
    }

    #[test]
    fn a_panic_of_any_task_ends_the_work() {
        let pool = pool(2);
        for task in 0..20 {
            let after = AtomicUsize::new(0);
            let work = || {
                share(0..20, |i| {
                    std::thread::yield_now();
                    assert_ne!(i, task, "the task that fails");
                });
                after.fetch_add(1, Ordering::Relaxed);
            };
            let panic = catch_unwind(AssertUnwindSafe(|| pool.install(|| team(work)))).expect_err("a panic");
            let message = panic.downcast_ref::<String>().expect("a message");
            assert!(message.contains("the task that fails"), "{message}");
            assert_eq!(after.into_inner(), 0, "the loop with task {task} seemed to end well");
            assert_eq!(pool.install(|| team(|| loops(10))), loops(10));
        }
    }

    #[test]
    fn a_loop_that_comes_late_is_done_by_those_who_are_left() {
        let work = || {
            std::thread::sleep(PATIENCE * 2);
            loops(10)
        };
        assert_eq!(pool(3).install(|| team(work)), loops(10));
    }
}
