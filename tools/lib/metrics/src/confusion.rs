//! Confusion matrices, and precision, recall and F1 of each class.

use crate::{ClassificationReport, Metric, report::macro_metrics};
use std::collections::BTreeMap;

/// Rows counted by actual and predicted class.
///
/// Memory is three counts a class, and one for each cell of the matrix that is not 0, as long as there are not more
/// classes than the limit for cells.
#[derive(Debug, Clone)]
pub struct ConfusionMatrix {
    /// One for each class.
    classes: Vec<ClassCounts>,
    /// Rows by (actual, predicted), where there are some; `None` where there are more than `max_classes` classes.
    cells: Option<BTreeMap<(usize, usize), u64>>,
    max_classes: usize,
    rows: u64,
}

/// Rows of a class, and rows for which it was predicted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClassCounts {
    /// Rows of the class for which it was predicted.
    pub true_positives: u64,
    /// Rows for which the class was predicted.
    pub predicted: u64,
    /// Rows of the class.
    pub support: u64,
}

impl Default for ConfusionMatrix {
    fn default() -> Self {
        Self::new(0)
    }
}

impl ConfusionMatrix {
    /// For classes 0 to `classes - 1`; a higher one that is added raises their number.
    pub fn new(classes: usize) -> Self {
        Self::with_max_classes(classes, usize::MAX)
    }

    /// As [`ConfusionMatrix::new`]; with more than `max_classes` classes, cells are not counted.
    pub fn with_max_classes(classes: usize, max_classes: usize) -> Self {
        let cells = (classes <= max_classes).then(BTreeMap::new);
        Self { classes: vec![ClassCounts::default(); classes], cells, max_classes, rows: 0 }
    }

    /// Adds a row.
    pub fn add(&mut self, actual: usize, predicted: usize) {
        self.add_rows(actual, predicted, 1);
    }

    /// Adds so many rows to one cell.
    pub fn add_rows(&mut self, actual: usize, predicted: usize, rows: u64) {
        let classes = self.classes.len().max(actual + 1).max(predicted + 1);
        self.classes.resize(classes, ClassCounts::default());
        if classes > self.max_classes {
            self.cells = None;
        }
        self.rows += rows;
        self.classes[actual].true_positives += if actual == predicted { rows } else { 0 };
        self.classes[predicted].predicted += rows;
        self.classes[actual].support += rows;
        if let Some(cells) = self.cells.as_mut().filter(|_| rows > 0) {
            *cells.entry((actual, predicted)).or_default() += rows;
        }
    }

    /// The same rows, class `i` renumbered to `order[i]`; `order` is a permutation of the classes.
    pub fn reordered(&self, order: &[usize]) -> Self {
        let renumbered = |class: usize| order.get(class).copied().unwrap_or(class);
        let mut classes = self.classes.clone();
        self.classes.iter().enumerate().for_each(|(class, counts)| classes[renumbered(class)] = *counts);
        let moved = |(&(actual, predicted), &rows): (&(usize, usize), &u64)| {
            ((renumbered(actual), renumbered(predicted)), rows)
        };
        let cells = self.cells.as_ref().map(|cells| cells.iter().map(moved).collect());
        Self { classes, cells, ..*self }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows whose class was predicted, as a share of all; NaN without rows.
    pub fn accuracy(&self) -> f64 {
        let hits: u64 = self.classes.iter().map(|class| class.true_positives).sum();
        hits as f64 / self.rows as f64
    }

    /// `[actual][predicted]`, `classes × classes`, a row at a time. `None` where there are too many classes to count cells.
    pub fn matrix(&self) -> Option<impl ExactSizeIterator<Item = Vec<u64>>> {
        let (classes, cells) = (self.classes(), self.cells.as_ref()?);
        Some((0..classes).map(move |actual| {
            let mut row = vec![0; classes];
            cells.range((actual, 0)..(actual + 1, 0)).for_each(|(&(_, predicted), &rows)| row[predicted] = rows);
            row
        }))
    }

    /// One for each class.
    pub fn class_scores(&self) -> Vec<ClassScore> {
        self.classes.iter().map(|&counts| ClassScore::new(counts)).collect()
    }

    /// Accuracy and macro means, of a classifier of which only the predicted classes are known.
    pub fn report(self) -> ClassificationReport {
        let class_scores = self.class_scores();
        let mut metrics = vec![(Metric::Accuracy, Some(self.accuracy()))];
        metrics.extend(macro_metrics(MacroMeans::over_occurring(&class_scores)));
        let rows = self.rows;
        ClassificationReport { rows, metrics, class_scores, rankings: Some(Vec::new()), confusion: Some(self) }
    }
}

/// Precision, recall and F1 of a class; `None` where one divides by 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScore {
    /// Of the rows for which the class was predicted, the share that is of it.
    pub precision: Option<f64>,
    /// Of the rows of the class, the share for which it was predicted.
    pub recall: Option<f64>,
    /// The harmonic mean of precision and recall.
    pub f1: Option<f64>,
    /// Rows of the class.
    pub support: u64,
}

