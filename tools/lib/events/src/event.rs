//! The kinds of events.

use crate::Metrics;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line of the run log; the key `event` is its kind. Readers skip kinds that they do not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins. The first line of a log.
    Start(Box<Start>),
    /// An optimizer step; logged every `trainer.log_every_steps` steps.
    Step(Step),
    /// The model was evaluated on the validation rows.
    Validation(Validation),
    /// An epoch ended.
    Epoch(Epoch),
    /// A checkpoint was written.
    Checkpoint(Checkpoint),
    /// The model was evaluated on the test rows, after training.
    Test(Test),
    /// The run has ended. The last line of a log; without it, the run was interrupted.
    End(End),
}

/// The run: settings, data, code version and hardware.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// Name of the run: the last component of the run folder's path.
    pub name: String,
    /// Path of the run folder, as given to `train`.
    pub run_dir: String,
    /// All settings, resolved.
    pub config: serde_json::Value,
    /// Seed of the data split, the initial parameters, the row order and the augmentation.
    pub seed: u64,
    /// Device of the computation: `cpu`.
    pub device: String,
    /// Size of the thread pool.
    pub threads: usize,
    /// Number of rows in each split.
    pub rows: RowCounts,
    /// SHA-256 of the data, 64 lower-case hexadecimal digits. Hashed in input order: all inputs (bytes or little-endian
    /// f32), all targets, then all row weights if given (little-endian f32); then, for each separate validation and test
    /// file, the word `val` or `test` and the same of that file.
    pub data_sha256: String,
    /// Number of model parameters.
    pub parameters: usize,
    /// Code version; null outside a git repository.
    pub git: Option<Git>,
    /// The checkpoint that training resumes from; null for a new run.
    pub resumed: Option<Resumed>,
    /// Version of `train`.
    pub version: String,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// Number of rows in each split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowCounts {
    /// Training rows.
    pub train: usize,
    /// Validation rows; may be 0.
    pub val: usize,
    /// Test rows; may be 0.
    pub test: usize,
}

/// Commit of a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Git {
    /// Full hash of the commit.
    pub commit: String,
    /// Whether tracked files differ from the commit; null if only filters configured by the repository, which are never
    /// run, could tell.
    pub dirty: Option<bool>,
}

/// The checkpoint of a resumed run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    /// Path of the checkpoint file.
    pub path: String,
    /// Optimizer steps done at the checkpoint. Earlier events with a larger `step` are void.
    pub step: usize,
}

/// An optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Optimizer steps done, including this one.
    pub step: usize,
    /// `train_loss_step` (loss of the batch before the update), `learning_rate`, `gradient_norm`.
    pub metrics: Metrics,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// An evaluation on the validation rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Validation {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Optimizer steps done.
    pub step: usize,
    /// `val_loss`, and each metric with the prefix `val_`.
    pub metrics: Metrics,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// The end of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Epoch {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Optimizer steps done.
    pub step: usize,
    /// `train_loss` (mean over the rows of the epoch, each batch before its update), `learning_rate`, `rows_per_second`.
    pub metrics: Metrics,
    /// Seconds since the run began.
    pub seconds: f64,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// A checkpoint was written to the run folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checkpoint {
    /// Epoch of the checkpoint, from 1.
    pub epoch: usize,
    /// Optimizer steps done at the checkpoint.
    pub step: usize,
    /// Path of the file.
    pub path: String,
    /// The metrics that selected it; empty for a periodic checkpoint.
    pub metrics: Metrics,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// An evaluation on the test rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Test {
    /// Epoch of the evaluated parameters, from 1.
    pub epoch: usize,
    /// Optimizer steps of the evaluated parameters.
    pub step: usize,
    /// `test_loss`, and each metric with the prefix `test_`.
    pub metrics: Metrics,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// Final status.
    pub status: Status,
    /// Why the run ended: the limit that was reached, the early stopping, the signal or the error.
    pub reason: String,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// Final status of a run. Serialized under MLflow's names: `FINISHED`, `FAILED`, `KILLED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Training completed, early stopping included.
    Finished,
    /// An error ended the run.
    Failed,
    /// A signal ended the run.
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

    /// The event's `step` and metrics; None for kinds without metrics.
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
