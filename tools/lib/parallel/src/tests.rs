//! Loops on pools of several sizes.

use super::*;
use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
}

/// Loops one after the other, each of which writes to what the last one read.
fn loops(len: usize) -> Vec<usize> {
    let (mut from, mut to) = (vec![0; len], vec![0; len]);
    for _ in 0..200 {
        parallel_for(to.iter_mut().enumerate(), |(i, to)| *to = from[i] + from[len - 1 - i] % 7 + i);
        std::mem::swap(&mut from, &mut to);
    }
    from
}

#[test]
fn every_task_runs_once_before_the_next_loop() {
    for len in [1, 2, 3, 100] {
        let expected = pool(1).install(|| loops(len));
        for threads in [2, 3, 5] {
            let pool = pool(threads);
            assert_eq!(pool.install(|| loops(len)), expected, "{len} tasks, {threads} threads");
            assert_eq!(
                pool.install(|| with_active_workers(|| loops(len))),
                expected,
                "{len} tasks, {threads} active threads"
            );
        }
    }
}

#[test]
fn each_thread_has_its_own_workspace() {
    let (mut workspace, sums) = (vec![0.0; 3 * 10], Mutex::new(Vec::new()));
    pool(4).install(|| {
        with_active_workers(|| {
            parallel_for_with_workspace(0..500, &mut workspace, 10, |task, part| {
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
fn nested_loops_and_nested_active_workers_end() {
    let count = AtomicUsize::new(0);
    let inner = || parallel_for(0..10, |_| _ = count.fetch_add(1, Ordering::Relaxed));
    pool(3).install(|| {
        with_active_workers(|| {
            parallel_for(0..8, |_| inner());
            parallel_for(0..8, |_| with_active_workers(inner));
            with_active_workers(inner);
        });
        rayon::join(inner, || with_active_workers(inner));
    });
    assert_eq!(count.into_inner(), 190);
}

#[test]
fn leaders_of_one_pool_work_side_by_side() {
    let (pool, expected) = (pool(2), loops(50));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..5).for_each(|_| assert_eq!(pool.install(|| with_active_workers(|| loops(50))), expected))
            });
        }
    });
}

#[test]
fn a_panic_of_any_task_reaches_the_caller() {
    let pool = pool(2);
    for task in 0..20 {
        let after = AtomicUsize::new(0);
        let work = || {
            parallel_for(0..20, |i| {
                std::thread::yield_now();
                assert_ne!(i, task, "the task that fails");
            });
            after.fetch_add(1, Ordering::Relaxed);
        };
        let panic = catch_unwind(AssertUnwindSafe(|| pool.install(|| with_active_workers(work)))).expect_err("a panic");
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(message.contains("the task that fails"), "{message}");
        assert_eq!(after.into_inner(), 0, "the loop with task {task} seemed to end well");
        assert_eq!(pool.install(|| with_active_workers(|| loops(10))), loops(10));
    }
}

#[test]
fn a_loop_after_the_spin_limit_runs_without_the_workers() {
    let work = || {
        std::thread::sleep(SPIN_LIMIT * 2);
        loops(10)
    };
    assert_eq!(pool(3).install(|| with_active_workers(work)), loops(10));
}

#[test]
fn a_leader_that_is_no_thread_of_the_pool_takes_the_place_of_one() {
    let (threads, expected) = (Mutex::new(HashSet::new()), loops(50));
    for _ in 0..5 {
        let found = with_active_workers(|| {
            (0..20).for_each(|_| {
                parallel_for(0..100, |_| {
                    threads.lock().expect("no panic").insert(std::thread::current().id());
                    std::thread::yield_now();
                });
            });
            loops(50)
        });
        assert_eq!(found, expected);
    }
    let threads = threads.into_inner().expect("no panic");
    assert!(threads.contains(&std::thread::current().id()));
    assert!(threads.len() <= rayon::current_num_threads(), "{threads:?}");
}

#[test]
fn a_leader_without_loops_wakes_nobody() {
    with_active_workers(|| {
        parallel_for(0..1, |_| ());
        let role = RoleGuard::enter(Role::Outside);
        if let Role::Leader(team) = role.previous() {
            assert!(!team.has_started());
        }
    });
}

#[test]
fn on_this_thread_loops_run_in_order_on_the_caller() {
    let order = std::sync::Mutex::new(Vec::new());
    let caller = std::thread::current().id();
    on_this_thread(|| {
        parallel_for(0..100, |i| {
            assert_eq!(std::thread::current().id(), caller);
            order.lock().expect("no panic").push(i);
        });
        parallel_for_with_workspace(0..3, &mut [0.0; 8], 4, |_, workspace| assert_eq!(workspace.len(), 4));
    });
    assert_eq!(order.into_inner().expect("no panic"), (0..100).collect::<Vec<_>>());
}
