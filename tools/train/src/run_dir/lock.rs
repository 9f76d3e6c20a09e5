//! One run at a time in a run folder.

use anyhow::{Context, bail};
use cli::Transient;
use files::{Error, NewFolders};
use std::path::Path;

/// The file that is locked.
const LOCK: &str = ".lock";

/// A locked run folder. When it is dropped, the lock file is deleted, then the folders that it created, where they are
/// empty.
pub struct Lock {
    _file: files::Lock,
    _created: NewFolders,
}

impl Lock {
    /// Locks `folder`, which is created where it is missing.
    ///
    /// # Errors
    /// When another process holds the lock: it is named.
    pub fn take(folder: &Path) -> anyhow::Result<Self> {
        let created = NewFolders::create(folder).with_context(|| format!("{}: trainer.run_dir", folder.display()))?;
        match files::Lock::create(&folder.join(LOCK), &format!("train, process {}", std::process::id())) {
            Ok(lock) => Ok(Self { _file: lock, _created: created }),
            Err(Error::Locked { holder, .. }) => {
                let remedy = "wait for it, or choose another folder with -o";
                bail!(Transient::new(format!("{}: {holder} is writing to this folder; {remedy}", folder.display())))
            }
            Err(error) => Err(error.into()),
        }
    }
}
