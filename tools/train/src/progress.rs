//! Where a run stands: what a checkpoint holds beside parameters and buffers.

use crate::{checkpoints, settings::Settings};
use anyhow::ensure;
use events::Metrics;
use optim::Plateau;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Floats are text here, because JSON readers may round: a resumed run must go on with the same bits.
mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(x)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A run's place between its first step and its last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs done.
    pub epochs: usize,
    /// Batches done of the epoch that is going on.
    pub batches: usize,
    /// Optimizer steps done.
    pub steps: usize,
    /// The loss of those batches, summed over their rows.
    #[serde(with = "exact")]
    pub loss_sum: f64,
    pub loss_rows: usize,
    /// What is said of each epoch.
    pub history: Vec<Row>,
    /// Checkpoints that are kept because they are best, the best first.
    pub best: Vec<Kept>,
    pub stopping: Waiting,
    /// Where the learning rate follows a metric.
    pub plateau: Option<PlateauState>,
    /// That of the last step.
    #[serde(default)]
    pub learning_rate: Exact,
    /// Why the run came to its end, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Seconds spent, where `trainer.max_time` counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What must not change when the run goes on.
    pub identity: Value,
}

/// An epoch's metrics, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub epoch: usize,
    pub step: usize,
    pub metrics: Vec<(String, Exact)>,
}

/// A float that is written as text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exact(#[serde(with = "exact")] pub f64);

/// A limit that a run has reached, early stopping included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub reason: String,
    /// The settings that decided it. With others the run goes on.
    limits: Value,
}

impl Ended {
    pub fn new(reason: String, settings: &Settings) -> Self {
        Self { reason, limits: limits(settings) }
    }
}

/// The settings that end a run.
fn limits(settings: &Settings) -> Value {
    let trainer = &settings.json["trainer"];
    json!({
        "trainer.max_epochs": trainer["max_epochs"],
        "trainer.max_steps": trainer["max_steps"],
        "trainer.max_time": trainer["max_time"],
        "callbacks.early_stopping": settings.json["callbacks"]["early_stopping"],
    })
}

/// A checkpoint file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name within the folder of checkpoints.
    pub file: String,
    pub epoch: usize,
    pub step: usize,
    /// The monitored metric.
    #[serde(with = "exact")]
    pub value: f64,
}

/// The best value so far, and how long ago that was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    #[serde(with = "exact")]
    pub best: f64,
    pub waited: u64,
}

/// [`Plateau`], in a file.
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

impl Progress {
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
            stopping: Waiting { best: settings.callbacks.early_stopping.direction().worst(), waited: 0 },
            plateau: settings
                .scheduler
                .plateau()
                .map(|(_, options)| Plateau::new(options.direction, settings.optimizer.learning_rate).into()),
            learning_rate: Exact(settings.optimizer.learning_rate),
            ended: None,
            seconds: None,
            identity: identity(settings, data_sha256),
        }
    }

    /// The state that a checkpoint holds, for a run with these settings: an end that other limits decided is none.
    ///
    /// # Errors
    /// When it is no state of a run, or names a checkpoint that is no file of the folder.
    pub fn read(value: Value, settings: &Settings) -> anyhow::Result<Self> {
        let mut progress: Self = serde_json::from_value(value)
            .map_err(|problem| anyhow::anyhow!("no state of a training run: {problem}"))?;
        let stray = progress.best.iter().find(|kept| !checkpoints::is_file_name(&kept.file));
        ensure!(stray.is_none(), "no state of a training run: one of the best checkpoints is no file of its folder");
        let now = limits(settings);
        progress.ended = progress.ended.filter(|ended| ended.limits == now);
        Ok(progress)
    }

    /// Checks that a run with these settings and this data can go on from here.
    ///
    /// # Errors
    /// Names what differs.
    pub fn check(&self, settings: &Settings, data_sha256: &str) -> anyhow::Result<()> {
        let now = identity(settings, data_sha256);
        for (key, value) in now.as_object().into_iter().flatten() {
            let before = &self.identity[key];
            ensure!(
                before == value,
                "trainer.resume: {key} is {value}, but {before} in the checkpoint; a run goes on as it began, and \
                 trainer.resume=null begins another"
            );
        }
        let same = self.plateau.is_some() == settings.scheduler.plateau().is_some();
        ensure!(same, "trainer.resume: the checkpoint's scheduler is another");
        Ok(())
    }
}

/// What decides which rows each step sees, and what the numbers of the checkpoint mean.
fn identity(settings: &Settings, data_sha256: &str) -> Value {
    let (model, trainer) = (&settings.json["model"], &settings.json["trainer"]);
    // In the order in which differences are told: the features are a part of the data's sum where text is.
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
    fn floats_come_back_bit_for_bit() {
        for x in [0.1 + 0.2, 1e-300, f64::NAN, f64::INFINITY, -0.0, 5e-324, 0.30000000000000004] {
            let text = serde_json::to_string(&Exact(x)).expect("a text");
            let Exact(back) = serde_json::from_str(&text).expect("own text");
            assert!(back.to_bits() == x.to_bits() || (x.is_nan() && back.is_nan()), "{x} {text}");
        }
    }
}
