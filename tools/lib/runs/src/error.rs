//! Errors of reading run folders.

use std::{io, path::PathBuf};

/// Why a run folder cannot be read. Displays as one line that begins with the path.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder is not a run folder.
    #[error("{}: not a run folder: there is no {missing}", .folder.display())]
    NotARun {
        /// The folder.
        folder: PathBuf,
        /// The file that it lacks.
        missing: &'static str,
    },
    /// A file or folder cannot be read, or a file is too large.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A file is not text, or not a regular file.
    #[error("{}: {reason}", .path.display())]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `config.yaml` is not a document of settings; the message has file and line.
    #[error(transparent)]
    Settings(#[from] config::Error),
    /// `metrics.json` is not a JSON object.
    #[error("{}:{line}: not metrics: {reason}", .path.display())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The last line of `events.ndjson` is not an event.
    #[error("{}: last line: {error}", .path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What is wrong with the line.
        error: events::Error,
    },
}

/// Adds the path to an I/O error.
pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |error| Error::File(files::Error::io(path.display(), error))
}
