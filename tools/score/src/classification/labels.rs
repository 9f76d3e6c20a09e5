use super::{Kind, Report, object};
use dataset::classes;
use metrics::{Confusion, macro_means};
use serde_json::json;

/// Without names, class indices are below this: a table of classes fits in memory.
const MAX_CLASSES: usize = 1 << 20;

/// Predicted classes; target and prediction are class indices.
pub struct Labels {
    /// Class indices are below this.
    limit: usize,
    confusion: Confusion,
}

impl Labels {
    /// For so many classes; otherwise as many as occur.
    pub fn new(classes: Option<usize>) -> Self {
        Self { limit: classes.unwrap_or(MAX_CLASSES), confusion: Confusion::new(classes.unwrap_or(0)) }
    }
}

impl Kind for Labels {
    fn classes(&self) -> Option<usize> {
        None
    }

    fn add(&mut self, target: &[f64], prediction: &[f64]) -> Result<Option<(usize, usize)>, String> {
        let actual = classes::of_label(target[0], self.limit)?;
        let predicted = classes::of_label(prediction[0], self.limit).map_err(|_| {
            format!("prediction {} is no class from 0 to {}", prediction[0], self.limit.saturating_sub(1))
        })?;
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
