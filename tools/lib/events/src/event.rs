//! The kinds of events.

use crate::Metrics;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line of the run log. The key `event` names its kind; a reader skips kinds that it does not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins: first line of a log.
    Start(Box<Start>),
    /// An optimizer step that was chosen to be logged.
    Step(Step),
    /// The model was measured on the validation rows.
    Validation(Validation),
    /// An epoch ended.
    Epoch(Epoch),
    /// A checkpoint was written.
    Checkpoint(Checkpoint),
    /// The model that was kept, measured on rows that training never saw.
    Test(Test),
    /// The run is over: last line of a log. A log without it was cut off.
    End(End),
}

/// What the run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// Name of the run: the last part of its folder's path.
    pub name: String,
    /// The run folder, as it was given.
    pub run_dir: String,
    /// Every setting, resolved.
    pub config: serde_json::Value,
    /// Seed of split, start, order and augmentation.
    pub seed: u64,
    /// What it is computed on: `cpu`.
    pub device: String,
    /// Threads it may use.
    pub threads: usize,
    /// Rows of each part of the split.
    pub rows: RowCounts,
    /// SHA-256 of the data, in hexadecimal: all inputs, as bytes or little-endian f32, then all targets, and all weights
    /// of rows where there are some, as little-endian f32, rows in the order they came; then `val` and `test` with those
    /// of their files, where they have some.
    pub data_sha256: String,
    /// Number of parameters of the model.
    pub parameters: usize,
    /// The source that is being run; null outside a git repository.
    pub git: Option<Git>,
    /// The checkpoint that the run goes on from; null where it begins anew.
    pub resumed: Option<Resumed>,
    /// Version of `train`.
    pub version: String,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// How many rows are for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowCounts {
    /// For training.
    pub train: usize,
    /// For validation; may be 0.
    pub val: usize,
    /// For the test at the end; may be 0.
    pub test: usize,
}

/// A state of a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Git {
    /// The commit's full hash.
    pub commit: String,
    /// Whether tracked files differ from it; null where only programs that the repository names could tell.
    pub dirty: Option<bool>,
}

/// Where a resumed run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    /// The checkpoint file.
    pub path: String,
    /// The optimizer steps that it had behind it. Events of later steps, from before, are void.
    pub step: usize,
}

/// An optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The epoch it belongs to, from 1.
    pub epoch: usize,
    /// Optimizer steps so far, this one included.
    pub step: usize,
    /// `train_loss_step` (the batch's loss before the step), `learning_rate`, and so on.
    pub metrics: Metrics,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// A measurement on the validation rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Validation {
    /// The epoch it belongs to, from 1.
    pub epoch: usize,
    /// Optimizer steps so far.
    pub step: usize,
    /// `val_loss`, and `val_` with each metric's name.
    pub metrics: Metrics,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// How an epoch went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Optimizer steps so far.
    pub step: usize,
    /// `train_loss` (the mean over the epoch's rows, each batch before its step), `learning_rate`, `rows_per_second`.
    pub metrics: Metrics,
    /// Seconds since the run began.
    pub seconds: f64,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// A checkpoint that now stands in the run folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checkpoint {
    /// The epoch that it was made in.
    pub epoch: usize,
    /// Optimizer steps behind it.
    pub step: usize,
    /// The file.
    pub path: String,
    /// Metrics it was made for: empty for a periodic one.
    pub metrics: Metrics,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// Metrics on the test rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Test {
    /// The epoch whose parameters were kept.
    pub epoch: usize,
    /// The optimizer steps behind those parameters.
    pub step: usize,
    /// `test_loss`, and `test_` with each metric's name.
    pub metrics: Metrics,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// Whether it went through.
    pub status: Status,
    /// Why it ended: which limit was reached, what stopped it early, the signal, the error.
    pub reason: String,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// How a run can end, in MLflow's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It came to its end, early stopping included.
    Finished,
    /// An error ended it.
    Failed,
    /// A signal ended it.
    Killed,
}

impl Event {
    /// Seconds since 1970-01-01 UTC.
    pub fn time(&self) -> f64 {
        match self {
            Self::Start(event) => event.time,
            Self::Step(event) => event.time,
            Self::Validation(event) => event.time,
            Self::Epoch(event) => event.time,
            Self::Checkpoint(event) => event.time,
            Self::Test(event) => event.time,
            Self::End(event) => event.time,
        }
    }

    /// The optimizer steps behind the event and its metrics; None where the kind has none.
    pub fn metrics(&self) -> Option<(usize, &Metrics)> {
        match self {
            Self::Step(event) => Some((event.step, &event.metrics)),
            Self::Validation(event) => Some((event.step, &event.metrics)),
            Self::Epoch(event) => Some((event.step, &event.metrics)),
            Self::Test(event) => Some((event.step, &event.metrics)),
            Self::Start(_) | Self::Checkpoint(_) | Self::End(_) => None,
        }
    }
}
