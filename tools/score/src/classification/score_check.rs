//! What predicted scores must be.

use crate::{
    row_error::RowError,
    settings::{Classification, Prediction},
};

/// Whether predicted scores are probabilities or logits, and the checks on them.
pub struct ScoreCheck {
    pub logits: bool,
    /// `score.tolerance`: by how much a probability may exceed 1, and the sum of a row's differ from 1.
    tolerance: f64,
    /// Probabilities are clipped to `eps..=1 - eps` for the cross-entropy: the machine epsilon of f64, which all encodings
    /// are read as.
    pub eps: f64,
}

impl ScoreCheck {
    pub fn new(settings: &Classification) -> Self {
        let logits = settings.prediction == Prediction::Logits;
        Self { logits, tolerance: settings.tolerance, eps: f64::EPSILON }
    }

    /// Whether the scores of a row are finite, and probabilities unless they are logits. `name(index)` is what messages
    /// call a score.
    pub fn check(&self, scores: &[f64], name: impl Fn(usize) -> String) -> Result<(), RowError> {
        for (i, &score) in scores.iter().enumerate() {
            if !score.is_finite() {
                return Err(RowError::ScoreNotFinite { of: name(i), score });
            }
            if !self.logits && !(0.0..=1.0 + self.tolerance).contains(&score) {
                return Err(RowError::NotAProbability { of: name(i), score });
            }
        }
        Ok(())
    }

    /// Whether the probabilities of classes that exclude each other sum to 1.
    pub fn check_sum(&self, probabilities: &[f64]) -> Result<(), RowError> {
        let (sum, tolerance): (f64, f64) = (probabilities.iter().sum(), self.tolerance);
        if self.logits || (sum - 1.0).abs() <= tolerance { Ok(()) } else { Err(RowError::Sum { sum, tolerance }) }
    }
}
