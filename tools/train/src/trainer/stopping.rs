//! When a run stops: limits, early stopping, signals, divergence.

use super::{Trainer, state::StopReason};
use crate::{distributed::Request, run_dir, settings::TrainerSettings};
use cli::{Signal, Signals};
use events::Metrics;
use metrics::Direction;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Why the fit loop stops.
pub enum Stop {
    Limit(String),
    Diverged(String),
    Signal(Signal),
}

/// The limits of a run, its clock, and the signals that end it.
pub struct Limits {
    pub max_epochs: Option<u64>,
    max_steps: Option<u64>,
    max_time: Option<Duration>,
    /// Time spent before a resume, where `max_time` counts it.
    earlier: Duration,
    pub started: Instant,
    signals: Signals,
}

impl Limits {
    /// Listens for signals from now on.
    pub fn new(trainer: &TrainerSettings, started: Instant) -> anyhow::Result<Self> {
        Ok(Self {
            max_epochs: if trainer.fast_dev_run { Some(1) } else { trainer.max_epochs },
            max_steps: trainer.max_steps,
            max_time: trainer.max_time(),
            earlier: Duration::ZERO,
            started,
            signals: Signals::listen()?,
        })
    }

    /// Counts the seconds that a resumed checkpoint says were spent, where `max_time` is set.
    pub fn resume(&mut self, seconds: Option<f64>) {
        let seconds = seconds.filter(|_| self.max_time.is_some()).unwrap_or_default();
        self.earlier = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    }

    /// Wall time of the run, with that before it was resumed.
    pub fn time_spent(&self) -> Duration {
        self.earlier.saturating_add(self.started.elapsed())
    }

    /// What a checkpoint keeps of [`Self::time_spent`]: None without `max_time`.
    pub fn counted_seconds(&self) -> Option<f64> {
        self.max_time.map(|_| self.time_spent().as_secs_f64())
    }

    /// What this process wants of the run.
    pub fn request(&self) -> Request {
        let time_is_up = self.max_time.is_some_and(|max| self.time_spent() >= max);
        Request { signal: self.signals.received(), time_is_up }
    }

    /// The setting of a limit that is reached.
    fn reached(&self, epochs: usize, steps: usize, time_is_up: bool) -> Option<&'static str> {
        let is_reached = |max: Option<u64>, count: usize| max.is_some_and(|max| count as u64 >= max);
        if is_reached(self.max_epochs, epochs) {
            return Some("max_epochs");
        }
        if is_reached(self.max_steps, steps) {
            return Some("max_steps");
        }
        time_is_up.then_some("max_time")
    }
}

impl Trainer<'_> {
    pub(super) fn should_stop(&self) -> bool {
        self.state.stop_reason.is_some() || self.request().signal.is_some() || self.reached_limit().is_some()
    }

    /// What the ranks have agreed on; of a process alone, what it wants now.
    fn request(&self) -> Request {
        if self.ranks.is_alone() { self.limits.request() } else { self.ranks.agreed() }
    }

    /// Why the run must stop, if it must. A limit that was reached becomes part of the run's state.
    pub(super) fn stop(&mut self) -> Option<Stop> {
        if let Some(stopped) = &self.state.stop_reason {
            return Some(Stop::Limit(stopped.reason.clone()));
        }
        let Some(limit) = self.reached_limit() else { return self.request().signal.map(Stop::Signal) };
        let reason = format!("{limit} reached");
        self.state.stop_reason = Some(StopReason::new(reason.clone(), self.settings));
        Some(Stop::Limit(reason))
    }

    fn reached_limit(&self) -> Option<&'static str> {
        self.limits.reached(self.state.epochs, self.state.steps, self.request().time_is_up)
    }

    /// Whether the folder holds this run, finished by the same settings.
    pub(super) fn has_finished(&self, folder: &Path) -> bool {
        self.checkpointing.is_resumed()
            && self.state.stop_reason.is_some()
            && run_dir::is_finished(folder)
            && run_dir::has_settings(folder, self.settings)
    }

    /// Early stopping, as Lightning's `EarlyStopping`: counts measurements without an improvement above `min_delta`.
    pub(super) fn stop_early(&mut self, metrics: &Metrics) -> anyhow::Result<()> {
        let stopping = &self.settings.callbacks.early_stopping;
        let Some(patience) = stopping.patience else { return Ok(()) };
        let monitor = stopping.monitor.as_deref();
        let Some(value) = self.monitored("callbacks.early_stopping", monitor, metrics)? else { return Ok(()) };
        let state = &mut self.state.early_stopping;
        let direction = stopping.direction();
        if direction.improves(value, state.best, stopping.min_delta) {
            (state.best, state.wait_count) = (value, 0);
            return Ok(());
        }
        state.wait_count += 1;
        if state.wait_count >= patience {
            let (best, side) = (state.best, if direction == Direction::Minimize { "below" } else { "above" });
            let monitor = self.monitor(monitor);
            let reason = format!("early stopping: {monitor} has not come {side} {best} in {patience} measurements");
            self.state.stop_reason = Some(StopReason::new(reason, self.settings));
        }
        Ok(())
    }

    pub(super) fn diverged(&self, epoch: usize) -> Stop {
        let step = self.state.steps + 1;
        let kept = match self.state.best.is_empty() {
            true => "",
            false => "; the checkpoints hold the last good weights",
        };
        Stop::Diverged(format!(
            "the loss, a gradient or a running statistic is not finite in epoch {epoch}, step {step}; a lower optimizer.learning_rate or \
             trainer.clip_norm may help{kept}"
        ))
    }
}
