//! What can fail, as types.

use crate::frame::FrameError;
use serde::{Deserialize, Serialize};
use std::{io, path::PathBuf, time::Duration};

/// What can go wrong with a call. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program cannot be started.
    #[error("{}: cannot be started ({source}); cargo build --release -p trt-build builds it", program.display())]
    Start {
        /// Its path.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The process ended, or closed its end of the pipe, before it answered.
    #[error("TensorRT's process ended: {how}{}", last(log))]
    Died {
        /// Signal or exit status.
        how: String,
        /// Its last lines on standard error.
        log: Vec<String>,
    },
    /// No answer in time; the process was killed.
    #[error("no answer of TensorRT's process in {} s, so it was killed{}", .limit.as_secs_f64(), last(log))]
    TimedOut {
        /// The time that it had.
        limit: Duration,
        /// Its last lines on standard error.
        log: Vec<String>,
    },
    /// What came back is no answer, or none to this request.
    #[error("{}: answers with what is not understood: {reason}", program.display())]
    Garbage {
        /// Path of the program.
        program: PathBuf,
        /// Why.
        reason: String,
    },
    /// The request does not fit a frame.
    #[error(transparent)]
    Request(#[from] FrameError),
    /// The process answered that the request failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What this library's fallible functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a request failed. Displays as one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What it is about.
    pub kind: FailureKind,
    /// What is wrong and what to do.
    pub message: String,
}

/// What a [`Failure`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// TensorRT's library: missing, refused, or of another version.
    Library,
    /// The model: not ONNX, an unsupported operator, shapes that do not fit.
    Model,
    /// The engine: not one, for another GPU, or of another version.
    Engine,
    /// The GPU or its driver.
    Device,
    /// The request itself.
    Request,
}

/// The log, as the end of a message.
fn last(log: &[String]) -> String {
    if log.is_empty() { String::new() } else { format!("; its last words: {}", log.join(" | ")) }
}
