//! Errors that name the file.

use std::{io, path::Path};

/// What this library's fallible functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a file could not be read, written or locked. Displays as one line: which file, and what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file, or `stdin` or `stdout`.
        path: String,
        /// Its error.
        source: io::Error,
    },
    /// An empty text in the place of a path.
    #[error("the path of a file is empty")]
    EmptyPath,
    /// A file is longer than its [`crate::Limit`].
    #[error("{path}: more than {bytes} bytes{}", setting.as_ref().map_or(String::new(), |s| format!(" (the setting {s})")))]
    TooLong {
        /// The file.
        path: String,
        /// The limit.
        bytes: u64,
        /// The setting that is the limit.
        setting: Option<String>,
    },
    /// A file is not as it was when it was opened ([`crate::RandomAccess`]).
    #[error("{path}: changed while it was read; try again with a file that stays as it is")]
    Changed {
        /// The file.
        path: String,
    },
    /// Another process holds a [`crate::Lock`].
    #[error("{path}: locked by {holder}")]
    Locked {
        /// The file that is locked.
        path: String,
        /// What the other process wrote into it; `another process` where it wrote nothing.
        holder: String,
    },
}

impl Error {
    /// An I/O error on `path`, a file or `stdin` or `stdout`.
    pub fn io(path: impl std::fmt::Display, source: io::Error) -> Self {
        Self::Io { path: path.to_string(), source }
    }

    /// For `map_err`: an I/O error on the file at `path`.
    pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::io(path.display(), source)
    }
}
