//! Learning-rate schedules in closed form.

use serde::Deserialize;
use std::f64::consts::PI;

/// The learning rate as a function of time. Time is the number of steps or epochs done, as the trainer chooses;
/// definitions are those of PyTorch's schedulers.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// The base learning rate at all times.
    Constant,
    /// Multiplied by `gamma` every `step_size`: `StepLR`.
    Step {
        /// Steps or epochs between two decays, at least 1.
        step_size: u64,
        /// Factor of a decay.
        gamma: f64,
    },
    /// Multiplied by `gamma` at each milestone: `MultiStepLR`.
    MultiStep {
        /// Times of the decays.
        milestones: Vec<u64>,
        /// Factor of a decay.
        gamma: f64,
    },
    /// Cosine annealing with warm restarts (Loshchilov and Hutter, "SGDR", 2017): `CosineAnnealingWarmRestarts`.
    Cosine {
        /// Length of the first period (`T_0`), at least 1.
        period: u64,
        /// Factor from the length of a period to that of the next (`T_mult`), at least 1.
        period_factor: u64,
        /// The learning rate at the end of a period (`eta_min`).
        min_learning_rate: f64,
    },
    /// One rise to the base learning rate and one fall (Smith and Topin, "Super-convergence", 2018): `OneCycleLR`, whose
    /// `max_lr` is the base.
    OneCycle {
        /// Length of the cycle (`total_steps`); after it the learning rate stays.
        total: u64,
        /// Fraction of the cycle that rises (`pct_start`), 0 to 1.
        rise: f64,
        /// The peak over the first learning rate.
        div_factor: f64,
        /// The first learning rate over the last.
        final_div_factor: f64,
        /// The shape of rise and fall (`anneal_strategy`).
        anneal: Anneal,
    },
    /// The learning rate is the base here; [`Plateau`](crate::Plateau) reduces that as it follows a metric.
    ReduceOnPlateau,
}

/// The curve between two learning rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anneal {
    /// Half a period of a cosine.
    Cosine,
    /// A straight line.
    Linear,
}

impl Anneal {
    /// The value at `fraction` of the way, `start` at 0 and `end` at 1.
    fn between(self, start: f64, end: f64, fraction: f64) -> f64 {
        match self {
            Self::Cosine => end + (start - end) * (1.0 + libm::cos(PI * fraction)) / 2.0,
            Self::Linear => start + (end - start) * fraction,
        }
    }
}

impl Schedule {
    /// The learning rate at `time`, counted from 0, of an optimizer with learning rate `base`.
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
                // Periods of one length need no loop; longer and longer ones are few.
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
                // PyTorch's phases end at these times, whole or not.
                let peak = rise * *total as f64 - 1.0;
                let last = *total as f64 - 1.0;
                let at = (time as f64).min(last);
                if at <= peak {
                    // A rise of length 0 is at its end.
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
