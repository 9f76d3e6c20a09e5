//! The learning rate of a step.

use crate::{progress::Progress, settings::Interval, settings::Settings};
use optim::{Plateau, PlateauOptions, Schedule};

/// Warm-up, and the schedule behind it.
pub struct LearningRate {
    base: f64,
    schedule: Schedule,
    interval: Interval,
    warmup: u64,
    warmup_start: f64,
    plateau: Option<PlateauOptions>,
    /// The length of the run, if it is known.
    total: Option<u64>,
}

impl LearningRate {
    /// For a run of epochs of `steps_per_epoch` steps.
    pub fn new(settings: &Settings, steps_per_epoch: usize) -> anyhow::Result<Self> {
        let (interval, warmup, warmup_start) = settings.scheduler.time();
        let steps_per_epoch = steps_per_epoch as u64;
        let (max_epochs, max_steps) = (settings.trainer.max_epochs, settings.trainer.max_steps);
        let total = match interval {
            Interval::Epoch => [max_epochs, max_steps.map(|steps| steps.div_ceil(steps_per_epoch))],
            Interval::Step => [max_epochs.map(|epochs| epochs.saturating_mul(steps_per_epoch)), max_steps],
        };
        let total = total.into_iter().flatten().min();
        Ok(Self {
            base: settings.optimizer.learning_rate,
            schedule: settings.scheduler.schedule(total)?,
            interval,
            warmup,
            warmup_start,
            plateau: settings.scheduler.plateau().map(|(_, options)| options),
            total,
        })
    }

    /// What is odd about it: a run that is over before the warm-up is.
    pub fn warning(&self) -> Option<String> {
        let (warmup, total) = (self.warmup, self.total.filter(|total| self.warmup >= *total)?);
        let unit = match self.interval {
            Interval::Epoch => "epochs",
            Interval::Step => "steps",
        };
        Some(format!("scheduler.warmup: {warmup} {unit}; the run has {total}, all of them warm-up"))
    }

    /// That of the next step.
    pub fn now(&self, progress: &Progress) -> f64 {
        let time = match self.interval {
            Interval::Epoch => progress.epochs,
            Interval::Step => progress.steps,
        } as u64;
        let base = progress.plateau.map_or(self.base, |state| Plateau::from(state).learning_rate);
        if time < self.warmup {
            let risen = time as f64 / self.warmup as f64;
            return base * (self.warmup_start + (1.0 - self.warmup_start) * risen);
        }
        self.schedule.learning_rate(base, time - self.warmup)
    }

    /// Takes a measurement of the metric that the learning rate follows, if it follows one.
    pub fn measure(&self, value: f64, progress: &mut Progress) {
        if let (Some(options), Some(state)) = (&self.plateau, &mut progress.plateau) {
            let mut plateau = Plateau::from(*state);
            plateau.step(value, options);
            *state = plateau.into();
        }
    }
}
