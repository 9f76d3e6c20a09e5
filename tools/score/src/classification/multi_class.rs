use super::{
    kind::{Kind, actual_class},
    score_check::ScoreCheck,
};
use crate::row_error::RowError;
use metrics::ClassificationReport;

/// The probability or logit of each of at least two classes, which exclude each other; the target is a class index.
pub struct MultiClass {
    check: ScoreCheck,
    classes: usize,
    metrics: metrics::MultiClass,
}

impl MultiClass {
    pub fn new(check: ScoreCheck, classes: usize, max_scores: usize, max_matrix: usize) -> Self {
        Self { check, classes, metrics: metrics::MultiClass::new(classes, max_scores).with_max_matrix(max_matrix) }
    }
}

impl Kind for MultiClass {
    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn add(&mut self, target: &[f64], prediction: &[f64]) -> Result<Option<(usize, usize)>, RowError> {
        let actual = actual_class(target[0], self.classes)?;
        self.check.check(prediction, |class| format!("class {class}"))?;
        self.check.check_sum(prediction)?;
        let predicted = match self.check.logits {
            true => self.metrics.add_logits(actual, prediction),
            false => self.metrics.add_probabilities(actual, prediction, self.check.eps),
        };
        Ok(Some((actual, predicted)))
    }

    fn report(self: Box<Self>) -> ClassificationReport {
        self.metrics.report()
    }
}
