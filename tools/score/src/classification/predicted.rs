use super::kind::{Kind, actual_class};
use crate::row_error::RowError;
use metrics::{ClassificationReport, ConfusionMatrix};

/// Predicted classes without scores; target and prediction are class indices.
pub struct PredictedClasses {
    /// Class indices are below this.
    classes: usize,
    confusion: ConfusionMatrix,
}

impl PredictedClasses {
    /// For so many known classes, or as many as occur, up to `max_classes`. The cells of the matrix are counted for at most
    /// `max_matrix` classes.
    pub fn new(known_classes: Option<usize>, max_classes: usize, max_matrix: usize) -> Self {
        Self {
            classes: known_classes.unwrap_or(max_classes),
            confusion: ConfusionMatrix::with_max_classes(known_classes.unwrap_or(0), max_matrix),
        }
    }
}

impl Kind for PredictedClasses {
    fn classes(&self) -> Option<usize> {
        None
    }

    fn add(&mut self, target: &[f64], prediction: &[f64]) -> Result<Option<(usize, usize)>, RowError> {
        let (classes, prediction) = (self.classes, prediction[0]);
        let actual = actual_class(target[0], classes)?;
        let predicted = actual_class(prediction, classes).map_err(|_| RowError::NotAClass { prediction, classes })?;
        self.confusion.add(actual, predicted);
        Ok(Some((actual, predicted)))
    }

    fn report(self: Box<Self>) -> ClassificationReport {
        self.confusion.report()
    }
}
