//! The metric by which runs are ranked.

use indexmap::IndexMap;
use metrics::{Direction, Mode, Split};
use serde_json::Value;

/// A metric and its direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// The metric's name in the run log, for example `val_loss`.
    pub metric: String,
    /// Whether lower or higher is better.
    pub direction: Direction,
}

/// The callbacks with a `monitor`, in order of precedence.
const CALLBACKS: [&str; 2] = ["callbacks.checkpoint", "callbacks.early_stopping"];

impl Monitor {
    /// A metric with its usual direction: errors and losses lower, scores higher.
    pub fn of(metric: &str) -> Self {
        Self { metric: metric.to_owned(), direction: Mode::Auto.of(Some(metric)) }
    }

    /// The monitor in the settings of a run: that of its checkpoints, else of early stopping, else `val_loss`, or
    /// `train_loss` if the run has no validation.
    pub(crate) fn read(settings: &IndexMap<String, Value>, validates: bool) -> Self {
        let text = |key: String| settings.get(&key).and_then(Value::as_str);
        let named = CALLBACKS.iter().find_map(|who| Some((*who, text(format!("{who}.monitor"))?)));
        let split = if validates { Split::Validation } else { Split::Train };
        let loss = split.metric("loss");
        let (who, metric) = named.unwrap_or((CALLBACKS[0], &loss));
        let own = Self::of(metric);
        let direction = match text(format!("{who}.mode")) {
            Some("min") => Direction::Minimize,
            Some("max") => Direction::Maximize,
            _ => own.direction,
        };
        Self { direction, ..own }
    }
}
