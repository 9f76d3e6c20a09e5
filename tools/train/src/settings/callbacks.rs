//! Config group `callbacks`.

use super::{Check, MonitorMode};
use anyhow::ensure;
use metrics::Direction;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackSettings {
    pub checkpoint: CheckpointSettings,
    pub early_stopping: StoppingSettings,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct CheckpointSettings {
    pub monitor: Option<String>,
    pub mode: MonitorMode,
    /// Number of best checkpoints to keep; -1 keeps all.
    pub save_top_k: i64,
    pub save_last: bool,
    pub every_n_steps: Option<u64>,
    /// Maximum share of the run's time for writing checkpoints; None writes after each epoch.
    #[serde(default = "max_overhead")]
    pub max_overhead: Option<f64>,
    pub filename: String,
    pub model: FinalModel,
}

/// The value of `configs/callbacks/default.yaml`, repeated for `config.yaml` files from before the key existed: a run folder
/// of any age loads.
fn max_overhead() -> Option<f64> {
    Some(0.03)
}

/// Which weights become `model.safetensors`.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum FinalModel {
    Best,
    Last,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoppingSettings {
    pub monitor: Option<String>,
    pub mode: MonitorMode,
    pub patience: Option<u64>,
    pub min_delta: f64,
}

impl CheckpointSettings {
    /// Direction of the monitored metric.
    pub fn direction(&self) -> Direction {
        self.mode.of(self.monitor.as_deref())
    }
}

impl StoppingSettings {
    /// Direction of the monitored metric.
    pub fn direction(&self) -> Direction {
        self.mode.of(self.monitor.as_deref())
    }
}

impl CallbackSettings {
    pub fn check(&self) -> anyhow::Result<()> {
        let top_k = self.checkpoint.save_top_k;
        ensure!(top_k >= -1, "callbacks.checkpoint.save_top_k: {top_k}; expected -1 (all), 0 (none) or more");
        Check::of("callbacks.checkpoint").none_or_one("every_n_steps", self.checkpoint.every_n_steps)?;
        let share = self.checkpoint.max_overhead;
        ensure!(
            share.is_none_or(|share| share > 0.0 && share <= 1.0),
            "callbacks.checkpoint.max_overhead: {}; expected a share above 0 and up to 1, or null",
            share.unwrap_or_default()
        );
        let name = &self.checkpoint.filename;
        ensure!(
            !name.is_empty() && !name.contains(['/', '\0']) && name != "last",
            "callbacks.checkpoint.filename: {name:?}; expected the name of a file, other than last"
        );
        Check::of("callbacks.early_stopping").not_negative("min_delta", self.early_stopping.min_delta)?;
        Check::of("callbacks.early_stopping").none_or_one("patience", self.early_stopping.patience)
    }
}