impl ClassScore {
    pub(crate) fn new(ClassCounts { true_positives, predicted, support }: ClassCounts) -> Self {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        Self {
            precision: share(true_positives, predicted),
            recall: share(true_positives, support),
            f1: share(2 * true_positives, predicted + support),
            support,
        }
    }

    /// Whether the class is that of a row, or was predicted for one.
    pub fn occurs(&self) -> bool {
        self.f1.is_some()
    }
}

/// Means of precision, recall and F1 over classes, each of the same weight: scikit-learn's `average="macro"`. What is
/// not defined of a class counts as 0 in them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MacroMeans {
    /// Mean precision.
    pub precision: f64,
    /// Mean recall.
    pub recall: f64,
    /// Mean F1.
    pub f1: f64,
}

impl MacroMeans {
    /// Over all of the scores; 0 without any.
    pub fn over<'a>(scores: impl Iterator<Item = &'a ClassScore>) -> Self {
        let (mut sums, mut count) = ([0.0; 3], 0u64);
        for score in scores {
            let shares = [score.precision, score.recall, score.f1];
            sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share.unwrap_or(0.0));
            count += 1;
        }
        let [precision, recall, f1] = sums.map(|sum| sum / count.max(1) as f64);
        Self { precision, recall, f1 }
    }

    /// Over the classes that occur, as targets or as predictions: those that scikit-learn's `labels=None` finds.
    pub fn over_occurring(scores: &[ClassScore]) -> Self {
        Self::over(scores.iter().filter(|score| score.occurs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_a_case_worked_by_hand() {
        let mut confusion = ConfusionMatrix::new(3);
        [(1, 1), (0, 1)].into_iter().for_each(|(actual, predicted)| confusion.add(actual, predicted));
        let matrix: Vec<_> = confusion.matrix().expect("few classes").collect();
        assert_eq!(matrix, [[0, 1, 0], [0, 1, 0], [0, 0, 0]]);
        assert_eq!((confusion.rows(), confusion.accuracy()), (2, 0.5));
        let scores = confusion.class_scores();
        assert_eq!(scores[0], ClassScore { precision: None, recall: Some(0.0), f1: Some(0.0), support: 1 });
        assert_eq!((scores[1].precision, scores[1].recall), (Some(0.5), Some(1.0)));
        assert!(!scores[2].occurs());
        let means = MacroMeans { precision: 0.25, recall: 0.5, f1: 1.0 / 3.0 };
        assert_eq!(MacroMeans::over_occurring(&scores), means);
        let report = confusion.report();
        assert_eq!((report.rows, report.get(Metric::Accuracy)), (2, Some(0.5)));
        assert_eq!((report.get(Metric::MacroRecall), report.get(Metric::Auc)), (Some(0.5), None));
    }

    #[test]
    fn classes_grow_with_what_is_added() {
        let mut confusion = ConfusionMatrix::default();
        confusion.add(0, 2);
        assert_eq!(confusion.classes(), 3);
    }

    #[test]
    fn cells_are_not_counted_of_many_classes_and_scores_are_the_same() {
        let pairs = [(0, 1), (1, 1), (3, 0), (2, 2), (2, 1)];
        let (mut all, mut few) = (ConfusionMatrix::new(2), ConfusionMatrix::with_max_classes(2, 3));
        for (actual, predicted) in pairs {
            all.add(actual, predicted);
            few.add(actual, predicted);
        }
        assert_eq!((few.class_scores(), few.rows()), (all.class_scores(), 5));
        assert!(all.matrix().is_some() && few.matrix().is_none());
        let order = [3, 1, 0, 2];
        assert_eq!(few.reordered(&order).class_scores(), all.reordered(&order).class_scores());
        assert_eq!(all.reordered(&order).class_scores()[3], all.class_scores()[0]);
    }
}
