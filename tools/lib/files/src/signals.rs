//! Temporary files are deleted when a signal ends the process.

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

/// The temporary files of this process.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// Whether the caller handles the signals.
static DISABLED: AtomicBool = AtomicBool::new(false);

/// Leaves SIGHUP, SIGINT and SIGTERM to the caller, who shuts down in order or calls [`remove_temporary_files`]. Without
/// this call, the first temporary file installs a handler that deletes all of them and ends the process.
pub fn disable_signal_cleanup() {
    DISABLED.store(true, Ordering::SeqCst);
}

/// Deletes the temporary files of this process, which must exit right after: creating another one blocks.
pub fn remove_temporary_files() {
    let paths = TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner);
    paths.iter().for_each(|path| drop(fs::remove_file(path)));
    // The mutex stays locked: a thread that would create a temporary file now waits for the end of the process.
    mem::forget(paths);
}

/// Creates a temporary file, which a signal deletes. The list is locked meanwhile, so that a signal that arrives just now
/// finds the file in it.
pub(crate) fn create(create: impl FnOnce() -> io::Result<NamedTempFile>) -> io::Result<NamedTempFile> {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(listen);
    let mut paths = TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner);
    let file = create()?;
    paths.push(file.path().to_owned());
    Ok(file)
}

/// Takes a file off the list: it was renamed or deleted.
pub(crate) fn forget(path: &Path) {
    let mut paths = TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(index) = paths.iter().position(|other| other == path) {
        paths.swap_remove(index);
    }
}

/// Where no signal handler or thread is available, the next writer deletes what is left (`temporary.rs`).
fn listen() {
    let Ok(mut signals) = Signals::new(termination_signals()) else { return };
    let listener = thread::Builder::new().name("temporary files".into());
    let _ = listener.spawn(move || {
        for signal in signals.forever() {
            if !DISABLED.load(Ordering::SeqCst) {
                remove_temporary_files();
                // The process ends as it would have: a shell sees 128 + signal.
                let _ = low_level::emulate_default_handler(signal);
            }
        }
    });
}

/// SIGHUP, SIGINT and SIGTERM, without those that the parent process ignores (`nohup`, `&` in a script).
pub fn termination_signals() -> Vec<i32> {
    let ignored = ignored();
    [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect()
}

/// The signals that were ignored when the process started: bit `n - 1` is signal `n`.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    match mask.map(|mask| u64::from_str_radix(mask.trim(), 16)) {
        Some(Ok(mask)) => mask,
        // Without /proc it is unknown; SIGHUP, which `nohup` ignores, stays as it is.
        _ => 1 << (SIGHUP - 1),
    }
}
