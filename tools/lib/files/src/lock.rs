//! Advisory locks: one process at a time. The kernel releases a lock when its process ends, however it ends.

use crate::{Error, Result};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// Most bytes of a lock file that an error quotes.
const MAX_QUOTED: u64 = 64;

/// A locked file or folder; dropping it unlocks. On a file system without locks every attempt succeeds.
#[derive(Debug)]
pub struct Lock {
    /// The lock file, if it is deleted when unlocked.
    delete: Option<PathBuf>,
    _file: File,
}

impl Lock {
    /// Creates and locks the file at `path`, writes `holder` into it, and deletes it when unlocked. Does not wait.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process holds it; a link at `path` is not followed, and is an error.
    pub fn create(path: &Path, holder: &str) -> Result<Self> {
        let failed = Error::at(path);
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = no_follow(&mut options).open(path).map_err(&failed)?;
            if !try_lock(&file).map_err(&failed)? {
                return Err(Error::Locked { path: path.display().to_string(), holder: holder_of(&mut file) });
            }
            // The previous holder may have deleted the file between the two calls above.
            if is_same(&file, path) {
                file.set_len(0).map_err(&failed)?;
                writeln!(file, "{holder}").map_err(&failed)?;
                return Ok(Self { delete: Some(path.to_owned()), _file: file });
            }
        }
    }

    /// Locks an open file or folder. None when another process holds it.
    ///
    /// # Errors
    /// I/O errors.
    pub fn attempt(file: File) -> io::Result<Option<Self>> {
        Ok(try_lock(&file)?.then_some(Self { delete: None, _file: file }))
    }

    /// Locks an open file or folder; when another process holds it, calls `waiting` and waits.
    ///
    /// # Errors
    /// I/O errors while waiting.
    pub fn wait(file: File, waiting: impl FnOnce()) -> io::Result<Self> {
        // Any other error means a file system without locks: there is nothing to wait for.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            waiting();
            file.lock()?;
        }
        Ok(Self { delete: None, _file: file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked: a process that opens the path from now on creates another file.
        if let Some(path) = &self.delete {
            let _ = fs::remove_file(path);
        }
    }
}

/// Opening with these options fails where the path is a symbolic link: a link in a folder that came from elsewhere must
/// not choose the file that is written. On systems other than Unix, links are followed.
pub fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What the holder wrote into the lock file, for instance `train, process 123`.
fn holder_of(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(MAX_QUOTED).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().escape_debug().to_string(),
        _ => "another process".into(),
    }
}

#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_names_its_holder_and_is_deleted() {
        let here = tempfile::tempdir().expect("a folder");
        let path = here.path().join(".lock");
        fs::write(&path, "a dead process, with a longer name").expect("written");
        let lock = Lock::create(&path, "train, process 1").expect("free");
        assert_eq!(fs::read_to_string(&path).expect("text"), "train, process 1\n");
        let error = Lock::create(&path, "train, process 2").expect_err("held");
        assert!(matches!(&error, Error::Locked { holder, .. } if holder == "train, process 1"), "{error}");
        drop(lock);
        assert!(!path.exists());
        Lock::create(&path, "train, process 2").expect("free again");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_place_of_a_lock_file_is_refused() {
        let here = tempfile::tempdir().expect("a folder");
        let (path, target) = (here.path().join(".lock"), here.path().join("target"));
        fs::write(&target, "mine").expect("written");
        std::os::unix::fs::symlink(&target, &path).expect("a link");
        assert!(matches!(Lock::create(&path, "x"), Err(Error::Io { .. })));
        assert_eq!(fs::read_to_string(&target).expect("text"), "mine");
    }

    #[test]
    fn an_attempt_does_not_wait_and_a_wait_says_so() {
        let here = tempfile::tempdir().expect("a folder");
        let path = here.path().join("x");
        let open = || File::options().create(true).append(true).open(&path).expect("opened");
        let lock = Lock::attempt(open()).expect("locks").expect("free");
        assert!(Lock::attempt(open()).expect("locks").is_none());
        let mut held = Some(lock);
        let lock = Lock::wait(open(), || drop(held.take())).expect("waited");
        assert!(held.is_none(), "`waiting` was called");
        assert!(Lock::attempt(open()).expect("locks").is_none());
        drop(lock);
        assert!(path.exists(), "only `create` deletes");
        Lock::wait(open(), || panic!("nobody holds it")).expect("free");
    }
}
