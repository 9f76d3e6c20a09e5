//! What is measured, and what follows from it.

use super::Trainer;
use crate::{
    checkpoints::file_name,
    evaluate::{evaluate, named},
    log::Log,
    progress::{Ended, Kept},
    settings::CheckpointSettings,
    step::{Learner, all_finite},
};
use events::{Event, Metrics, Validation};
use metrics::Direction;

impl Trainer<'_> {
    /// Measures the model on the validation rows; no metrics where there are none.
    pub(super) fn validate(&mut self, epoch: usize, log: &mut Log) -> anyhow::Result<Metrics> {
        let Learner { engine, average, parameters, .. } = &mut self.learner;
        let parameters = average.as_ref().unwrap_or(parameters);
        let measured = evaluate(engine.as_mut(), self.network, &self.settings.trainer, parameters, &self.val)?;
        let Some(measured) = measured else { return Ok(Metrics::default()) };
        let metrics = named("val", &measured);
        let step = self.progress.steps;
        log.add(&Event::Validation(Validation { epoch, step, metrics: metrics.clone(), time: events::now() }))?;
        Ok(metrics)
    }

    /// What follows from new metrics: the learning rate, whether to stop early, the name of a checkpoint that is now
    /// among the best.
    pub(super) fn measured(&mut self, epoch: usize, metrics: &Metrics) -> anyhow::Result<Option<String>> {
        if let Some((monitor, _)) = self.settings.scheduler.plateau()
            && let Some(value) = self.monitored("scheduler", monitor, metrics)?
        {
            self.rate.measure(value, &mut self.progress);
        }
        self.stop_early(metrics)?;
        self.rank(epoch, metrics)
    }

    fn stop_early(&mut self, metrics: &Metrics) -> anyhow::Result<()> {
        let stopping = &self.settings.callbacks.early_stopping;
        let Some(patience) = stopping.patience else { return Ok(()) };
        let monitor = stopping.monitor.as_deref();
        let Some(value) = self.monitored("callbacks.early_stopping", monitor, metrics)? else { return Ok(()) };
        let waiting = &mut self.progress.stopping;
        let direction = stopping.direction();
        if direction.improves(value, waiting.best, stopping.min_delta) {
            (waiting.best, waiting.waited) = (value, 0);
            return Ok(());
        }
        waiting.waited += 1;
        if waiting.waited >= patience {
            let (best, side) = (waiting.best, if direction == Direction::Minimize { "below" } else { "above" });
            let monitor = self.monitor(monitor);
            let reason = format!("early stopping: {monitor} has not come {side} {best} in {patience} measurements");
            self.progress.ended = Some(Ended::new(reason, self.settings));
        }
        Ok(())
    }

    /// Ranks the state as it stands among the best; returns the name of its file, where it is one of them.
    fn rank(&mut self, epoch: usize, metrics: &Metrics) -> anyhow::Result<Option<String>> {
        let Some(checkpoints) = &self.checkpoints else { return Ok(None) };
        let CheckpointSettings { monitor, filename, .. } = &self.settings.callbacks.checkpoint;
        let Some(value) = self.monitored("callbacks.checkpoint", monitor.as_deref(), metrics)? else { return Ok(None) };
        if !checkpoints.is_among_best(value, &self.progress.best) || !all_finite(&self.learner.parameters.values) {
            return Ok(None);
        }
        let step = self.progress.steps;
        let file = file_name(filename, epoch, step, value, metrics)?;
        checkpoints.rank(Kept { file: file.clone(), epoch, step, value }, &mut self.progress.best)?;
        Ok(Some(file))
    }

    /// The metric that a callback watches.
    pub(super) fn monitor<'m>(&self, given: Option<&'m str>) -> &'m str {
        given.unwrap_or(if self.val.count > 0 { "val_loss" } else { "train_loss" })
    }

    /// Its value, where these metrics have it. A name that no metric has is an error at the end of
    /// the first epoch, not a callback that never acts.
    fn monitored(&self, who: &str, given: Option<&str>, metrics: &Metrics) -> anyhow::Result<Option<f64>> {
        let name = self.monitor(given);
        let value = metrics.get(name);
        let complete =
            metrics.get("train_loss").is_some() && (self.val.count == 0 || metrics.get("val_loss").is_some());
        if value.is_none() && complete {
            let known: Vec<&str> = metrics.iter().map(|(name, _)| name).collect();
            anyhow::bail!("{who}.monitor: {name} is no metric of this run; there are {}", known.join(", "));
        }
        Ok(value)
    }
}
