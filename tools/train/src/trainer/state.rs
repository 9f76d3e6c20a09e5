//! The trainer's state: what a checkpoint holds beside parameters and optimizer state.
//!
//! It is JSON in the metadata of the checkpoint file; the field names are part of that format.

use crate::{checkpoints, settings::Settings};
use anyhow::ensure;
use events::Metrics;
use optim::Plateau;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Floats as shortest round-trip text: a JSON reader may round numbers, and a resumed run needs the same bits.
mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(x)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Counters, callback states and history of a run, as of its last optimizer step (compare Hugging Face's
/// `TrainerState`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainerState {
    /// Complete epochs.
    pub epochs: usize,
    /// Batches done of the current epoch.
    pub batches: usize,
    /// Optimizer steps done.
    pub steps: usize,
    /// Loss of those batches, summed over their rows.
    #[serde(with = "exact")]
    pub loss_sum: f64,
    pub loss_rows: usize,
    /// Metrics of each complete epoch.
    pub history: Vec<Row>,
    /// The `save_top_k` best checkpoints, best first.
    pub best: Vec<SavedCheckpoint>,
    #[serde(rename = "stopping")]
    pub early_stopping: EarlyStoppingState,
    /// None unless the scheduler is `reduce_on_plateau`.
    pub plateau: Option<PlateauState>,
    /// Learning rate of the last step.
    #[serde(default)]
    pub learning_rate: Exact,
    /// Why the run stopped, once it has.
    #[serde(rename = "ended", default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,
    /// Wall seconds spent; None without `trainer.max_time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Settings and data that must not change when the run is resumed, by key.
    pub identity: Value,
}

/// Metrics of one epoch, in the order in which they were measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub epoch: usize,
    pub step: usize,
    pub metrics: Vec<(String, Exact)>,
}

/// A float that is serialized as text, exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exact(#[serde(with = "exact")] pub f64);

/// The limit that stopped a run, early stopping included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopReason {
    pub reason: String,
    /// The settings that decided it: resumed with others, the run continues.
    limits: Value,
}

impl StopReason {
    pub fn new(reason: String, settings: &Settings) -> Self {
        Self { reason, limits: limits(settings) }
    }
}

/// The settings that can stop a run.
fn limits(settings: &Settings) -> Value {
    let trainer = &settings.json["trainer"];
    json!({
        "trainer.max_epochs": trainer["max_epochs"],
        "trainer.max_steps": trainer["max_steps"],
        "trainer.max_time": trainer["max_time"],
        "callbacks.early_stopping": settings.json["callbacks"]["early_stopping"],
    })
}

/// One of the best checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedCheckpoint {
    /// File name within `checkpoints/`.
    pub file: String,
    pub epoch: usize,
    pub step: usize,
    /// Value of the monitored metric.
    #[serde(with = "exact")]
    pub value: f64,
}

/// The best monitored value so far, and the measurements since without an improvement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EarlyStoppingState {
    #[serde(with = "exact")]
    pub best: f64,
    #[serde(rename = "waited")]
    pub wait_count: u64,
}

/// [`Plateau`] as it is serialized.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlateauState {
    #[serde(with = "exact")]
    best: f64,
    #[serde(rename = "waited")]
    num_bad_epochs: u64,
    #[serde(rename = "resting")]
    cooldown_counter: u64,
    #[serde(with = "exact")]
    learning_rate: f64,
}

impl From<Plateau> for PlateauState {
    fn from(Plateau { best, num_bad_epochs, cooldown_counter, learning_rate }: Plateau) -> Self {
        Self { best, num_bad_epochs, cooldown_counter, learning_rate }
    }
}

impl From<PlateauState> for Plateau {
    fn from(PlateauState { best, num_bad_epochs, cooldown_counter, learning_rate }: PlateauState) -> Self {
        Self { best, num_bad_epochs, cooldown_counter, learning_rate }
    }
}

