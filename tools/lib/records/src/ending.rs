//! Unfinished files are removed when a signal ends the process.

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};
use std::{
    fs, io, mem,
    path::{Path, PathBuf},
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use tempfile::NamedTempFile;

static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// Whether the signals are another's.
static HANDED_OVER: AtomicBool = AtomicBool::new(false);

/// Leaves SIGHUP, SIGINT and SIGTERM to the caller, who ends the process in good order or calls [`remove_all_unfinished`].
pub fn hand_over_signals() {
    HANDED_OVER.store(true, Ordering::SeqCst);
}

/// Removes the unfinished files of this process, which must end now.
pub fn remove_all_unfinished() {
    let unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    unfinished.iter().for_each(|path| drop(fs::remove_file(path)));
    // Whoever would begin a file now waits for the end of the process.
    mem::forget(unfinished);
}

/// Creates an unfinished file, which is removed when a signal ends the process, also one that comes now.
pub(crate) fn create(create: impl FnOnce() -> io::Result<NamedTempFile>) -> io::Result<NamedTempFile> {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(listen);
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    let file = create()?;
    unfinished.push(file.path().to_owned());
    Ok(file)
}

pub(crate) fn forget(path: &Path) {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(index) = unfinished.iter().position(|other| other == path) {
        unfinished.swap_remove(index);
    }
}

/// Where signals or threads are not to be had, the next writer removes what is left.
fn listen() {
    let Ok(mut signals) = Signals::new(ending_signals()) else { return };
    let listener = thread::Builder::new().name("unfinished files".into());
    let _ = listener.spawn(move || {
        for signal in signals.forever() {
            if !HANDED_OVER.load(Ordering::SeqCst) {
                remove_all_unfinished();
                // The process ends as it would have: a shell sees 128 + signal.
                let _ = low_level::emulate_default_handler(signal);
            }
        }
    });
}

/// The signals that end a process, SIGHUP, SIGINT and SIGTERM, less those that whoever started it had ignored.
pub fn ending_signals() -> Vec<i32> {
    let ignored = ignored();
    [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect()
}

/// A bit for each signal, 1 first, that whoever started the process had ignored (`nohup`, `&` in a script): it stays so.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    match mask.map(|mask| u64::from_str_radix(mask.trim(), 16)) {
        Some(Ok(mask)) => mask,
        // Without /proc nobody can say; then the one that `nohup` is about is left alone.
        _ => 1 << (SIGHUP - 1),
    }
}
