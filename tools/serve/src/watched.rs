//! Files that are read again when they change: certificates, keys.

use crate::signature::Signature;
use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

/// Time between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(1);

/// Files, and what they were when they were last read.
#[derive(Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    seen: Mutex<Signature>,
}

impl Files {
    /// The files as they are now.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<_> = paths.into_iter().collect();
        let seen = Mutex::new(Signature::of(&paths));
        Self { paths, seen }
    }

    /// Whether a file is another one than at the last call. It is to be called before the files are read.
    pub fn have_changed(&self) -> bool {
        let now = Signature::of(&self.paths);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let has_changed = *seen != now;
        *seen = now;
        has_changed
    }
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
