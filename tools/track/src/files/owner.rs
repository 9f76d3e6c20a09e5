//! Whose numbers the files of a folder hold.

use anyhow::Context;
use events::{Event, Start};
use files::{sha256, write_file_unsynced};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// Beside the files; hidden, since it is nothing that their readers know.
const FILE: &str = ".run.json";

/// Bytes that are read of it.
const MAX_BYTES: u64 = 1 << 20;

/// A run, from its first start on; resumed, it is still the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Digest of its first start event: a log that is read again is known by it.
    pub id: String,
    pub name: String,
    /// As `train` was told.
    pub run_dir: String,
}

impl Owner {
    pub fn of(start: &Start) -> Self {
        Self { id: identity(start), name: start.name.clone(), run_dir: start.run_dir.clone() }
    }

    /// The one that wrote the files in `folder`; None where it does not say so.
    pub fn read(folder: &Path) -> Option<Self> {
        let path = folder.join(FILE);
        let regular = fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_BYTES);
        regular.then(|| fs::read(path).ok()).flatten().and_then(|text| serde_json::from_slice(&text).ok())
    }

    /// # Errors
    /// What the operating system says.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(FILE);
        super::ensure_writable(&path)?;
        write_file_unsynced(&path, &serde_json::to_vec(self)?).with_context(|| path.display().to_string())
    }

    /// Whether `start` takes this run up again: in its folder, or from a checkpoint in it.
    pub fn goes_on_in(&self, start: &Start) -> bool {
        let Some(resumed) = &start.resumed else { return false };
        self.run_dir == start.run_dir || Path::new(&resumed.path).starts_with(&self.run_dir)
    }
}

/// What a start event is known by, wherever and whenever its log is read.
pub fn identity(start: &Start) -> String {
    sha256(Event::Start(Box::new(start.clone())).to_line())
}
