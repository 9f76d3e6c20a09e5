//! The metric that a run is judged by.

use indexmap::IndexMap;
use metrics::{Direction, direction_of};
use serde_json::Value;

/// A metric, and which way it gets better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// Its name in the run log, such as `val_loss`.
    pub metric: String,
    /// Whether lower or higher is better.
    pub direction: Direction,
}

/// The callbacks that watch a metric, the first to name one counts.
const CALLBACKS: [&str; 2] = ["callbacks.checkpoint", "callbacks.early_stopping"];

impl Monitor {
    /// A metric in its own direction.
    pub fn of(metric: &str) -> Self {
        Self { metric: metric.to_owned(), direction: direction_of(metric) }
    }

    /// What the settings of a run name: the monitor of its checkpoints or else of early stopping, or else `val_loss`;
    /// `train_loss` of a run that `validates` not.
    pub(crate) fn read(settings: &IndexMap<String, Value>, validates: bool) -> Self {
        let text = |key: String| settings.get(&key).and_then(Value::as_str);
        let named = CALLBACKS.iter().find_map(|who| Some((*who, text(format!("{who}.monitor"))?)));
        let loss = if validates { "val_loss" } else { "train_loss" };
        let (who, metric) = named.unwrap_or((CALLBACKS[0], loss));
        let own = Self::of(metric);
        let direction = match text(format!("{who}.mode")) {
            Some("min") => Direction::Minimize,
            Some("max") => Direction::Maximize,
            _ => own.direction,
        };
        Self { direction, ..own }
    }
}
