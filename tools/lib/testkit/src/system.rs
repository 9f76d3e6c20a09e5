//! Signals, named pipes, and programs that may be missing.

use std::{env, path::Path, process::Command};

/// Sends a signal, by its name without SIG, to processes.
pub fn signal(name: &str, processes: &[u32]) {
    let processes = processes.iter().map(ToString::to_string);
    assert!(Command::new("kill").args(["-s", name]).args(processes).status().unwrap().success(), "kill -s {name}");
}

/// Creates a named pipe.
pub fn fifo(path: impl AsRef<Path>) {
    assert!(Command::new("mkfifo").arg(path.as_ref()).status().unwrap().success(), "mkfifo");
}

/// Whether a program is there. In CI it must be, as it is installed there.
///
/// # Panics
///
/// In CI (the variable `CI` is set) where it is missing.
pub fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    assert!(there || env::var_os("CI").is_none(), "{program} is missing");
    there
}
