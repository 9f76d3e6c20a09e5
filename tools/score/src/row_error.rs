//! What can be wrong with the target or the prediction of a row.

use thiserror::Error;

/// The message of an error that names the row: `stdin:2: target 7 is no class from 0 to 2`.
#[derive(Debug, Error)]
pub enum RowError {
    /// A label that is no class index.
    #[error(transparent)]
    Target(#[from] dataset::Error),
    #[error("target {target} is neither 0 nor 1{hint}")]
    NotBinary { target: f64, hint: &'static str },
    #[error("target {target} and prediction {prediction}: not both are finite")]
    NotFinite { target: f64, prediction: f64 },
    #[error("the prediction for {of} is {score}")]
    ScoreNotFinite { of: String, score: f64 },
    #[error("{of} has probability {score}, expected 0 to 1 (score.prediction=logits?)")]
    NotAProbability { of: String, score: f64 },
    #[error(
        "the probabilities sum to {sum}, expected 1 ± {tolerance} (score.prediction=logits? or raise score.tolerance)"
    )]
    Sum { sum: f64, tolerance: f64 },
    #[error("prediction {prediction} is no class from 0 to {}", classes.saturating_sub(1))]
    NotAClass { prediction: f64, classes: usize },
    #[error("class {class:?} is none of {known}")]
    UnknownClass { class: String, known: String },
    #[error("class {class:?} is one more than score.max_classes, {max}")]
    TooManyClasses { class: String, max: usize },
    #[error(
        "field {field:?} holds text: --classes runs/NAME/features.json names the classes in the order of the predictions"
    )]
    TextWithoutNames { field: String },
    #[error("field {prediction:?} holds text, and field {target:?} numbers")]
    TextAndNumbers { prediction: String, target: String },
}
