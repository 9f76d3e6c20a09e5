use super::{Kind, Report, Scale, object};
use ::metrics::{MultiClass, Ranking, macro_means};
use dataset::classes;
use serde_json::json;

/// A number for each of at least two classes, which exclude each other; the target is a class index.
pub struct Classes {
    scale: Scale,
    classes: usize,
    metrics: MultiClass,
}

impl Classes {
    pub fn new(scale: Scale, classes: usize, ranked: usize, pairs: usize) -> Self {
        Self { scale, classes, metrics: MultiClass::new(classes, ranked).with_pairs(pairs) }
    }
}

impl Kind for Classes {
    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn add(&mut self, target: &[f64], prediction: &[f64]) -> Result<Option<(usize, usize)>, String> {
        let actual = classes::of_label(target[0], self.classes).map_err(|e| e.to_string())?;
        self.scale.check(prediction, |class| format!("class {class}"))?;
        self.scale.check_sum(prediction)?;
        let predicted = match self.scale.logits {
            true => self.metrics.add_logits(actual, prediction),
            false => self.metrics.add_probabilities(actual, prediction, self.scale.eps),
        };
        Ok(Some((actual, predicted)))
    }

    fn report(&self) -> Report {
        let (confusion, scores) = (self.metrics.confusion().clone(), self.metrics.class_scores());
        let rankings = self.metrics.rankings();
        let ranking = rankings.as_deref().and_then(Ranking::of_classes);
        let [macro_precision, macro_recall, macro_f1] = macro_means(scores.iter().filter(|score| score.occurs()));
        let metrics = object(json!({
            "rows": confusion.rows(),
            "accuracy": confusion.accuracy(),
            "cross_entropy": self.metrics.cross_entropy(),
            "macro_precision": macro_precision,
            "macro_recall": macro_recall,
            "macro_f1": macro_f1,
            "auc": ranking.map(|ranking| ranking.auc),
            "average_precision": ranking.map(|ranking| ranking.average_precision),
        }));
        Report { metrics, scores, rankings, confusion: Some(confusion) }
    }
}
