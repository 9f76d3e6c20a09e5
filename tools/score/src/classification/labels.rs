use super::{Kind, Report, object};
use ::metrics::{Confusion, macro_means};
use dataset::classes;
use serde_json::json;

/// Predicted classes; target and prediction are class indices.
pub struct Labels {
    /// Class indices are below this.
    limit: usize,
    confusion: Confusion,
}

impl Labels {
    /// For so many classes; otherwise as many as occur, up to `most`. Pairs of classes are counted of at most `pairs`.
    pub fn new(classes: Option<usize>, most: usize, pairs: usize) -> Self {
        Self { limit: classes.unwrap_or(most), confusion: Confusion::with_pairs(classes.unwrap_or(0), pairs) }
    }
}

impl Kind for Labels {
    fn classes(&self) -> Option<usize> {
        None
    }

    fn add(&mut self, target: &[f64], prediction: &[f64]) -> Result<Option<(usize, usize)>, String> {
        let actual = classes::of_label(target[0], self.limit).map_err(|e| e.to_string())?;
        let predicted = classes::of_label(prediction[0], self.limit)
            .map_err(|_| format!("prediction {} is no class from 0 to {}", prediction[0], self.limit.saturating_sub(1)))?;
        self.confusion.add(actual, predicted);
        Ok(Some((actual, predicted)))
    }

    fn report(&self) -> Report {
        let scores = self.confusion.class_scores();
        let [macro_precision, macro_recall, macro_f1] = macro_means(scores.iter().filter(|score| score.occurs()));
        let metrics = object(json!({
            "rows": self.confusion.rows(),
            "accuracy": self.confusion.accuracy(),
            "macro_precision": macro_precision,
            "macro_recall": macro_recall,
            "macro_f1": macro_f1,
        }));
        Report { metrics, scores, rankings: Some(Vec::new()), confusion: Some(self.confusion.clone()) }
    }
}
