//! Why a file could not be fetched.

use cli::Transient;
use std::{io, time::Duration};

/// Why one URL does not provide the file; the next one may.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a folder has no sha256 to check; give {setting}.sha256=null")]
    FolderWithChecksum { setting: String },
    /// A device or a pipe. The file is read twice, for its checksum and for its content.
    #[error("neither a file nor a folder")]
    NotAFile,
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    #[error("{0}")]
    Download(#[from] DownloadError),
}

/// A file with another size or checksum than expected.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    #[error("{bytes} bytes, expected {expected}")]
    Bytes { bytes: u64, expected: u64 },
    #[error("its sha256 is {sha256}, expected {expected}")]
    Sha256 { sha256: String, expected: String },
}

/// Why a mirror did not provide the file.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The file is incomplete: all attempts failed, and a later one may succeed.
    #[error("{0}")]
    Unavailable(#[from] Transient),
    /// The file is incomplete: the server refused the request.
    #[error("{0}")]
    Refused(String),
    /// The file is not the expected one.
    #[error("{0}")]
    WrongContent(String),
}

/// Why a request did not provide the rest of the file.
#[derive(Debug)]
pub enum TransferError {
    /// A retry may succeed, after `wait` if the server said so (`Retry-After`).
    Transient { reason: String, wait: Option<Duration> },
    /// The server refused the request.
    Refused(String),
    /// The content is longer than expected or allowed.
    WrongContent(String),
    /// An error on this machine, which no other mirror can change.
    Local(anyhow::Error),
}
