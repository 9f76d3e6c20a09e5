//! What is said of a classifier.

use crate::{ClassScore, ConfusionMatrix, MacroMeans, Metric, Ranking};

/// All metrics of a classifier, over the rows that it was given, and of each of its classes.
#[derive(Debug, Clone)]
pub struct ClassificationReport {
    /// Number of rows.
    pub rows: u64,
    /// The metrics that this kind of classifier has, in the order in which they are written; `None` where one is not
    /// defined.
    pub metrics: Vec<(Metric, Option<f64>)>,
    /// One for each class or label.
    pub class_scores: Vec<ClassScore>,
    /// One for each class or label, `None` for one that no row has, or all have. Empty where there are only predicted
    /// classes; `None` where there were too many scores to keep.
    pub rankings: Option<Vec<Option<Ranking>>>,
    /// `None` of labels that do not exclude each other.
    pub confusion: Option<ConfusionMatrix>,
}

impl ClassificationReport {
    /// The value of a metric; `None` where it is not defined, or this kind of classifier has none.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.metrics.iter().find(|(known, _)| *known == metric).and_then(|(_, value)| *value)
    }
}

/// The macro means as metrics.
pub(crate) fn macro_metrics(means: MacroMeans) -> [(Metric, Option<f64>); 3] {
    [
        (Metric::MacroPrecision, Some(means.precision)),
        (Metric::MacroRecall, Some(means.recall)),
        (Metric::MacroF1, Some(means.f1)),
    ]
}

/// The ranking as metrics.
pub(crate) fn ranking_metrics(ranking: Option<Ranking>) -> [(Metric, Option<f64>); 2] {
    [
        (Metric::Auc, ranking.map(|ranking| ranking.auc)),
        (Metric::AveragePrecision, ranking.map(|ranking| ranking.average_precision)),
    ]
}
