//! The learning rate of each step: warm-up, then the schedule.

use super::state::TrainerState;
use crate::settings::{Interval, Settings};
use optim::{Plateau, PlateauOptions, Schedule};

/// Linear warm-up followed by a schedule.
pub struct LearningRate {
    base: f64,
    schedule: Schedule,
    interval: Interval,
    warmup: u64,
    warmup_start: f64,
    plateau: Option<PlateauOptions>,
    /// Length of the run in `interval`s, if `max_epochs` or `max_steps` tell it.
    total: Option<u64>,
}

impl LearningRate {
    /// For a run of epochs of `steps_per_epoch` steps.
    pub fn new(settings: &Settings, steps_per_epoch: usize) -> anyhow::Result<Self> {
        let (interval, warmup, warmup_start) = settings.scheduler.warmup();
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

    /// A warning where the run ends before the warm-up does.
    pub fn warning(&self) -> Option<String> {
        let (warmup, total) = (self.warmup, self.total.filter(|total| self.warmup >= *total)?);
        let unit = match self.interval {
            Interval::Epoch => "epochs",
            Interval::Step => "steps",
        };
        Some(format!("scheduler.warmup: {warmup} {unit}; the run has {total}, all of them warm-up"))
    }

    /// Learning rate of the next step.
    pub fn at(&self, state: &TrainerState) -> f64 {
        let time = match self.interval {
            Interval::Epoch => state.epochs,
            Interval::Step => state.steps,
        } as u64;
        let base = state.plateau.map_or(self.base, |plateau| Plateau::from(plateau).learning_rate);
        if time < self.warmup {
            let fraction = time as f64 / self.warmup as f64;
            return base * (self.warmup_start + (1.0 - self.warmup_start) * fraction);
        }
        self.schedule.learning_rate(base, time - self.warmup)
    }

    /// Passes a new value of the monitored metric to a plateau scheduler; a no-op for other schedules.
    pub fn on_metric(&self, value: f64, state: &mut TrainerState) {
        if let (Some(options), Some(saved)) = (&self.plateau, &mut state.plateau) {
            let mut plateau = Plateau::from(*saved);
            plateau.step(value, options);
            *saved = plateau.into();
        }
    }
}
