//! One process at a time.

use std::{
    fs::{File, TryLockError},
    io,
};

/// Locks `file` until it is closed. Calls `waiting` when another process has it.
pub fn lock(file: &File, waiting: impl FnOnce()) -> io::Result<()> {
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        waiting();
        file.lock()?;
    }
    // Any other error is that of a file system without locks, where there is nobody to wait for.
    Ok(())
}