impl Row {
    pub fn new(epoch: usize, step: usize, metrics: &Metrics) -> Self {
        let metrics = metrics.iter().map(|(name, value)| (name.to_owned(), Exact(value))).collect();
        Self { epoch, step, metrics }
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|(known, _)| known == name).map(|(_, Exact(value))| *value)
    }
}

impl TrainerState {
    /// Before the first step.
    pub fn new(settings: &Settings, data_sha256: &str) -> Self {
        Self {
            epochs: 0,
            batches: 0,
            steps: 0,
            loss_sum: 0.0,
            loss_rows: 0,
            history: Vec::new(),
            best: Vec::new(),
            early_stopping: EarlyStoppingState {
                best: settings.callbacks.early_stopping.direction().worst(),
                wait_count: 0,
            },
            plateau: settings
                .scheduler
                .plateau()
                .map(|(_, options)| Plateau::new(options.direction, settings.optimizer.learning_rate).into()),
            learning_rate: Exact(settings.optimizer.learning_rate),
            stop_reason: None,
            seconds: None,
            identity: identity(settings, data_sha256),
        }
    }

    /// The state that a checkpoint holds. A stop reason that other limits than those of `settings` decided is dropped.
    ///
    /// # Errors
    /// When it is no trainer state, or names a checkpoint outside its folder.
    pub fn read(value: Value, settings: &Settings) -> anyhow::Result<Self> {
        let mut state: Self = serde_json::from_value(value)
            .map_err(|problem| anyhow::anyhow!("not the state of a training run: {problem}"))?;
        let stray = state.best.iter().find(|kept| !checkpoints::is_file_name(&kept.file));
        ensure!(stray.is_none(), "not the state of a training run: the file of a best checkpoint is not in its folder");
        let now = limits(settings);
        state.stop_reason = state.stop_reason.filter(|stopped| stopped.limits == now);
        Ok(state)
    }

    /// Checks that a run with these settings and this data can be resumed from here.
    ///
    /// # Errors
    /// Names the first key that differs.
    pub fn check(&self, settings: &Settings, data_sha256: &str) -> anyhow::Result<()> {
        let now = identity(settings, data_sha256);
        for (key, value) in now.as_object().into_iter().flatten() {
            let before = &self.identity[key];
            ensure!(
                before == value,
                "trainer.resume: {key} is {value}, but {before} in the checkpoint; a resumed run keeps it, and \
                 trainer.resume=null starts a new one"
            );
        }
        let same = self.plateau.is_some() == settings.scheduler.plateau().is_some();
        ensure!(same, "trainer.resume: the checkpoint has another scheduler");
        Ok(())
    }
}

/// What decides which rows each step sees, and what the checkpoint's values mean.
fn identity(settings: &Settings, data_sha256: &str) -> Value {
    let (model, trainer) = (&settings.json["model"], &settings.json["trainer"]);
    // In the order in which differences are reported: with text, data_sha256 depends on the features.
    let mut identity = json!({ "features": settings.json["features"], "data_sha256": data_sha256, "model": model });
    identity["augmentation"] = settings.json["augmentation"].clone();
    identity["optimizer.name"] = settings.json["optimizer"]["name"].clone();
    let keys = [
        "input_field",
        "target_field",
        "loss",
        "class_weights",
        "weight_field",
        "batch_size",
        "accumulate_batches",
        "limit_train_batches",
        "overfit_batches",
        "ema_decay",
        "seed",
        "split",
    ];
    for key in keys {
        identity[format!("trainer.{key}")] = trainer[key].clone();
    }
    identity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_round_trip_exactly() {
        for x in [0.1 + 0.2, 1e-300, f64::NAN, f64::INFINITY, -0.0, 5e-324, 0.30000000000000004] {
            let text = serde_json::to_string(&Exact(x)).expect("a text");
            let Exact(back) = serde_json::from_str(&text).expect("own text");
            assert!(back.to_bits() == x.to_bits() || (x.is_nan() && back.is_nan()), "{x} {text}");
        }
    }
}
