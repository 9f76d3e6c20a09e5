use crate::{ClassScore, Confusion, Ranking, negative_log, scores::Scores};

/// Metrics of classifiers with a yes or no for each label, one row at a time. A binary classifier is one of one label.
///
/// Memory grows by `labels` scores and truths a row, for the ranking.
#[derive(Debug, Clone)]
pub struct MultiLabel {
    labels: Vec<Label>,
    rows: u64,
    /// Rows with all labels right.
    subset_hits: u64,
    cross_entropy: f64,
    /// `[rows, labels]`, of the rows that are ranked.
    actual: Vec<bool>,
    scores: Scores,
    /// What was predicted of the last row.
    predicted: Vec<bool>,
}

/// Rows by what a label is and what it was taken for.
#[derive(Debug, Clone, Default)]
struct Label {
    true_positives: u64,
    predicted: u64,
    support: u64,
}

impl MultiLabel {
    /// For rows of so many labels, at least one. Rankings are given up where there are more than `ranked` scores in all.
    pub fn new(labels: usize, ranked: usize) -> Self {
        Self {
            labels: vec![Label::default(); labels],
            rows: 0,
            subset_hits: 0,
            cross_entropy: 0.0,
            actual: Vec::new(),
            scores: Scores::new(labels, ranked),
            predicted: Vec::new(),
        }
    }

    /// Adds a row with the probability of each label, and returns which are predicted: above 0.5 is yes. For the
    /// cross-entropy, probabilities are clipped to `eps..=1 - eps`; scikit-learn's `eps` is the machine epsilon of their
    /// dtype.
    pub fn add_probabilities(&mut self, actual: &[bool], probabilities: &[f64], eps: f64) -> &[bool] {
        let of_truth = |(&actual, &yes): (&bool, &f64)| negative_log(if actual { yes } else { 1.0 - yes }, eps);
        self.cross_entropy += actual.iter().zip(probabilities).map(of_truth).sum::<f64>();
        self.count(actual, probabilities, 0.5)
    }

    /// Adds a row with the logit of each label, and returns which are predicted: above 0 is yes. The cross-entropy is not
    /// clipped; ranked are the logits.
    pub fn add_logits(&mut self, actual: &[bool], logits: &[f64]) -> &[bool] {
        let of_truth = |(&actual, &logit): (&bool, &f64)| {
            // log(1 + exp(logit)) - target · logit, without overflow
            logit.max(0.0) - if actual { logit } else { 0.0 } + libm::log1p(libm::exp(-logit.abs()))
        };
        self.cross_entropy += actual.iter().zip(logits).map(of_truth).sum::<f64>();
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
        let wrong = |label: &Label| label.predicted + label.support - 2 * label.true_positives;
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

    /// The score of each label's yes.
    pub fn class_scores(&self) -> Vec<ClassScore> {
        self.labels.iter().map(|label| ClassScore::new(label.true_positives, label.predicted, label.support)).collect()
    }

    /// Rows by what a label is and what it was taken for: class 0 is no, class 1 yes.
    pub fn confusion(&self, label: usize) -> Confusion {
        let Label { true_positives, predicted, support } = self.labels[label];
        let mut confusion = Confusion::new(2);
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

    /// As [`MultiLabel::rankings`], of each label's no: the lower a score, the surer.
    pub fn inverse_rankings(&self) -> Option<Vec<Option<Ranking>>> {
        let labels = self.labels.len();
        self.scores.inverse_rankings(|row, label| !self.actual[row * labels + label])
    }
}
