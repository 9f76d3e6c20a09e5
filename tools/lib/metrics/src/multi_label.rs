//! Classifiers of several labels.

use crate::{
    ClassScore, ClassificationReport, ConfusionMatrix, MacroMeans, Metric, Ranking,
    argmax::THRESHOLD,
    confusion::ClassCounts,
    negative_log,
    report::{macro_metrics, ranking_metrics},
    score_buffer::ScoreBuffer,
};

/// A classifier of labels that do not exclude each other: each is there or not.
///
/// Memory grows by `labels` scores and booleans a row, for AUC and average precision.
#[derive(Debug, Clone)]
pub struct MultiLabel {
    labels: Vec<ClassCounts>,
    rows: u64,
    /// Rows with all labels right.
    subset_hits: u64,
    /// Sum over rows and labels, in nats.
    cross_entropy: f64,
    /// `[rows, labels]`, of the rows in `scores`.
    actual: Vec<bool>,
    /// `[rows, labels]` probabilities or logits.
    scores: ScoreBuffer,
    /// `[labels]` of the last row.
    predicted: Vec<bool>,
}

impl MultiLabel {
    /// For rows of so many labels, at least one. Where rows times labels is more than `max_scores`, there are no AUC and
    /// average precision.
    pub fn new(labels: usize, max_scores: usize) -> Self {
        Self {
            labels: vec![ClassCounts::default(); labels],
            rows: 0,
            subset_hits: 0,
            cross_entropy: 0.0,
            actual: Vec::new(),
            scores: ScoreBuffer::new(labels, max_scores),
            predicted: Vec::new(),
        }
    }

    /// Adds a row with the probability of each label; returns which labels are predicted, those above 0.5. For the
    /// cross-entropy, probabilities are clipped to `eps..=1 - eps`; scikit-learn's `eps` is the machine epsilon of their
    /// dtype.
    pub fn add_probabilities(&mut self, actual: &[bool], probabilities: &[f64], eps: f64) -> &[bool] {
        let loss =
            |(&actual, &positive): (&bool, &f64)| negative_log(if actual { positive } else { 1.0 - positive }, eps);
        self.cross_entropy += actual.iter().zip(probabilities).map(loss).sum::<f64>();
        self.count(actual, probabilities, THRESHOLD)
    }

    /// Adds a row with the logit of each label; returns which labels are predicted, those above 0. The cross-entropy is not
    /// clipped; AUC and average precision are of the logits.
    pub fn add_logits(&mut self, actual: &[bool], logits: &[f64]) -> &[bool] {
        let loss = |(&actual, &logit): (&bool, &f64)| {
            // log(1 + exp(logit)) - target · logit, without overflow
            logit.max(0.0) - if actual { logit } else { 0.0 } + libm::log1p(libm::exp(-logit.abs()))
        };
        self.cross_entropy += actual.iter().zip(logits).map(loss).sum::<f64>();
        self.count(actual, logits, 0.0)
    }

