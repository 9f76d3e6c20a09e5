//! The fit loop: epochs and optimizer steps.

use super::{
    Trainer,
    checkpointing::SaveWhen,
    event_log::EventLog,
    logging::Throughput,
    state::{Exact, Row},
    stopping::Stop,
};
use crate::{data::stream, distributed::is_lost, training_step::StepOutput};
use events::Metrics;
use random::Random;

impl Trainer<'_> {
    /// Trains until a limit, a signal or a loss that is not finite.
    pub(super) fn fit(&mut self, log: &mut EventLog) -> anyhow::Result<Stop> {
        loop {
            self.ranks.propose(self.limits.request());
            self.ranks.agree()?;
            if let Some(stop) = self.stop() {
                return Ok(stop);
            }
            if let Some(stop) = self.epoch(log)? {
                return Ok(stop);
            }
        }
    }

    /// One epoch, or the rest of one after a resume; returns early where a run is to stop before its end.
    fn epoch(&mut self, log: &mut EventLog) -> anyhow::Result<Option<Stop>> {
        let trainer = &self.settings.trainer;
        self.reporting.throughput = Throughput::start();
        let epoch = self.state.epochs + 1;
        let order = self.order(epoch);
        let batches: Vec<&[usize]> = order.chunks(trainer.batch_size).take(self.loaders.batches_per_epoch).collect();
        let accumulate = trainer.accumulate_batches as usize;
        let steps = batches.len().div_ceil(accumulate);
        self.reporting.console.begin_epoch(epoch, self.limits.max_epochs, steps, self.state.batches / accumulate);
        while self.state.batches < batches.len() {
            let end = self.state.batches.saturating_add(accumulate).min(batches.len());
            let output = self.step(epoch, &batches[self.state.batches..end], log)?;
            if !output.finite {
                return Ok(Some(self.diverged(epoch)));
            }
            self.state.batches = end;
            self.reporting.throughput.rows += output.rows;
            if end < batches.len() {
                self.after_step(epoch, log)?;
                if self.should_stop() {
                    return Ok(None);
                }
            }
        }
        self.end_epoch(epoch, log).map(|()| None)
    }

    /// Indices into the training split, in the epoch's order: a function of seed and epoch alone.
    pub(super) fn order(&self, epoch: usize) -> Vec<usize> {
        let rows = self.loaders.train.count;
        if self.settings.trainer.overfit_batches > 0 {
            return (0..rows).collect();
        }
        Random::new(self.settings.trainer.seed, stream::ORDER + epoch as u64).permutation(rows)
    }

    /// An optimizer step over `batches`, whose gradients are accumulated.
    fn step(&mut self, epoch: usize, batches: &[&[usize]], log: &mut EventLog) -> anyhow::Result<StepOutput> {
        let learning_rate = self.learning_rate.at(&self.state);
        self.ranks.propose(self.limits.request());
        let Self { learner, settings, loaders, ranks, .. } = self;
        let output = match learner.step(settings, &loaders.train, epoch, batches, learning_rate, ranks) {
            Err(error) if is_lost(&error) => {
                // The state is that after the last complete step: nothing but this step is computed again.
                self.save(None, SaveWhen::Now, log)?;
                return Err(error);
            }
            output => output?,
        };
        if !output.finite {
            return Ok(output);
        }
        self.state.learning_rate = Exact(learning_rate);
        self.state.steps += 1;
        self.state.loss_sum += output.loss_sum;
        self.state.loss_rows += output.rows;
        self.log_step(epoch, &output, learning_rate, log)?;
        Ok(output)
    }

    /// Validates and saves after a step, where that is due; not after an epoch's last step.
    fn after_step(&mut self, epoch: usize, log: &mut EventLog) -> anyhow::Result<()> {
        let steps = self.state.steps;
        let validates = self.settings.trainer.val_every_steps.is_some_and(|n| (steps as u64).is_multiple_of(n));
        let is_due = self.checkpointing.is_due_at(steps);
        let best = match validates {
            true => {
                let metrics = self.validate(epoch, log)?;
                self.on_metrics(epoch, &metrics)?
            }
            false => None,
        };
        match (is_due, validates) {
            (true, _) => self.save(best, SaveWhen::Now, log),
            (false, true) => self.save(best, SaveWhen::Due, log),
            (false, false) => Ok(()),
        }
    }

    fn end_epoch(&mut self, epoch: usize, log: &mut EventLog) -> anyhow::Result<()> {
        let trainer = &self.settings.trainer;
        let validates = match trainer.val_every_steps {
            Some(n) => (self.state.steps as u64).is_multiple_of(n),
            None => (epoch as u64).is_multiple_of(trainer.val_every_epochs),
        };
        let val = if validates { self.validate(epoch, log)? } else { Metrics::default() };
        let metrics = self.log_epoch(epoch, &val, log)?;
        self.state.history.push(Row::new(epoch, self.state.steps, &metrics));
        self.state.epochs = epoch;
        self.state.batches = 0;
        (self.state.loss_sum, self.state.loss_rows) = (0.0, 0);
        let best = self.on_metrics(epoch, &metrics)?;
        let is_due = self.checkpointing.is_due_at(self.state.steps);
        self.save(best, if is_due { SaveWhen::Now } else { SaveWhen::Due }, log)
    }
}
