//! Config group `scheduler`.

use super::{Check, MonitorMode};
use optim::{Anneal, PlateauOptions, Schedule};
use serde::Deserialize;

/// Unit of the scheduler's times.
#[derive(Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    Epoch,
    Step,
}

/// Hyper-parameters, by `scheduler.name`.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SchedulerSettings {
    Constant {
        interval: Interval,
        warmup: u64,
        warmup_start: f64,
    },
    Step {
        step_size: u64,
        gamma: f64,
        interval: Interval,
        warmup: u64,
        warmup_start: f64,
    },
    MultiStep {
        milestones: Vec<u64>,
        gamma: f64,
        interval: Interval,
        warmup: u64,
        warmup_start: f64,
    },
    Cosine {
        period: Option<u64>,
        period_factor: u64,
        min_learning_rate: f64,
        interval: Interval,
        warmup: u64,
        warmup_start: f64,
    },
    OneCycle {
        rise: f64,
        div_factor: f64,
        final_div_factor: f64,
        anneal: Anneal,
        interval: Interval,
        warmup: u64,
        warmup_start: f64,
    },
    ReduceOnPlateau {
        monitor: Option<String>,
        mode: MonitorMode,
        factor: f64,
        patience: u64,
        threshold: f64,
        cooldown: u64,
        min_learning_rate: f64,
        interval: Interval,
        warmup: u64,
        warmup_start: f64,
    },
}

impl SchedulerSettings {
    /// Interval, warm-up length in intervals, and factor on the learning rate at the start of the warm-up.
    pub fn warmup(&self) -> (Interval, u64, f64) {
        match self {
            Self::Constant { interval, warmup, warmup_start }
            | Self::Step { interval, warmup, warmup_start, .. }
            | Self::MultiStep { interval, warmup, warmup_start, .. }
            | Self::Cosine { interval, warmup, warmup_start, .. }
            | Self::OneCycle { interval, warmup, warmup_start, .. }
            | Self::ReduceOnPlateau { interval, warmup, warmup_start, .. } => (*interval, *warmup, *warmup_start),
        }
    }

    /// The schedule after the warm-up; `total` is the run's length in intervals, if known.
    ///
    /// # Errors
    /// When the schedule depends on an unknown length.
    pub fn schedule(&self, total: Option<u64>) -> anyhow::Result<Schedule> {
        let (_, warmup, _) = self.warmup();
        let rest = || {
            let total = total.ok_or_else(|| {
                anyhow::anyhow!(
                    "scheduler: its length is that of the run; give trainer.max_epochs or trainer.max_steps"
                )
            })?;
            Ok::<_, anyhow::Error>(total.saturating_sub(warmup).max(1))
        };
        Ok(match self {
            Self::Constant { .. } => Schedule::Constant,
            Self::Step { step_size, gamma, .. } => Schedule::Step { step_size: *step_size, gamma: *gamma },
            Self::MultiStep { milestones, gamma, .. } => {
                Schedule::MultiStep { milestones: milestones.clone(), gamma: *gamma }
            }
            Self::Cosine { period, period_factor, min_learning_rate, .. } => Schedule::Cosine {
                period: period.map_or_else(rest, Ok)?,
                period_factor: *period_factor,
                min_learning_rate: *min_learning_rate,
            },
            Self::OneCycle { rise, div_factor, final_div_factor, anneal, .. } => Schedule::OneCycle {
                total: rest()?,
                rise: *rise,
                div_factor: *div_factor,
                final_div_factor: *final_div_factor,
                anneal: *anneal,
            },
            Self::ReduceOnPlateau { .. } => Schedule::ReduceOnPlateau,
        })
    }

    /// Monitor and options of `reduce_on_plateau`; None for other schedulers.
    pub fn plateau(&self) -> Option<(Option<&str>, PlateauOptions)> {
        match self {
            Self::ReduceOnPlateau {
                monitor, mode, factor, patience, threshold, cooldown, min_learning_rate, ..
            } => {
                let options = PlateauOptions {
                    direction: mode.of(monitor.as_deref()),
                    factor: *factor,
                    patience: *patience,
                    threshold: *threshold,
                    cooldown: *cooldown,
                    min_learning_rate: *min_learning_rate,
                };
                Some((monitor.as_deref(), options))
            }
            _ => None,
        }
    }

    /// `mode` of `reduce_on_plateau`.
    pub fn plateau_mode(&self) -> Option<MonitorMode> {
        if let Self::ReduceOnPlateau { mode, .. } = self { Some(*mode) } else { None }
    }

    pub fn check(&self, check: &Check) -> anyhow::Result<()> {
        let (_, _, warmup_start) = self.warmup();
        check.share("warmup_start", warmup_start)?;
        match self {
            Self::Constant { .. } => Ok(()),
            Self::Step { step_size, gamma, .. } => {
                check.at_least_one("step_size", *step_size)?;
                check.positive("gamma", *gamma)
            }
            Self::MultiStep { milestones, gamma, .. } => {
                let ascend = milestones.is_sorted_by(|a, b| a < b);
                anyhow::ensure!(ascend, "scheduler.milestones: {milestones:?}; expected ascending times");
                check.positive("gamma", *gamma)
            }
            Self::Cosine { period, period_factor, min_learning_rate, .. } => {
                check.none_or_one("period", *period)?;
                check.at_least_one("period_factor", *period_factor)?;
                check.not_negative("min_learning_rate", *min_learning_rate)
            }
            Self::OneCycle { rise, div_factor, final_div_factor, .. } => {
                check.share("rise", *rise)?;
                check.positive("div_factor", *div_factor)?;
                check.positive("final_div_factor", *final_div_factor)
            }
            Self::ReduceOnPlateau { factor, threshold, min_learning_rate, .. } => {
                check.below_one("factor", *factor)?;
                check.not_negative("threshold", *threshold)?;
                check.not_negative("min_learning_rate", *min_learning_rate)
            }
        }
    }
}
