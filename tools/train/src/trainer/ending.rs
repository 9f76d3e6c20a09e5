//! When a run ends, and what it leaves then.

use super::{Trainer, checkpointing::When};
use crate::{
    evaluate::{evaluate, named},
    folder,
    log::Log,
    progress::{Ended, Kept, Row},
    settings::FinalModel,
};
use anyhow::ensure;
use cli::Signal;
use events::{Event, Status, Test};
use nets::{Checkpoint, Parameters};
use std::{path::Path, time::Duration};

/// Why the loop ends.
pub enum Stop {
    Limit(String),
    Diverged(String),
    Signal(Signal),
}

impl Trainer<'_> {
    /// Whether the loop has a reason to stop.
    pub(super) fn is_over(&self) -> bool {
        self.progress.ended.is_some() || self.signals.received().is_some() || self.limit().is_some()
    }

    /// The reason to stop, if there is one. That a limit was reached becomes a part of the run's state.
    pub(super) fn stop(&mut self) -> Option<Stop> {
        if let Some(ended) = &self.progress.ended {
            return Some(Stop::Limit(ended.reason.clone()));
        }
        let Some(limit) = self.limit() else { return self.signals.received().map(Stop::Signal) };
        let reason = format!("{limit} reached");
        self.progress.ended = Some(Ended::new(reason.clone(), self.settings));
        Some(Stop::Limit(reason))
    }

    /// The setting of a limit that is reached.
    fn limit(&self) -> Option<&'static str> {
        let reached = |most: Option<u64>, count: usize| most.is_some_and(|most| count as u64 >= most);
        if reached(self.max_epochs, self.progress.epochs) {
            return Some("max_epochs");
        }
        if reached(self.settings.trainer.max_steps, self.progress.steps) {
            return Some("max_steps");
        }
        self.max_time.is_some_and(|most| self.time_spent() >= most).then_some("max_time")
    }

    /// The time that the run has taken, with that before it was resumed.
    pub(super) fn time_spent(&self) -> Duration {
        self.spent.saturating_add(self.began.elapsed())
    }

    /// Whether the run in the folder has finished, and would finish so again.
    pub(super) fn is_done(&self, folder: &Path) -> bool {
        self.resumed.is_some()
            && self.progress.ended.is_some()
            && folder::is_finished(folder)
            && folder::has_settings(folder, self.settings)
    }

    pub(super) fn diverged(&self, epoch: usize) -> Stop {
        let step = self.progress.steps + 1;
        let kept = match self.progress.best.is_empty() {
            true => "",
            false => "; the checkpoints hold the last good weights",
        };
        Stop::Diverged(format!(
            "the loss or a gradient is not finite in epoch {epoch}, step {step}; a lower optimizer.learning_rate or \
             trainer.clip_norm may help{kept}"
        ))
    }

    /// Tests the weights that the run ends with, and writes the folder.
    pub(super) fn finish(&mut self, folder: Option<&Path>, reason: &str, log: &mut Log) -> anyhow::Result<()> {
        self.end_unfinished_epoch(log)?;
        let (epoch, step, parameters) = self.final_weights()?;
        self.keep(None, When::Now, log)?;
        let engine = self.learner.engine.as_mut();
        let mut measure = |rows| evaluate(engine, self.network, &self.settings.trainer, &parameters, rows);
        let (val, test) = (measure(&self.val)?, measure(&self.test)?);
        if let Some(test) = &test {
            let metrics = named("test", test);
            log.add(&Event::Test(Test { epoch, step, metrics, time: events::now() }))?;
        }
        let model = self.network.model(parameters);
        let history = self.progress.history.iter().chain(&self.unfinished).cloned().collect();
        let outcome = folder::Outcome { model, epoch, step, history, val, test };
        if let Some(folder) = folder {
            folder::write(folder, self.data.test(), &outcome)?;
        }
        log.end(Status::Finished, reason)
    }

    /// An epoch that a limit cut off is measured and told as it is.
    fn end_unfinished_epoch(&mut self, log: &mut Log) -> anyhow::Result<()> {
        if self.progress.batches == 0 {
            return Ok(());
        }
        let epoch = self.progress.epochs + 1;
        let val = self.validate(epoch, log)?;
        let metrics = self.tell_epoch(epoch, &val, log)?;
        self.unfinished = Some(Row::new(epoch, self.progress.steps, &metrics));
        Ok(())
    }

    /// Epoch, step and values of the weights that the run ends with.
    fn final_weights(&self) -> anyhow::Result<(usize, usize, Parameters)> {
        let (Some(checkpoints), Some(best), FinalModel::Best) =
            (&self.checkpoints, self.progress.best.first(), self.settings.callbacks.checkpoint.model)
        else {
            return Ok((self.progress.epochs, self.progress.steps, self.learner.best_known().clone()));
        };
        let parameters = match checkpoints.waiting(best) {
            Some(state) => state.model_parameters(),
            None => read_best(&checkpoints.path(best), best)?,
        };
        Ok((best.epoch, best.step, parameters))
    }
}

/// The weights of a best checkpoint on disk.
fn read_best(path: &Path, best: &Kept) -> anyhow::Result<Parameters> {
    let checkpoint = Checkpoint::read(path)?;
    ensure!(
        checkpoint.progress["steps"] == best.step,
        "{}: not the state after step {}; another run has written it",
        path.display(),
        best.step
    );
    Ok(checkpoint.measured().parameters)
}
