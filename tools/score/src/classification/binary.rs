use super::{Kind, Report, Scale, object, yes_or_no};
use ::metrics::{MultiLabel, macro_means};
use serde_json::json;

/// The probability or logit of a yes; the target is 0 or 1.
pub struct Binary {
    scale: Scale,
    metrics: MultiLabel,
}

impl Binary {
    pub fn new(scale: Scale, ranked: usize) -> Self {
        Self { scale, metrics: MultiLabel::new(1, ranked) }
    }
}

impl Kind for Binary {
    fn classes(&self) -> Option<usize> {
        Some(2)
    }

    fn add(&mut self, target: &[f64], prediction: &[f64]) -> Result<Option<(usize, usize)>, String> {
        let actual = yes_or_no(target[0]).map_err(|e| e + " (score.prediction=labels?)")?;
        self.scale.check(prediction, |_| "class 1".to_owned())?;
        let predicted = match self.scale.logits {
            true => self.metrics.add_logits(&[actual], prediction),
            false => self.metrics.add_probabilities(&[actual], prediction, self.scale.eps),
        };
        Ok(Some((actual.into(), predicted[0].into())))
    }

    fn report(&self) -> Report {
        let confusion = self.metrics.confusion(0);
        let scores = confusion.class_scores();
        let rankings = self.metrics.rankings().zip(self.metrics.inverse_rankings());
        let rankings = rankings.map(|(yes, no)| [no, yes].concat());
        let ranking = rankings.as_deref().and_then(|rankings| rankings[1]);
        let [macro_precision, macro_recall, macro_f1] = macro_means(scores.iter().filter(|score| score.occurs()));
        let yes = scores[1];
        let metrics = object(json!({
            "rows": self.metrics.rows(),
            "accuracy": self.metrics.accuracy(),
            "cross_entropy": self.metrics.cross_entropy(),
            "precision": yes.precision,
            "recall": yes.recall,
            "f1": yes.f1,
            "macro_precision": macro_precision,
            "macro_recall": macro_recall,
            "macro_f1": macro_f1,
            "auc": ranking.map(|ranking| ranking.auc),
            "average_precision": ranking.map(|ranking| ranking.average_precision),
        }));
        Report { metrics, scores, rankings, confusion: Some(confusion) }
    }
}
