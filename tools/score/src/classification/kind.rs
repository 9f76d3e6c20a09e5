//! The kinds of classifiers, told apart by the shapes of target and prediction.

use super::{
    binary::Binary, multi_class::MultiClass, multi_label::MultiLabel, predicted::PredictedClasses,
    score_check::ScoreCheck,
};
use crate::{
    row_error::RowError,
    rows::Rows,
    settings::{Classification, Prediction},
};
use metrics::ClassificationReport;

/// A kind of classifier.
pub trait Kind {
    /// Number of classes, or of labels; `None` where the rows tell it.
    fn classes(&self) -> Option<usize>;
    /// Accumulates a row; returns the actual and the predicted class, `None` where there are several of each.
    fn add(&mut self, target: &[f64], prediction: &[f64]) -> Result<Option<(usize, usize)>, RowError>;
    /// The metrics over all rows.
    fn report(self: Box<Self>) -> ClassificationReport;
}

impl dyn Kind {
    /// The kind that the rows' shapes tell, for a prediction field that holds `prediction`; `known_classes` is the number
    /// of names, if there are some.
    ///
    /// # Errors
    /// When the shapes of target and prediction do not go together.
    pub fn of(
        rows: &Rows<'_>,
        holds: Prediction,
        settings: &Classification,
        known_classes: Option<usize>,
    ) -> records::Result<Box<Self>> {
        let Rows { batch, target, prediction, .. } = rows;
        let check = ScoreCheck::new(settings);
        let Classification { ranking_scores, confusion_classes, max_classes, .. } = *settings;
        Ok(match (holds, target.elements(), prediction.elements()) {
            (Prediction::Labels, 1, 1) => {
                Box::new(PredictedClasses::new(known_classes, max_classes, confusion_classes))
            }
            (Prediction::Labels, 1, _) => return Err(batch.wrong_shape(prediction, "one class index")),
            (Prediction::Labels, ..) => return Err(batch.wrong_shape(target, "one class index")),
            (_, 1, 1) => Box::new(Binary::new(check, ranking_scores)),
            (_, 1, classes) => Box::new(MultiClass::new(check, classes, ranking_scores, confusion_classes)),
            (_, labels, same) if labels == same => Box::new(MultiLabel::new(check, labels, ranking_scores)),
            (_, _, 1) => return Err(batch.wrong_shape(target, "0 or 1, as the prediction is one number")),
            (_, _, classes) => {
                let expected = format!("one class index, or 0 or 1 for each of {classes} labels");
                return Err(batch.wrong_shape(target, &expected));
            }
        })
    }
}

/// Whether a target of 0 or 1 is 1. `hint` ends the message of any other.
pub fn is_positive(target: f64, hint: &'static str) -> Result<bool, RowError> {
    match target {
        0.0 => Ok(false),
        1.0 => Ok(true),
        target => Err(RowError::NotBinary { target, hint }),
    }
}

/// The class that a target field's number means.
pub fn actual_class(target: f64, classes: usize) -> Result<usize, RowError> {
    Ok(dataset::classes::of_label(target, classes)?)
}
