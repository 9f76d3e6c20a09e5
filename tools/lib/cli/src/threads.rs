//! `--threads`: the size of rayon's global thread pool.

use crate::note;
use rayon::{ThreadBuilder, ThreadPoolBuilder};
use std::{env, num::NonZero, sync::mpsc, thread};

/// As many threads as anybody may ask for, on a machine with fewer cores: the result is the same for any number, which
/// can be tried out with it.
const LEAST_LIMIT: usize = 64;

/// Starts rayon's global pool with `threads` workers, else the environment's `RAYON_NUM_THREADS`,
/// else one a core. At most 64 threads, or one a core if that is more, and only as many as the system can start: a
/// note on standard error says if there are fewer than asked for.
///
/// # Errors
/// When `threads` is 0.
pub fn use_threads(threads: Option<usize>) -> anyhow::Result<()> {
    use_shared_threads(threads, 1)
}

/// As [`use_threads`], where `processes` share this machine: by default, each takes its share of the cores.
///
/// # Errors
/// When `threads` is 0.
pub fn use_shared_threads(threads: Option<usize>, processes: usize) -> anyhow::Result<()> {
    anyhow::ensure!(threads != Some(0), "--threads 0: at least one thread is needed");
    let wanted = match threads {
        Some(threads) => limited("--threads", threads),
        None => match environment() {
            Some(threads) => limited(VARIABLE, threads),
            None => (cores() / processes.max(1)).max(1),
        },
    };
    let mut started: Vec<_> = (0..wanted).map_while(|_| waiting()).collect();
    if started.len() < wanted {
        // The others end: who used up all that there is would have no room to work in.
        for (sender, thread) in started.split_off(started.len().div_ceil(2)) {
            drop(sender);
            // Its stack is free only once it has ended.
            let _ = thread.join();
        }
        let used = started.len().max(1);
        note(&format!("the system gives no more threads; {used} of {wanted} are used"));
    }
    if started.is_empty() {
        // This thread does it all.
        ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
        return Ok(());
    }
    let count = started.len();
    let mut started = started.into_iter();
    let hand_over = |thread| {
        let sent = started.next().map(|(waiting, _)| waiting.send(thread));
        sent.and_then(Result::ok).ok_or_else(|| std::io::Error::other("a thread has ended"))
    };
    Ok(ThreadPoolBuilder::new().num_threads(count).spawn_handler(hand_over).build_global()?)
}

/// The number of threads that `source`, a flag or setting, asks for, up to the limit; a note says if it is exceeded.
pub fn limited(source: &str, threads: usize) -> usize {
    let limit = cores().max(LEAST_LIMIT);
    if threads > limit {
        note(&format!("{source}: {threads} threads are more than may be ({limit}); {limit} are used"));
    }
    threads.min(limit)
}

/// A thread that waits for what it is to do. None where the system gives no more: rayon, which starts its threads
/// itself otherwise, ends the program then.
fn waiting() -> Option<(mpsc::Sender<ThreadBuilder>, thread::JoinHandle<()>)> {
    let (sender, receiver) = mpsc::channel::<ThreadBuilder>();
    let work = move || {
        if let Ok(thread) = receiver.recv() {
            thread.run();
        }
    };
    thread::Builder::new().name("worker".into()).spawn(work).ok().map(|thread| (sender, thread))
}

const VARIABLE: &str = "RAYON_NUM_THREADS";

/// What rayon would read.
fn environment() -> Option<usize> {
    env::var(VARIABLE).ok()?.parse().ok().filter(|threads| *threads > 0)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
