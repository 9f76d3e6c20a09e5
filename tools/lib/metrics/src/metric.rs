//! The metrics that have a name.

use crate::Direction;

/// A metric, as the run log, `metrics.json` and the output of `score` name it. The crate's root has their definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// `mse`
    Mse,
    /// `mae`
    Mae,
    /// `r2`
    R2,
    /// `accuracy`
    Accuracy,
    /// `subset_accuracy`
    SubsetAccuracy,
    /// `cross_entropy`
    CrossEntropy,
    /// `precision`
    Precision,
    /// `recall`
    Recall,
    /// `f1`
    F1,
    /// `macro_precision`
    MacroPrecision,
    /// `macro_recall`
    MacroRecall,
    /// `macro_f1`
    MacroF1,
    /// `auc`
    Auc,
    /// `average_precision`
    AveragePrecision,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 14] = [
        Self::Mse,
        Self::Mae,
        Self::R2,
        Self::Accuracy,
        Self::SubsetAccuracy,
        Self::CrossEntropy,
        Self::Precision,
        Self::Recall,
        Self::F1,
        Self::MacroPrecision,
        Self::MacroRecall,
        Self::MacroF1,
        Self::Auc,
        Self::AveragePrecision,
    ];

    /// The metric of that name, without the prefix of a [`Split`](crate::Split); `r2_0` is the R2 of one of several
    /// targets.
    pub fn from_name(name: &str) -> Option<Self> {
        let named = Self::ALL.into_iter().find(|metric| metric.name() == name);
        named.or_else(|| name.starts_with("r2_").then_some(Self::R2))
    }

    /// The name in run logs, `metrics.json` and the output of `score`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mse => "mse",
            Self::Mae => "mae",
            Self::R2 => "r2",
            Self::Accuracy => "accuracy",
            Self::SubsetAccuracy => "subset_accuracy",
            Self::CrossEntropy => "cross_entropy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "f1",
            Self::MacroPrecision => "macro_precision",
            Self::MacroRecall => "macro_recall",
            Self::MacroF1 => "macro_f1",
            Self::Auc => "auc",
            Self::AveragePrecision => "average_precision",
        }
    }

    /// Whether higher or lower values are better.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Mse | Self::Mae | Self::CrossEntropy => Direction::Minimize,
            Self::R2
            | Self::Accuracy
            | Self::SubsetAccuracy
            | Self::Precision
            | Self::Recall
            | Self::F1
            | Self::MacroPrecision
            | Self::MacroRecall
            | Self::MacroF1
            | Self::Auc
            | Self::AveragePrecision => Direction::Maximize,
        }
    }

    /// The lowest and the highest value that the metric can have.
    pub const fn range(self) -> [f64; 2] {
        match (self, self.direction()) {
            (Self::R2, _) => [f64::NEG_INFINITY, 1.0],
            (_, Direction::Minimize) => [0.0, f64::INFINITY],
            (_, Direction::Maximize) => [0.0, 1.0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_crate_has_every_metric() {
        let rows: Vec<Vec<&str>> = include_str!("lib.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `"))
            .map(|row| row.split('|').map(|cell| cell.trim().trim_end_matches('`')).collect())
            .collect();
        let number = |end: f64| end.to_string().replace("inf", "∞");
        let expected = Metric::ALL.map(|metric| {
            let range = metric.range().map(number).join(" to ");
            [metric.name().to_owned(), range, metric.direction().mode().to_owned()]
        });
        let found: Vec<_> = rows.iter().map(|row| [row[0], row[2], row[3]].map(str::to_owned)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn metrics_are_found_by_name() {
        assert!(Metric::ALL.iter().all(|metric| Metric::from_name(metric.name()) == Some(*metric)));
        assert_eq!(Metric::from_name("r2_1"), Some(Metric::R2));
        assert_eq!(["r20", "loss", "", "val_mse"].map(Metric::from_name), [None; 4]);
    }
}
