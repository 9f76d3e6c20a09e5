//! Finding run folders.

use crate::{Error, error::io};
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

pub const SETTINGS: &str = "config.yaml";
/// Written last; its presence marks a finished run.
pub const METRICS: &str = "metrics.json";
pub const LOG: &str = "events.ndjson";
/// Folders within a run folder that are not searched: the previous finished run, and checkpoints.
const NOT_SEARCHED: [&str; 2] = ["previous", "checkpoints"];
/// Most levels of folders that are searched.
const MAX_DEPTH: usize = 16;

/// The run folders at or below a folder, sorted by path. A run folder itself is the only result. Below any other folder,
/// links and hidden folders are skipped, and at most 16 levels are searched.
///
/// # Errors
/// [`Error::File`] if a folder cannot be listed.
pub fn find(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if missing(folder).is_none() {
        return Ok(vec![folder.to_owned()]);
    }
    let walk = WalkDir::new(folder).max_depth(MAX_DEPTH).sort_by_file_name();
    let mut found = Vec::new();
    for entry in walk.into_iter().filter_entry(is_searched) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_owned();
            io(&path)(error.into_io_error().unwrap_or_else(|| std::io::Error::other("a cycle of links")))
        })?;
        if missing(entry.path()).is_none() {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

fn is_searched(entry: &DirEntry) -> bool {
    if entry.depth() == 0 {
        return true;
    }
    let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
    let is_internal = NOT_SEARCHED.iter().any(|name| entry.file_name() == *name)
        && entry.path().parent().is_some_and(|run| run.join(SETTINGS).is_file());
    entry.file_type().is_dir() && !hidden && !is_internal
}

/// The file that a folder lacks to be a run folder; None if it lacks none.
pub fn missing(folder: &Path) -> Option<&'static str> {
    let has = |name: &str| folder.join(name).exists();
    match (has(SETTINGS), has(METRICS) || has(LOG)) {
        (true, true) => None,
        (false, _) => Some(SETTINGS),
        (true, false) => Some("metrics.json and no events.ndjson"),
    }
}
