use super::{
    kind::{Kind, is_positive},
    score_check::ScoreCheck,
};
use crate::row_error::RowError;
use metrics::ClassificationReport;

/// The probability or logit of class 1; the target is 0 or 1.
pub struct Binary {
    check: ScoreCheck,
    metrics: metrics::Binary,
}

impl Binary {
    pub fn new(check: ScoreCheck, max_scores: usize) -> Self {
        Self { check, metrics: metrics::Binary::new(max_scores) }
    }
}

impl Kind for Binary {
    fn classes(&self) -> Option<usize> {
        Some(2)
    }

    fn add(&mut self, target: &[f64], prediction: &[f64]) -> Result<Option<(usize, usize)>, RowError> {
        let actual = is_positive(target[0], " (score.prediction=labels?)")?;
        self.check.check(prediction, |_| "class 1".to_owned())?;
        let predicted = match self.check.logits {
            true => self.metrics.add_logit(actual, prediction[0]),
            false => self.metrics.add_probability(actual, prediction[0], self.check.eps),
        };
        Ok(Some((actual.into(), predicted.into())))
    }

    fn report(self: Box<Self>) -> ClassificationReport {
        self.metrics.report()
    }
}
