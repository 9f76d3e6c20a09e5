//! What is wrong with a run folder.

use std::{io, path::PathBuf};

/// Why a run folder cannot be read. Displays as one line: where, what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder is no run folder.
    #[error("{}: no run folder: there is no {missing}", .folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
        /// What a run folder would have.
        missing: &'static str,
    },
    /// A file cannot be read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file is longer than a run's is, or is a pipe or a device.
    #[error("{}: {problem}", .path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
        /// What it is.
        problem: String,
    },
    /// `config.yaml` is no document of settings; the message names file and line.
    #[error(transparent)]
    Settings(#[from] config::Error),
    /// `metrics.json` is no JSON object.
    #[error("{}:{line}: no metrics: {problem}", .path.display())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The last line of `events.ndjson` is no event.
    #[error("{}: last line: {problem}", .path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// Says which file the operating system refused.
pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.to_owned(), source }
}
