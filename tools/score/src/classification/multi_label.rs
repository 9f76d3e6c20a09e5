use super::{
    kind::{Kind, is_positive},
    score_check::ScoreCheck,
};
use crate::row_error::RowError;
use metrics::ClassificationReport;

/// The probability or logit of each of at least two labels, which do not exclude each other; the target has 0 or 1 for
/// each.
pub struct MultiLabel {
    check: ScoreCheck,
    labels: usize,
    metrics: metrics::MultiLabel,
}

impl MultiLabel {
    pub fn new(check: ScoreCheck, labels: usize, max_scores: usize) -> Self {
        Self { check, labels, metrics: metrics::MultiLabel::new(labels, max_scores) }
    }
}

impl Kind for MultiLabel {
    fn classes(&self) -> Option<usize> {
        Some(self.labels)
    }

    fn add(&mut self, target: &[f64], prediction: &[f64]) -> Result<Option<(usize, usize)>, RowError> {
        let actual = target.iter().map(|&target| is_positive(target, "")).collect::<Result<Vec<_>, _>>()?;
        self.check.check(prediction, |label| format!("label {label}"))?;
        match self.check.logits {
            true => self.metrics.add_logits(&actual, prediction),
            false => self.metrics.add_probabilities(&actual, prediction, self.check.eps),
        };
        Ok(None)
    }

    fn report(self: Box<Self>) -> ClassificationReport {
        self.metrics.report()
    }
}
