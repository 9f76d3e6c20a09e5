use crate::settings::{Classification, Prediction};

/// How the predicted numbers of a row are to be understood.
pub struct Scale {
    pub logits: bool,
    /// How far a probability may be above 1, and the sum of a row's from 1.
    tolerance: f64,
    /// Machine epsilon of f64, which all encodings are read as: the cross-entropy sees probabilities from `eps` to
    /// `1 - eps`.
    pub eps: f64,
}

impl Scale {
    pub fn new(settings: &Classification) -> Self {
        let logits = settings.prediction == Prediction::Logits;
        Self { logits, tolerance: settings.tolerance, eps: f64::EPSILON }
    }

    /// Whether the numbers are finite, and probabilities if they are taken for some; `name(index)` is what messages call
    /// one.
    ///
    /// # Errors
    /// With the first that is not.
    pub fn check(&self, scores: &[f64], name: impl Fn(usize) -> String) -> Result<(), String> {
        for (i, score) in scores.iter().enumerate() {
            if !score.is_finite() {
                return Err(format!("the prediction for {} is {score}", name(i)));
            }
            if !self.logits && !(0.0..=1.0 + self.tolerance).contains(score) {
                return Err(format!("{} has probability {score}, expected 0 to 1 (score.prediction=logits?)", name(i)));
            }
        }
        Ok(())
    }

    /// Whether the probabilities of classes that exclude each other sum to 1.
    ///
    /// # Errors
    /// When they do not.
    pub fn check_sum(&self, probabilities: &[f64]) -> Result<(), String> {
        let (sum, tolerance): (f64, f64) = (probabilities.iter().sum(), self.tolerance);
        if self.logits || (sum - 1.0).abs() <= tolerance {
            return Ok(());
        }
        Err(format!(
            "the probabilities sum to {sum}, expected 1 ± {tolerance} (score.prediction=logits? or raise score.tolerance)"
        ))
    }
}
