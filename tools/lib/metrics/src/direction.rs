//! Which values of a metric are better.

use crate::{Metric, Split};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Which values of a metric are better: the `mode` of PyTorch's and Lightning's callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Higher ones, `max`.
    #[serde(rename = "max")]
    Maximize,
    /// Lower ones, `min`.
    #[serde(rename = "min")]
    Minimize,
}

impl Direction {
    /// `min` or `max`, as settings and JSON have it.
    pub const fn mode(self) -> &'static str {
        match self {
            Self::Maximize => "max",
            Self::Minimize => "min",
        }
    }

    /// Whether `value` is better than `best` by more than `min_delta`; NaN never is.
    pub fn improves(self, value: f64, best: f64, min_delta: f64) -> bool {
        match self {
            Self::Maximize => value > best + min_delta,
            Self::Minimize => value < best - min_delta,
        }
    }

    /// What every value improves: an infinity.
    pub const fn worst(self) -> f64 {
        match self {
            Self::Maximize => f64::NEG_INFINITY,
            Self::Minimize => f64::INFINITY,
        }
    }

    /// Orders the better value first and NaN last.
    pub fn better_first(self, a: f64, b: f64) -> Ordering {
        let by_value = match self {
            Self::Maximize => b.partial_cmp(&a),
            Self::Minimize => a.partial_cmp(&b),
        };
        by_value.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    }
}

/// The setting `mode` beside the name of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The metric's own direction.
    Auto,
    /// Lower values are better.
    Min,
    /// Higher values are better.
    Max,
}

impl Mode {
    /// The direction that the setting names; `None` of `auto`.
    pub const fn direction(self) -> Option<Direction> {
        match self {
            Self::Auto => None,
            Self::Min => Some(Direction::Minimize),
            Self::Max => Some(Direction::Maximize),
        }
    }

    /// The direction for `metric`, a loss where there is none; `auto` is [`direction_of`] it, or else that of a loss.
    pub fn of(self, metric: Option<&str>) -> Direction {
        self.direction().or_else(|| direction_of(metric?)).unwrap_or(Direction::Minimize)
    }
}

/// Whether higher or lower values of a metric are better, by its name, which may begin with a [`Split`]: `val_auc`.
///
/// A name that is no [`Metric`] is taken for a loss or an error, which are minimized. `None` of the learning rate, which
/// measures nothing.
pub fn direction_of(name: &str) -> Option<Direction> {
    if name == "learning_rate" {
        return None;
    }
    let (_, name) = Split::of_metric(name);
    let metric = Metric::from_name(name).or_else(|| Metric::from_name(name.strip_prefix("macro_")?));
    Some(metric.map_or(Direction::Minimize, Metric::direction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_known_with_and_without_a_split() {
        for name in ["accuracy", "val_accuracy", "test_auc", "macro_f1", "val_macro_recall", "r2", "train_r2_0", "f1"] {
            assert_eq!(direction_of(name), Some(Direction::Maximize), "{name}");
        }
        for name in ["loss", "val_loss", "test_mse", "mae", "cross_entropy", "", "auction", "r20", "macro_mse"] {
            assert_eq!(direction_of(name), Some(Direction::Minimize), "{name}");
        }
        assert_eq!(direction_of("macro_auc"), Some(Direction::Maximize));
        assert_eq!(direction_of("learning_rate"), None);
    }

    #[test]
    fn an_improvement_is_larger_than_its_least_change() {
        let (max, min) = (Direction::Maximize, Direction::Minimize);
        assert!(max.improves(0.75, 0.5, 0.125) && !max.improves(0.75, 0.5, 0.25) && !max.improves(0.5, 0.5, 0.0));
        assert!(min.improves(0.25, 0.5, 0.125) && !min.improves(0.25, 0.5, 0.25) && !min.improves(0.5, 0.5, 0.0));
        for direction in [max, min] {
            assert!(direction.improves(0.0, direction.worst(), 0.0));
            assert!(!direction.improves(f64::NAN, direction.worst(), 0.0));
        }
    }

    #[test]
    fn the_better_value_is_ordered_first_and_nan_last() {
        let sorted = |direction: Direction| {
            let mut values = [f64::NAN, 1.0, 3.0, f64::NAN, 2.0];
            values.sort_by(|a, b| direction.better_first(*a, *b));
            assert!(values[3..].iter().all(|value| value.is_nan()));
            [values[0], values[1], values[2]]
        };
        assert_eq!(sorted(Direction::Minimize), [1.0, 2.0, 3.0]);
        assert_eq!(sorted(Direction::Maximize), [3.0, 2.0, 1.0]);
    }

    #[test]
    fn modes_are_min_and_max() {
        for (mode, direction) in [(Mode::Min, Direction::Minimize), (Mode::Max, Direction::Maximize)] {
            assert_eq!(mode.direction(), Some(direction));
            assert_eq!(serde_json::to_string(&direction).expect("a text"), format!("\"{}\"", direction.mode()));
            let read: Mode = serde_json::from_str(&format!("\"{}\"", direction.mode())).expect("a mode");
            assert_eq!(read, mode);
        }
        assert_eq!(Mode::Auto.direction(), None);
        assert_eq!(Mode::Auto.of(Some("val_auc")), Direction::Maximize);
        assert_eq!(Mode::Min.of(Some("val_auc")), Direction::Minimize);
        assert_eq!([None, Some("learning_rate")].map(|name| Mode::Auto.of(name)), [Direction::Minimize; 2]);
    }
}
