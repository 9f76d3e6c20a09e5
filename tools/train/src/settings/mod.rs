//! Config groups `model`, `optimizer`, `scheduler`, `callbacks`, `augmentation` and `trainer`, read and checked.

mod augmentation;
mod batch_limit;
mod callbacks;
mod check;
mod class_weights;
mod distributed;
mod model;
mod monitor;
mod monitor_mode;
mod no_effect;
mod optimizer;
mod scheduler;
mod trainer;
mod wall_time;

pub use augmentation::AugmentationSettings;
pub use batch_limit::BatchLimit;
pub use callbacks::{CallbackSettings, CheckpointSettings, FinalModel};
pub use class_weights::ClassWeights;
pub use distributed::Launcher;
pub use metrics::Mode as MonitorMode;
pub use model::{ModelSettings, ScalingMode};
pub use optimizer::OptimizerSettings;
pub use scheduler::{Interval, SchedulerSettings};
pub use trainer::{EngineName, TrainerSettings};

use crate::checkpoints;
use anyhow::ensure;
use check::Check;
use dataset::FeatureSettings;
use dvc::DataSettings;

/// All settings of `train`, checked.
pub struct Settings {
    pub model: ModelSettings,
    pub optimizer: OptimizerSettings,
    pub scheduler: SchedulerSettings,
    pub callbacks: CallbackSettings,
    pub augmentation: AugmentationSettings,
    pub features: FeatureSettings,
    pub trainer: TrainerSettings,
    /// Fetch missing input files with `dvc pull`.
    pub pull: bool,
    /// `config.yaml` of the run folder: the composed groups without `data`, and without `trainer.resume`, on which the
    /// results do not depend.
    pub yaml: String,
    /// The same as JSON.
    pub json: serde_json::Value,
}

impl Settings {
    /// Reads and checks the settings.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        let DataSettings { pull } = document.section("data")?;
        // `data` is how the rows were made: not a setting of training.
        let own = document.without("data").cleared("trainer.resume");
        let settings = Self {
            model: document.section("model")?,
            optimizer: document.section("optimizer")?,
            scheduler: document.section("scheduler")?,
            callbacks: document.section("callbacks")?,
            // `config.yaml` files from before the group existed lack it.
            augmentation: match document.get("augmentation") {
                Some(_) => document.section("augmentation")?,
                None => AugmentationSettings::default(),
            },
            features: match document.get("features") {
                Some(_) => document.section("features")?,
                None => FeatureSettings::default(),
            },
            trainer: document.section("trainer")?,
            pull,
            yaml: own.to_yaml(),
            json: own.to_json_value()?,
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> anyhow::Result<()> {
        self.model.check()?;
        self.optimizer.check(&Check::of("optimizer"))?;
        self.scheduler.check(&Check::of("scheduler"))?;
        self.callbacks.check()?;
        self.trainer.check(&Check::of("trainer"))?;
        self.check_features()?;
        self.check_metrics()
    }

    fn check_features(&self) -> anyhow::Result<()> {
        let FeatureSettings { fill_number, fill_text, categorical, max_categories, .. } = &self.features;
        ensure!(
            (*fill_number as f32).is_finite(),
            "features.fill_number: {fill_number}; expected a number that f4 holds"
        );
        ensure!(!fill_text.is_empty(), "features.fill_text: empty; name a category");
        ensure!(*max_categories > 0, "features.max_categories: 0; at least 1 is needed");
        let names = self.trainer.input_field.names();
        let stray = categorical.iter().find(|name| !names.contains(name));
        ensure!(stray.is_none(), "features.categorical: {:?} is none of trainer.input_field", stray.map_or("", |s| s));
        Ok(())
    }

    /// Checks that monitors and the checkpoint's file name use metrics of the run.
    fn check_metrics(&self) -> anyhow::Result<()> {
        let known = monitor::names(&self.trainer);
        for (who, mode, monitor) in self.monitors() {
            monitor::check(who, monitor, &known)?;
            monitor_mode::check(who, mode, monitor)?;
        }
        checkpoints::check_template(&self.callbacks.checkpoint.filename, &known)
    }

    /// Each callback that monitors a metric: its settings group, mode and monitor.
    fn monitors(&self) -> Vec<(&'static str, MonitorMode, Option<&str>)> {
        let CallbackSettings { checkpoint, early_stopping } = &self.callbacks;
        let plateau = self.scheduler.plateau_mode().map(|mode| {
            let monitor = self.scheduler.plateau().and_then(|(monitor, _)| monitor);
            ("scheduler", mode, monitor)
        });
        let callbacks = [
            ("callbacks.checkpoint", checkpoint.mode, checkpoint.monitor.as_deref()),
            ("callbacks.early_stopping", early_stopping.mode, early_stopping.monitor.as_deref()),
        ];
        callbacks.into_iter().chain(plateau).collect()
    }

    /// A line for each setting without effect, or against a metric's direction.
    pub fn warnings(&self) -> Vec<String> {
        let against =
            self.monitors().into_iter().filter_map(|(who, mode, name)| monitor_mode::warning(who, mode, name));
        no_effect::warnings(self).into_iter().chain(against).collect()
    }
}
