//! The progress of an upload, as `state.json` holds it.

use crate::mlflow::RunInfo;
use events::Status;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which events were sent.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// A unique name of the spool, which stays the same if its folder is renamed.
    pub id: String,
    /// Byte offset in the events; everything before it was sent.
    pub position: u64,
    /// Number of runs that were sent completely.
    pub runs: usize,
    /// The identity of the last run, and the number of consecutive runs with that identity.
    pub last: Option<(String, usize)>,
    /// Whether a request to create the next run was sent and its response is not known.
    pub creating: bool,
    /// The current run.
    pub run: Option<RunState>,
}

/// A run that is not sent completely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    pub info: RunInfo,
    /// Id of the parent run.
    pub parent: Option<String>,
    /// Byte offset of the end of its start event.
    pub start: u64,
    pub folder: RunFolder,
    /// The status in its end event; None before that.
    pub status: Option<Status>,
    /// Time of the last event that was sent, in seconds since 1970-01-01 UTC.
    pub time: f64,
    /// Whether the run was requested more than once, so that the server may have created duplicates.
    #[serde(rename = "twins")]
    pub duplicates: bool,
    /// Names of the artifacts that were sent.
    pub uploaded: Vec<String>,
}

/// The folder of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFolder {
    /// Absolute path.
    pub path: PathBuf,
    /// Whether the folder existed, with the log of the run, at the start of the run.
    #[serde(rename = "there")]
    pub exists: bool,
}
