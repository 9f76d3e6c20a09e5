//! Which run the log files in a folder belong to: the file `.run.json`.

use anyhow::Context;
use events::{Event, Start};
use files::{sha256, write_file_unsynced};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// Hidden, since readers of the log files do not know it.
const FILE: &str = ".run.json";

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The run that log files belong to. A resumed run is the same run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// [`identity`] of its first start event: a log that is read again has the same.
    pub id: String,
    pub name: String,
    /// Path of the run folder, as given to `train`.
    pub run_dir: String,
}

impl Owner {
    pub fn of(start: &Start) -> Self {
        Self { id: identity(start), name: start.name.clone(), run_dir: start.run_dir.clone() }
    }

    /// The owner of the files in `folder`; None if that is not known.
    pub fn read(folder: &Path) -> Option<Self> {
        let path = folder.join(FILE);
        let regular = fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_BYTES);
        regular.then(|| fs::read(path).ok()).flatten().and_then(|text| serde_json::from_slice(&text).ok())
    }

    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(FILE);
        super::ensure_writable(&path)?;
        write_file_unsynced(&path, &serde_json::to_vec(self)?).with_context(|| path.display().to_string())
    }

    /// Whether `start` resumes this run: in its folder, or from a checkpoint in it.
    pub fn is_resumed_by(&self, start: &Start) -> bool {
        let Some(resumed) = &start.resumed else { return false };
        self.run_dir == start.run_dir || Path::new(&resumed.path).starts_with(&self.run_dir)
    }
}

/// SHA-256 of a start event, in hexadecimal: identifies a run wherever its log is read.
pub fn identity(start: &Start) -> String {
    sha256(Event::Start(Box::new(start.clone())).to_line())
}
