//! Validation, and the callbacks that watch its metrics.

use super::{Trainer, event_log::EventLog, state::SavedCheckpoint};
use crate::{
    checkpoints::file_name,
    evaluate::{RowBatch, evaluate, named},
    settings::CheckpointSettings,
    training_step::all_finite,
};
use events::{Event, Metrics, Validation};

impl Trainer<'_> {
    /// Metrics of the validation rows, `val_loss` and so on; empty where no rows are held out.
    pub(super) fn validate(&mut self, epoch: usize, log: &mut EventLog) -> anyhow::Result<Metrics> {
        let Self { learner, network, settings, loaders, ranks, .. } = self;
        let predict = &mut |rows: &mut RowBatch<'_>, outputs: &mut Vec<f32>| learner.predict(rows, outputs);
        let measured = evaluate(predict, network, &settings.trainer, &loaders.val, ranks)?;
        let Some(measured) = measured else { return Ok(Metrics::default()) };
        let metrics = named("val", &measured);
        let step = self.state.steps;
        log.add(&Event::Validation(Validation { epoch, step, metrics: metrics.clone(), time: events::now() }))?;
        Ok(metrics)
    }

    /// Passes new metrics to the scheduler, early stopping and checkpointing; returns the name of a checkpoint that is
    /// now among the best.
    pub(super) fn on_metrics(&mut self, epoch: usize, metrics: &Metrics) -> anyhow::Result<Option<String>> {
        if let Some((monitor, _)) = self.settings.scheduler.plateau()
            && let Some(value) = self.monitored("scheduler", monitor, metrics)?
        {
            self.learning_rate.on_metric(value, &mut self.state);
        }
        self.stop_early(metrics)?;
        self.rank(epoch, metrics)
    }

    /// Ranks the current state among the best checkpoints; returns the name of its file, where it is one of them.
    fn rank(&mut self, epoch: usize, metrics: &Metrics) -> anyhow::Result<Option<String>> {
        let Some(checkpoints) = &self.checkpointing.checkpoints else { return Ok(None) };
        let CheckpointSettings { monitor, filename, .. } = &self.settings.callbacks.checkpoint;
        let Some(value) = self.monitored("callbacks.checkpoint", monitor.as_deref(), metrics)? else { return Ok(None) };
        if !checkpoints.is_among_best(value, &self.state.best) || !all_finite(&self.learner.parameters()?.values) {
            return Ok(None);
        }
        let step = self.state.steps;
        let file = file_name(filename, epoch, step, value, metrics)?;
        checkpoints.rank(SavedCheckpoint { file: file.clone(), epoch, step, value }, &mut self.state.best)?;
        Ok(Some(file))
    }

    /// The metric that a callback watches: `given`, else `val_loss`, or `train_loss` where no rows are held out.
    pub(super) fn monitor<'m>(&self, given: Option<&'m str>) -> &'m str {
        given.unwrap_or(if self.loaders.val.count > 0 { "val_loss" } else { "train_loss" })
    }

    /// The value of a watched metric, where `metrics` have it.
    ///
    /// # Errors
    /// When `metrics` are those of a whole epoch and lack it: a misnamed monitor must not be a callback that never acts.
    pub(super) fn monitored(&self, who: &str, given: Option<&str>, metrics: &Metrics) -> anyhow::Result<Option<f64>> {
        let name = self.monitor(given);
        let value = metrics.get(name);
        let complete =
            metrics.get("train_loss").is_some() && (self.loaders.val.count == 0 || metrics.get("val_loss").is_some());
        if value.is_none() && complete {
            let known: Vec<&str> = metrics.iter().map(|(name, _)| name).collect();
            anyhow::bail!("{who}.monitor: {name} is no metric of this run; there are {}", known.join(", "));
        }
        Ok(value)
    }
}
