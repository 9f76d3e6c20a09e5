//! Learning-rate schedules.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the learning rate goes with time. Time counts steps or epochs from 0, as the trainer is told;
/// definitions are those of PyTorch's schedulers, in closed form.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Always the same.
    Constant,
    /// Times `gamma` every `step_size`.
    Step {
        /// Time between two changes.
        step_size: u64,
        /// Factor of a change.
        gamma: f64,
    },
    /// Times `gamma` at each milestone.
    MultiStep {
        /// Times of the changes.
        milestones: Vec<u64>,
        /// Factor of a change.
        gamma: f64,
    },
    /// Half a cosine down to `min_learning_rate`, again and again (Loshchilov and Hutter, "SGDR", 2017).
    Cosine {
        /// Length of the first period.
        period: u64,
        /// Factor from a period's length to the next one's.
        period_factor: u64,
        /// Where a period ends.
        min_learning_rate: f64,
    },
    /// Up, and down to far below the start (Smith and Topin, "Super-convergence", 2018). The learning
    /// rate of the optimizer is the peak.
    OneCycle {
        /// Length of the cycle.
        total: u64,
        /// Share of the cycle in which it rises.
        rise: f64,
        /// The peak divided by the start.
        div_factor: f64,
        /// The start divided by the end.
        final_div_factor: f64,
        /// The way up and down.
        anneal: Anneal,
    },
    /// Times a factor when a measure has stopped getting better; see [`Plateau`].
    ReduceOnPlateau,
}

/// How a learning rate goes from one value to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anneal {
    /// Along half a cosine.
    Cosine,
    /// In a straight line.
    Linear,
}

impl Anneal {
    /// From `start` at 0 to `end` at 1.
    fn between(self, start: f64, end: f64, share: f64) -> f64 {
        match self {
            Self::Cosine => end + (start - end) * (1.0 + libm::cos(PI * share)) / 2.0,
            Self::Linear => start + (end - start) * share,
        }
    }
}

impl Schedule {
    /// The learning rate at `time`, of an optimizer whose own is `base`.
    pub fn learning_rate(&self, base: f64, time: u64) -> f64 {
        match self {
            Self::Constant | Self::ReduceOnPlateau => base,
            Self::Step { step_size, gamma } => base * power(*gamma, time / step_size),
            Self::MultiStep { milestones, gamma } => {
                let passed = milestones.iter().filter(|&&milestone| milestone <= time).count();
                base * power(*gamma, passed as u64)
            }
            Self::Cosine { period, period_factor, min_learning_rate } => {
                let (mut at, mut length) = (time, *period);
                // Time shrinks with each turn: a factor of 1 is done in one.
                if *period_factor == 1 {
                    at %= length;
                }
                while at >= length {
                    at -= length;
                    length = length.saturating_mul(*period_factor);
                }
                Anneal::Cosine.between(base, *min_learning_rate, at as f64 / length as f64)
            }
            Self::OneCycle { total, rise, div_factor, final_div_factor, anneal } => {
                let start = base / div_factor;
                let end = start / final_div_factor;
                // PyTorch's phases end at these times, not at whole ones.
                let peak = rise * *total as f64 - 1.0;
                let last = *total as f64 - 1.0;
                let at = (time as f64).min(last);
                if at <= peak {
                    // A rise of no length is at its end.
                    anneal.between(start, base, if peak > 0.0 { at / peak } else { 1.0 })
                } else {
                    anneal.between(base, end, (at - peak) / (last - peak))
                }
            }
        }
    }
}

fn power(base: f64, exponent: u64) -> f64 {
    base.powi(i32::try_from(exponent).unwrap_or(i32::MAX))
}

/// Which way a measure gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The lower the better.
    Min,
    /// The higher the better.
    Max,
}

impl Mode {
    /// Whether `value` is better than `best` by more than `margin`; NaN never is.
    pub fn improves(self, value: f64, best: f64, margin: f64) -> bool {
        match self {
            Self::Min => value < best - margin,
            Self::Max => value > best + margin,
        }
    }

    /// What everything is better than.
    pub fn worst(self) -> f64 {
        match self {
            Self::Min => f64::INFINITY,
            Self::Max => f64::NEG_INFINITY,
        }
    }
}

/// When to reduce the learning rate because a measure no longer gets better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlateauOptions {
    /// Which way the measure gets better.
    pub mode: Mode,
    /// Factor of a reduction.
    pub factor: f64,
    /// Measurements without an improvement that are waited for.
    pub patience: u64,
    /// Share of the best measure that counts as an improvement.
    pub threshold: f64,
    /// Measurements after a reduction that do not count.
    pub cooldown: u64,
    /// The learning rate goes no lower.
    pub min_learning_rate: f64,
}

/// The learning rate as it follows a measure: PyTorch's `ReduceLROnPlateau`, `threshold_mode="rel"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    /// The best measure so far.
    pub best: f64,
    /// Measurements since then.
    pub waited: u64,
    /// Measurements that will not count.
    pub resting: u64,
    /// The learning rate now.
    pub learning_rate: f64,
}

impl Plateau {
    /// Before the first measurement.
    pub fn new(mode: Mode, learning_rate: f64) -> Self {
        Self { best: mode.worst(), waited: 0, resting: 0, learning_rate }
    }

    /// Takes a measurement into account.
    pub fn measure(&mut self, value: f64, options: &PlateauOptions) {
        // Relative to the best, with its sign, as PyTorch has it.
        let margin = if self.best.is_finite() { options.threshold * self.best } else { 0.0 };
        if options.mode.improves(value, self.best, margin) {
            self.best = value;
            self.waited = 0;
        } else {
            self.waited += 1;
        }
        if self.resting > 0 {
            self.resting -= 1;
            self.waited = 0;
        }
        if self.waited > options.patience {
            // PyTorch leaves out changes below this.
            const LEAST_CHANGE: f64 = 1e-8;
            let lower = (self.learning_rate * options.factor).max(options.min_learning_rate);
            if self.learning_rate - lower > LEAST_CHANGE {
                self.learning_rate = lower;
            }
            self.resting = options.cooldown;
            self.waited = 0;
        }
    }
}
