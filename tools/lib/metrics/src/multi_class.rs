//! Classifiers of several classes.

use crate::{
    ClassificationReport, ConfusionMatrix, MacroMeans, Metric, Ranking, argmax, negative_log,
    report::{macro_metrics, ranking_metrics},
    score_buffer::ScoreBuffer,
};

/// A classifier whose classes exclude each other.
///
/// Memory grows by `classes` scores and a label a row, for AUC and average precision.
#[derive(Debug, Clone)]
pub struct MultiClass {
    confusion: ConfusionMatrix,
    /// Sum over rows, in nats.
    cross_entropy: f64,
    /// The class of each row in `scores`.
    actual: Vec<u32>,
    /// `[rows, classes]` probabilities.
    scores: ScoreBuffer,
    /// Scratch: the softmax of a row.
    probabilities: Vec<f64>,
}

impl MultiClass {
    /// For classes 0 to `classes - 1`. Where rows times classes is more than `max_scores`, there are no AUC and average
    /// precision.
    pub fn new(classes: usize, max_scores: usize) -> Self {
        Self {
            confusion: ConfusionMatrix::new(classes),
            cross_entropy: 0.0,
            actual: Vec::new(),
            scores: ScoreBuffer::new(classes, max_scores),
            probabilities: Vec::new(),
        }
    }

    /// Counts the cells of the confusion matrix only where there are at most `max_classes` classes.
    pub fn with_max_matrix(self, max_classes: usize) -> Self {
        Self { confusion: ConfusionMatrix::with_max_classes(self.confusion.classes(), max_classes), ..self }
    }

    /// Adds a row of class `actual` with the probability of each class; returns the predicted class. For the
    /// cross-entropy, probabilities are clipped to `eps..=1 - eps`; scikit-learn's `eps` is the machine epsilon of their
    /// dtype.
    pub fn add_probabilities(&mut self, actual: usize, probabilities: &[f64], eps: f64) -> usize {
        self.cross_entropy += negative_log(probabilities[actual], eps);
        self.add_scores(actual, probabilities);
        let predicted = argmax(probabilities);
        self.confusion.add(actual, predicted);
        predicted
    }

    /// Adds a row of class `actual` with the logit of each class; returns the predicted class. The cross-entropy is not
    /// clipped; AUC and average precision are of the softmax.
    pub fn add_logits<T: Copy + PartialOrd + Into<f64>>(&mut self, actual: usize, logits: &[T]) -> usize {
        let predicted = argmax(logits);
        let max: f64 = logits[predicted].into();
        let mut probabilities = std::mem::take(&mut self.probabilities);
        probabilities.clear();
        probabilities.extend(logits.iter().map(|&logit| libm::exp(logit.into() - max)));
        let sum: f64 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|probability| *probability /= sum);
        self.cross_entropy += max + libm::log(sum) - logits[actual].into();
        self.add_scores(actual, &probabilities);
        self.probabilities = probabilities;
        self.confusion.add(actual, predicted);
        predicted
    }

    fn add_scores(&mut self, actual: usize, probabilities: &[f64]) {
        match (u32::try_from(actual), self.scores.push(probabilities)) {
            (Ok(actual), true) => self.actual.push(actual),
            _ => self.actual = Vec::new(),
        }
    }

    /// Rows by actual and predicted class.
    pub fn confusion(&self) -> &ConfusionMatrix {
        &self.confusion
    }

    /// Mean negative log-likelihood in nats; NaN without rows. scikit-learn's `log_loss`.
    pub fn cross_entropy(&self) -> f64 {
        self.cross_entropy / self.confusion.rows() as f64
    }

    /// The ranking of each class against all others; `None` in it for a class that has no rows, or all. `None` where
    /// there were too many scores to keep.
    pub fn rankings(&self) -> Option<Vec<Option<Ranking>>> {
        self.scores.rankings(|row, class| self.actual[row] as usize == class)
    }

    /// The metrics over all rows.
    pub fn report(self) -> ClassificationReport {
        let (class_scores, rankings) = (self.confusion.class_scores(), self.rankings());
        let mut metrics = vec![
            (Metric::Accuracy, Some(self.confusion.accuracy())),
            (Metric::CrossEntropy, Some(self.cross_entropy())),
        ];
        metrics.extend(macro_metrics(MacroMeans::over_occurring(&class_scores)));
        metrics.extend(ranking_metrics(rankings.as_deref().and_then(Ranking::of_classes)));
        let rows = self.confusion.rows();
        ClassificationReport { rows, metrics, class_scores, rankings, confusion: Some(self.confusion) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_counted_up_to_a_number_of_classes() {
        let counted = |limit| {
            let mut metrics = MultiClass::new(3, usize::MAX).with_max_matrix(limit);
            metrics.add_probabilities(2, &[0.5, 0.3, 0.2], 1e-15);
            metrics.confusion().matrix().map(|rows| rows.collect::<Vec<_>>())
        };
        assert_eq!(counted(2), None);
        assert_eq!(counted(3), Some(vec![vec![0, 0, 0], vec![0, 0, 0], vec![1, 0, 0]]));
    }

    #[test]
    fn logits_are_ranked_as_their_softmax() {
        // Of two rows the first has the greater logit of class 0, and the second the greater probability.
        let mut metrics = MultiClass::new(2, usize::MAX);
        assert_eq!(metrics.add_logits(1, &[5.0, 5.5]), 1);
        assert_eq!(metrics.add_logits(0, &[4.0, 1.0]), 0);
        let rankings = metrics.rankings().expect("few scores");
        assert_eq!(rankings[0].map(|ranking| ranking.auc), Some(1.0));
        // -log softmax by hand: log(1 + exp(-0.5)) and log(1 + exp(-3)).
        let expected = ((-0.5f64).exp().ln_1p() + (-3f64).exp().ln_1p()) / 2.0;
        assert!((metrics.cross_entropy() - expected).abs() < 1e-15, "{}", metrics.cross_entropy());
    }
}
