//! Binary classifiers.

use crate::{
    ClassificationReport, MacroMeans, Metric, MultiLabel,
    report::{macro_metrics, ranking_metrics},
};

/// A classifier that gives one score a row, of class 1 rather than 0.
///
/// Memory grows by a score and a boolean a row, for AUC and average precision.
#[derive(Debug, Clone)]
pub struct Binary(MultiLabel);

impl Binary {
    /// Where there are more than `max_scores` rows, there are no AUC and average precision.
    pub fn new(max_scores: usize) -> Self {
        Self(MultiLabel::new(1, max_scores))
    }

    /// Adds a row with the probability of class 1; returns whether class 1 is predicted, by a probability above 0.5. `eps`
    /// as of [`MultiLabel::add_probabilities`].
    pub fn add_probability(&mut self, actual: bool, probability: f64, eps: f64) -> bool {
        self.0.add_probabilities(&[actual], &[probability], eps)[0]
    }

    /// Adds a row with the logit of class 1; returns whether class 1 is predicted, by a logit above 0.
    pub fn add_logit(&mut self, actual: bool, logit: f64) -> bool {
        self.0.add_logits(&[actual], &[logit])[0]
    }

    /// The metrics over all rows: class scores and rankings are of class 0 and class 1, precision, recall, F1, AUC and
    /// average precision of class 1.
    pub fn report(self) -> ClassificationReport {
        let confusion = self.0.confusion(0);
        let class_scores = confusion.class_scores();
        let rankings = self.0.rankings().zip(self.0.inverse_rankings());
        let rankings = rankings.map(|(positive, negative)| [negative, positive].concat());
        let positive = class_scores[1];
        let mut metrics = vec![
            (Metric::Accuracy, Some(self.0.accuracy())),
            (Metric::CrossEntropy, Some(self.0.cross_entropy())),
            (Metric::Precision, positive.precision),
            (Metric::Recall, positive.recall),
            (Metric::F1, positive.f1),
        ];
        metrics.extend(macro_metrics(MacroMeans::over_occurring(&class_scores)));
        metrics.extend(ranking_metrics(rankings.as_deref().and_then(|rankings| rankings[1])));
        ClassificationReport { rows: self.0.rows(), metrics, class_scores, rankings, confusion: Some(confusion) }
    }
}
