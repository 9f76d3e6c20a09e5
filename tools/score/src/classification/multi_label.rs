use super::{Kind, Report, Scale, object, yes_or_no};
use ::metrics::{MultiLabel, Ranking, macro_means};
use serde_json::json;

/// The probability or logit of each of at least two labels, which do not exclude each other; the target has 0 or 1 for
/// each.
pub struct Labels {
    scale: Scale,
    labels: usize,
    metrics: MultiLabel,
}

impl Labels {
    pub fn new(scale: Scale, labels: usize, ranked: usize) -> Self {
        Self { scale, labels, metrics: MultiLabel::new(labels, ranked) }
    }
}

impl Kind for Labels {
    fn classes(&self) -> Option<usize> {
        Some(self.labels)
    }

    fn add(&mut self, target: &[f64], prediction: &[f64]) -> Result<Option<(usize, usize)>, String> {
        let actual = target.iter().copied().map(yes_or_no).collect::<Result<Vec<_>, _>>()?;
        self.scale.check(prediction, |label| format!("label {label}"))?;
        match self.scale.logits {
            true => self.metrics.add_logits(&actual, prediction),
            false => self.metrics.add_probabilities(&actual, prediction, self.scale.eps),
        };
        Ok(None)
    }

    fn report(&self) -> Report {
        let (scores, rankings) = (self.metrics.class_scores(), self.metrics.rankings());
        let ranking = rankings.as_deref().and_then(Ranking::mean);
        let [macro_precision, macro_recall, macro_f1] = macro_means(scores.iter());
        let metrics = object(json!({
            "rows": self.metrics.rows(),
            "accuracy": self.metrics.accuracy(),
            "subset_accuracy": self.metrics.subset_accuracy(),
            "cross_entropy": self.metrics.cross_entropy(),
            "macro_precision": macro_precision,
            "macro_recall": macro_recall,
            "macro_f1": macro_f1,
            "auc": ranking.map(|ranking| ranking.auc),
            "average_precision": ranking.map(|ranking| ranking.average_precision),
        }));
        Report { metrics, scores, rankings, confusion: None }
    }
}
