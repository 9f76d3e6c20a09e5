//! Config group `trainer`.

use super::{BatchLimit, Check, ClassWeights, distributed::DistributedSettings, wall_time::WallTime};
use crate::inspect::lr_finder;
use anyhow::ensure;
use cuda::Device;
use cuda_nets::Precision;
use nets::Loss;
use serde::Deserialize;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerSettings {
    /// Input fields, concatenated in this order.
    pub input_field: InputFields,
    pub target_field: String,
    /// Files that replace the validation and test shares of `split`.
    pub val_input: Option<String>,
    pub test_input: Option<String>,
    loss: LossName,
    huber_delta: f64,
    pub label_smoothing: f64,
    pub classes: Option<usize>,
    pub class_weights: Option<ClassWeights>,
    /// Field of each row's weight in the loss.
    pub weight_field: Option<String>,
    pub max_epochs: Option<u64>,
    pub max_steps: Option<u64>,
    max_time: Option<WallTime>,
    pub batch_size: usize,
    pub accumulate_batches: u64,
    pub clip_norm: Option<f64>,
    pub clip_value: Option<f64>,
    pub ema_decay: Option<f64>,
    pub val_every_epochs: u64,
    pub val_every_steps: Option<u64>,
    pub log_every_steps: u64,
    pub limit_train_batches: Option<BatchLimit>,
    pub limit_val_batches: Option<BatchLimit>,
    pub limit_test_batches: Option<BatchLimit>,
    pub overfit_batches: usize,
    pub fast_dev_run: bool,
    pub seed: u64,
    /// Shares of training, validation and test.
    pub split: [f64; 3],
    /// Flip test-time augmentation: validate and test with the mean output of an image and its mirror image.
    pub test_flip: bool,
    pub engine: EngineName,
    /// Where the network is trained; `config.yaml` files from before it existed lack it and the next.
    #[serde(default)]
    pub device: Device,
    #[serde(default)]
    pub precision: Precision,
    /// Maximum bytes of an array in Fortran order on a pipe.
    pub fortran_bytes: u64,
    /// Maximum bytes of an NPY file whose rows are held in memory.
    pub memory_bytes: u64,
    pub run_dir: String,
    pub resume: Option<String>,
    /// Several processes as the ranks of one run; `config.yaml` files from before it existed lack it.
    #[serde(default)]
    pub distributed: DistributedSettings,
    pub finder: FinderSettings,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum LossName {
    Mse,
    Mae,
    Huber,
    CrossEntropy,
    Bce,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum EngineName {
    /// Fused kernels where the network allows, otherwise autograd.
    Fused,
    /// candle's autograd, the reference.
    Autograd,
}

/// One input field, or several.
#[derive(Deserialize)]
#[serde(from = "OneOrMany")]
pub struct InputFields(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a field or a list of fields")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for InputFields {
    fn from(fields: OneOrMany) -> Self {
        match fields {
            OneOrMany::One(name) => Self(vec![name]),
            OneOrMany::Many(names) => Self(names),
        }
    }
}

impl InputFields {
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

/// Learning rates of `--find-learning-rate`: from `min` to `max` in `steps` steps on a logarithmic scale.
#[derive(Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub struct FinderSettings {
    pub min: f64,
    pub max: f64,
    pub steps: usize,
}

impl TrainerSettings {
    pub fn loss(&self) -> Loss {
        match self.loss {
            LossName::Mse => Loss::Mse,
            LossName::Mae => Loss::Mae,
            LossName::Huber => Loss::Huber { delta: self.huber_delta },
            LossName::CrossEntropy => Loss::CrossEntropy { label_smoothing: self.label_smoothing },
            LossName::Bce => Loss::BinaryCrossEntropy,
        }
    }

    /// Whether the settings hold rows out for validation.
    pub fn validates(&self) -> bool {
        let [_, held_out, _] = self.split;
        held_out > 0.0 || self.val_input.is_some() || self.overfit_batches > 0
    }

    /// Maximum number of classes: labels above it are not class indices.
    pub const MAX_CLASSES: usize = 1 << 20;

    /// Upper bound of class labels, exclusive: `trainer.classes`, or [`Self::MAX_CLASSES`].
    pub fn max_classes(&self) -> usize {
        self.classes.unwrap_or(Self::MAX_CLASSES).min(Self::MAX_CLASSES)
    }

    /// Input, target and weight fields.
    pub fn fields(&self) -> Vec<&str> {
        let fields = self.input_field.names().iter().chain([&self.target_field]);
        fields.chain(&self.weight_field).map(String::as_str).collect()
    }

    /// Limit on the run's wall time.
    pub fn max_time(&self) -> Option<Duration> {
        self.max_time.map(|time| time.0)
    }

    pub fn check(&self, check: &Check) -> anyhow::Result<()> {
        let limits = [self.max_epochs.is_some(), self.max_steps.is_some(), self.max_time.is_some()];
        ensure!(
            limits.contains(&true),
            "the run would never end; give trainer.max_epochs, trainer.max_steps or trainer.max_time"
        );
        check.none_or_one("max_epochs", self.max_epochs)?;
        check.none_or_one("max_steps", self.max_steps)?;
        check.at_least_one("batch_size", self.batch_size as u64)?;
        check.at_least_one("accumulate_batches", self.accumulate_batches)?;
        check.at_least_one("val_every_epochs", self.val_every_epochs)?;
        check.none_or_one("val_every_steps", self.val_every_steps)?;
        check.at_least_one("log_every_steps", self.log_every_steps)?;
        check.positive("huber_delta", self.huber_delta)?;
        check.below_one("label_smoothing", self.label_smoothing)?;
        check.none_or_positive("clip_norm", self.clip_norm)?;
        check.none_or_positive("clip_value", self.clip_value)?;
        self.ema_decay.map_or(Ok(()), |decay| check.below_one("ema_decay", decay))?;
        check.none_or_one("classes", self.classes.map(|classes| classes as u64))?;
        check.positive("finder.min", self.finder.min)?;
        check.positive("finder.max", self.finder.max)?;
        ensure!(self.finder.min < self.finder.max, "trainer.finder: min is not below max");
        let (steps, least) = (self.finder.steps, lr_finder::MIN_STEPS);
        ensure!(steps >= least, "trainer.finder.steps: {steps}; at least {least} are needed");
        self.distributed.check()?;
        self.check_limits()?;
        ensure!(!self.run_dir.is_empty(), "trainer.run_dir: an empty path; name a folder");
        let shares = &self.split;
        let whole = shares.iter().all(|share| *share >= 0.0) && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9;
        ensure!(whole, "trainer.split: {shares:?}; expected three shares that sum to 1");
        let names = self.input_field.names();
        ensure!(!names.is_empty(), "trainer.input_field: an empty list; name at least one field");
        let twice = (1..names.len()).find(|&i| names[..i].contains(&names[i]));
        ensure!(twice.is_none(), "trainer.input_field: {:?} twice", names[twice.unwrap_or(0)]);
        let is_input = |field: &String| names.contains(field);
        ensure!(!is_input(&self.target_field), "trainer.target_field: {:?} is also an input field", self.target_field);
        if let Some(field) = &self.weight_field {
            let same = is_input(field) || *field == self.target_field;
            ensure!(!same, "trainer.weight_field: {field:?} is also an input or the target field");
        }
        self.class_weights.as_ref().map_or(Ok(()), ClassWeights::check)
    }

    fn check_limits(&self) -> anyhow::Result<()> {
        let limits = [
            ("limit_train_batches", self.limit_train_batches),
            ("limit_val_batches", self.limit_val_batches),
            ("limit_test_batches", self.limit_test_batches),
        ];
        for (key, limit) in limits {
            if let Some(problem) = limit.and_then(BatchLimit::problem) {
                anyhow::bail!("trainer.{key}: {problem}");
            }
        }
        Ok(())
    }
}