    fn count(&mut self, actual: &[bool], scores: &[f64], threshold: f64) -> &[bool] {
        self.predicted.clear();
        self.predicted.extend(scores.iter().map(|&score| score > threshold));
        for (label, (&actual, &predicted)) in self.labels.iter_mut().zip(actual.iter().zip(&self.predicted)) {
            label.true_positives += u64::from(actual && predicted);
            label.predicted += u64::from(predicted);
            label.support += u64::from(actual);
        }
        self.rows += 1;
        self.subset_hits += u64::from(self.predicted == actual);
        if self.scores.push(scores) {
            self.actual.extend_from_slice(actual);
        } else {
            self.actual = Vec::new();
        }
        &self.predicted
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Share of all elements that are right; NaN without rows.
    pub fn accuracy(&self) -> f64 {
        let wrong = |label: &ClassCounts| label.predicted + label.support - 2 * label.true_positives;
        let all = self.rows * self.labels.len() as u64;
        (all - self.labels.iter().map(wrong).sum::<u64>()) as f64 / all as f64
    }

    /// Share of the rows with all labels right; NaN without rows. scikit-learn's `accuracy_score` of indicators.
    pub fn subset_accuracy(&self) -> f64 {
        self.subset_hits as f64 / self.rows as f64
    }

    /// Mean negative log-likelihood of an element in nats; NaN without rows. Of one label scikit-learn's `log_loss`.
    pub fn cross_entropy(&self) -> f64 {
        self.cross_entropy / (self.rows * self.labels.len() as u64) as f64
    }

    /// One for each label.
    pub fn class_scores(&self) -> Vec<ClassScore> {
        self.labels.iter().map(|&counts| ClassScore::new(counts)).collect()
    }

    /// The 2 × 2 matrix of one label: class 1 is with the label, class 0 without it.
    pub fn confusion(&self, label: usize) -> ConfusionMatrix {
        let ClassCounts { true_positives, predicted, support } = self.labels[label];
        let mut confusion = ConfusionMatrix::new(2);
        confusion.add_rows(1, 1, true_positives);
        confusion.add_rows(1, 0, support - true_positives);
        confusion.add_rows(0, 1, predicted - true_positives);
        confusion.add_rows(0, 0, self.rows + true_positives - predicted - support);
        confusion
    }

    /// The ranking of each label; `None` in it for a label that no row has, or all have. `None` where there were too many
    /// scores to keep.
    pub fn rankings(&self) -> Option<Vec<Option<Ranking>>> {
        let labels = self.labels.len();
        self.scores.rankings(|row, label| self.actual[row * labels + label])
    }

    /// As [`MultiLabel::rankings`], of the rows without the label: the lower a score, the better it ranks.
    pub fn inverse_rankings(&self) -> Option<Vec<Option<Ranking>>> {
        let labels = self.labels.len();
        self.scores.inverse_rankings(|row, label| !self.actual[row * labels + label])
    }

    /// The metrics over all rows.
    pub fn report(self) -> ClassificationReport {
        let (class_scores, rankings) = (self.class_scores(), self.rankings());
        let mut metrics = vec![
            (Metric::Accuracy, Some(self.accuracy())),
            (Metric::SubsetAccuracy, Some(self.subset_accuracy())),
            (Metric::CrossEntropy, Some(self.cross_entropy())),
        ];
        metrics.extend(macro_metrics(MacroMeans::over(class_scores.iter())));
        metrics.extend(ranking_metrics(rankings.as_deref().and_then(Ranking::macro_mean)));
        ClassificationReport { rows: self.rows, metrics, class_scores, rankings, confusion: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_is_ranked_by_its_own_scores_and_truths() {
        // Label 0 has its yes above its no; label 1 below.
        let mut metrics = MultiLabel::new(2, usize::MAX);
        assert_eq!(metrics.add_probabilities(&[true, false], &[0.75, 0.875], 1e-15), [true, true]);
        assert_eq!(metrics.add_probabilities(&[false, true], &[0.25, 0.5], 1e-15), [false, false]);
        let auc = |rankings: Option<Vec<Option<Ranking>>>| {
            rankings
                .expect("few scores")
                .into_iter()
                .map(|ranking| ranking.expect("both occur").auc)
                .collect::<Vec<_>>()
        };
        assert_eq!(auc(metrics.rankings()), [1.0, 0.0]);
        assert_eq!(auc(metrics.inverse_rankings()), [1.0, 0.0]);
        // Of four elements those of label 0 are right; no row is right in both.
        assert_eq!((metrics.rows(), metrics.accuracy(), metrics.subset_accuracy()), (2, 0.5, 0.0));
        // -ln of 0.75, 0.125, 0.75 and 0.5.
        let expected = -(0.75f64 * 0.125 * 0.75 * 0.5).ln() / 4.0;
        assert!((metrics.cross_entropy() - expected).abs() < 1e-15, "{}", metrics.cross_entropy());
    }
}
