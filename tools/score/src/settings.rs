//! Config group `score`.

use anyhow::ensure;
use config::Document;
use serde::{Deserialize, de::IgnoredAny};

/// The settings of each task.
pub enum Settings {
    Regression(Regression),
    Classification(Classification),
}

/// The key that says which others there are.
#[derive(Deserialize)]
struct Shared {
    task: Task,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Task {
    Regression,
    Classification,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    #[serde(rename = "task")]
    _task: IgnoredAny,
    pub target_field: String,
    pub prediction_field: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    #[serde(rename = "task")]
    _task: IgnoredAny,
    pub target_field: String,
    pub prediction_field: String,
    pub prediction: Prediction,
    /// By how much a probability may exceed 1, and the sum of a row's differ from 1.
    pub tolerance: f64,
    /// The confusion matrix is written up to this many classes.
    pub confusion_classes: usize,
    /// Limit on the number of classes where nothing names them.
    pub max_classes: usize,
    /// Limit on the predicted scores that are kept for AUC and average precision.
    pub ranking_scores: usize,
}

/// What the prediction field holds.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The probability of each class or label, or of class 1.
    Probabilities,
    /// The argument of a softmax or a sigmoid.
    Logits,
    /// The class itself.
    Labels,
}

impl Settings {
    /// # Errors
    /// When a key is missing, unknown or out of its range.
    pub fn new(document: &Document) -> anyhow::Result<Self> {
        let Shared { task } = document.section("score")?;
        if let Task::Regression = task {
            return Ok(Self::Regression(document.section("score")?));
        }
        let settings: Classification = document.section("score")?;
        let tolerance = settings.tolerance;
        ensure!((0.0..1.0).contains(&tolerance), "score.tolerance: {tolerance}; expected 0 or more, below 1");
        Ok(Self::Classification(settings))
    }

    /// The names of the fields with target and prediction.
    pub fn fields(&self) -> [&str; 2] {
        match self {
            Self::Regression(Regression { target_field, prediction_field, .. })
            | Self::Classification(Classification { target_field, prediction_field, .. }) => {
                [target_field, prediction_field]
            }
        }
    }
}
