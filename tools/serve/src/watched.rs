//! Files that are read again when they change: certificates, keys.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

/// Time between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(1);

/// What changes when a file does. Links are followed: a mounted secret changes by a link to another folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

/// Files, and what they were when they were last read.
#[derive(Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    seen: Mutex<Vec<Option<Stamp>>>,
}

impl Files {
    /// The files as they are now.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<_> = paths.into_iter().collect();
        let seen = Mutex::new(stamps(&paths));
        Self { paths, seen }
    }

    /// Whether a file is another one than at the last call. It is to be called before the files are read.
    pub fn have_changed(&self) -> bool {
        let now = stamps(&self.paths);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, now.clone()) != now
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    paths.iter().map(|path| stamp(path).ok()).collect()
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok(Stamp { modified: metadata.modified().ok(), bytes: metadata.len(), inode: metadata.ino() })
}

/// What is read again when its files change.
pub trait Refresh: Send + Sync + 'static {
    /// Looks at the files, and reads them if they have changed.
    fn refresh(&self);
}

/// Refreshes once a second, on a thread of its own: a file system that hangs holds nothing else up.
///
/// # Errors
/// When no thread can be had.
pub fn watch(all: Vec<Arc<dyn Refresh>>) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let look = move || {
        loop {
            thread::sleep(INTERVAL);
            all.iter().for_each(|each| each.refresh());
        }
    };
    thread::Builder::new().name("files".into()).spawn(look).map(drop)
}
