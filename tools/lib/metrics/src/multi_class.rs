use crate::{ClassScore, Confusion, Ranking, argmax, negative_log, scores::Scores};

/// Metrics of classifiers whose classes exclude each other, one row at a time.
///
/// Memory grows by `classes` scores and a label a row, for the ranking.
#[derive(Debug, Clone)]
pub struct MultiClass {
    confusion: Confusion,
    cross_entropy: f64,
    /// The class of each row that is ranked.
    actual: Vec<u32>,
    scores: Scores,
    /// Room for the softmax of a row.
    probabilities: Vec<f64>,
}

impl MultiClass {
    /// For classes 0 to `classes - 1`. Rankings are given up where there are more than `ranked` scores in all.
    pub fn new(classes: usize, ranked: usize) -> Self {
        Self {
            confusion: Confusion::new(classes),
            cross_entropy: 0.0,
            actual: Vec::new(),
            scores: Scores::new(classes, ranked),
            probabilities: Vec::new(),
        }
    }

    /// Counts pairs of classes only where there are at most `limit` classes.
    pub fn with_pairs(self, limit: usize) -> Self {
        Self { confusion: Confusion::with_pairs(self.confusion.classes(), limit), ..self }
    }

    /// Adds a row of class `actual` with the probability of each class; returns the predicted class. For the
    /// cross-entropy, probabilities are clipped to `eps..=1 - eps`; scikit-learn's `eps` is the machine epsilon of their
    /// dtype.
    pub fn add_probabilities(&mut self, actual: usize, probabilities: &[f64], eps: f64) -> usize {
        self.cross_entropy += negative_log(probabilities[actual], eps);
        self.rank(actual, probabilities);
        let predicted = argmax(probabilities);
        self.confusion.add(actual, predicted);
        predicted
    }

    /// Adds a row of class `actual` with the logit of each class; returns the predicted class. The cross-entropy is not
    /// clipped; ranked are the probabilities, the softmax.
    pub fn add_logits<T: Copy + PartialOrd + Into<f64>>(&mut self, actual: usize, logits: &[T]) -> usize {
        let predicted = argmax(logits);
        let max: f64 = logits[predicted].into();
        let mut probabilities = std::mem::take(&mut self.probabilities);
        probabilities.clear();
        probabilities.extend(logits.iter().map(|&logit| libm::exp(logit.into() - max)));
        let sum: f64 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|probability| *probability /= sum);
        self.cross_entropy += max + libm::log(sum) - logits[actual].into();
        self.rank(actual, &probabilities);
        self.probabilities = probabilities;
        self.confusion.add(actual, predicted);
        predicted
    }

    fn rank(&mut self, actual: usize, probabilities: &[f64]) {
        match (u32::try_from(actual), self.scores.push(probabilities)) {
            (Ok(actual), true) => self.actual.push(actual),
            _ => self.actual = Vec::new(),
        }
    }

    /// Rows by actual and predicted class.
    pub fn confusion(&self) -> &Confusion {
        &self.confusion
    }

    /// Mean negative log-likelihood in nats; NaN without rows. scikit-learn's `log_loss`.
    pub fn cross_entropy(&self) -> f64 {
        self.cross_entropy / self.confusion.rows() as f64
    }

    /// The score of each class, by the predicted classes.
    pub fn class_scores(&self) -> Vec<ClassScore> {
        self.confusion.class_scores()
    }

    /// The ranking of each class against all others; `None` in it for a class that has no rows, or all. `None` where
    /// there were too many scores to keep.
    pub fn rankings(&self) -> Option<Vec<Option<Ranking>>> {
        self.scores.rankings(|row, class| self.actual[row] as usize == class)
    }
}
