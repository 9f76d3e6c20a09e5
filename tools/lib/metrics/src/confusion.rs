use std::collections::BTreeMap;

/// How many rows of each class were taken for each class.
///
/// Only pairs of classes that occur take memory, at most one for each row.
#[derive(Debug, Clone, Default)]
pub struct Confusion {
    classes: usize,
    /// Rows by (actual, predicted).
    counts: BTreeMap<(usize, usize), u64>,
    rows: u64,
    hits: u64,
}

impl Confusion {
    /// For classes 0 to `classes - 1`; a higher one that is added raises their number.
    pub fn new(classes: usize) -> Self {
        Self { classes, ..Self::default() }
    }

    /// Adds a row.
    pub fn add(&mut self, actual: usize, predicted: usize) {
        self.add_rows(actual, predicted, 1);
    }

    /// Adds so many rows of one pair of classes.
    pub fn add_rows(&mut self, actual: usize, predicted: usize, rows: u64) {
        self.classes = self.classes.max(actual + 1).max(predicted + 1);
        self.rows += rows;
        self.hits += if actual == predicted { rows } else { 0 };
        if rows > 0 {
            *self.counts.entry((actual, predicted)).or_default() += rows;
        }
    }

    /// The same rows with class `i` called `order[i]`, which has a place for each.
    pub fn reordered(&self, order: &[usize]) -> Self {
        let place = |class: usize| order.get(class).copied().unwrap_or(class);
        let mut reordered = Self::new(self.classes);
        for (&(actual, predicted), &rows) in &self.counts {
            reordered.add_rows(place(actual), place(predicted), rows);
        }
        reordered
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Share of the rows whose class was predicted; NaN without rows.
    pub fn accuracy(&self) -> f64 {
        self.hits as f64 / self.rows as f64
    }

    /// All counts as `[actual][predicted]`: `classes²` of them.
    pub fn dense(&self) -> Vec<Vec<u64>> {
        let mut dense = vec![vec![0; self.classes]; self.classes];
        self.counts.iter().for_each(|(&(actual, predicted), &rows)| dense[actual][predicted] = rows);
        dense
    }

    /// The score of each class.
    pub fn class_scores(&self) -> Vec<ClassScore> {
        let mut sums = vec![[0; 3]; self.classes];
        for (&(actual, predicted), &rows) in &self.counts {
            sums[predicted][1] += rows;
            sums[actual][2] += rows;
            if actual == predicted {
                sums[actual][0] += rows;
            }
        }
        sums.into_iter().map(|[hits, predicted, support]| ClassScore::new(hits, predicted, support)).collect()
    }
}

/// How often a class is found, and how often it is meant; `None` where a share is of nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScore {
    /// Of the rows that were taken for the class, the share that is of it.
    pub precision: Option<f64>,
    /// Of the rows of the class, the share that was taken for it.
    pub recall: Option<f64>,
    /// Their harmonic mean.
    pub f1: Option<f64>,
    /// Rows of the class.
    pub support: u64,
}

impl ClassScore {
    /// From the number of rows of the class that were taken for it, of all rows that were, and of the class's.
    pub fn new(hits: u64, predicted: u64, support: u64) -> Self {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        Self {
            precision: share(hits, predicted),
            recall: share(hits, support),
            f1: share(2 * hits, predicted + support),
            support,
        }
    }

    /// Whether the class is that of a row, or was predicted for one.
    pub fn occurs(&self) -> bool {
        self.f1.is_some()
    }
}

/// The means of precision, recall and F1 over classes; 0 without any. A share of nothing counts as 0, as in
/// scikit-learn's `average="macro"`.
pub fn macro_means<'a>(scores: impl Iterator<Item = &'a ClassScore>) -> [f64; 3] {
    let (mut sums, mut count) = ([0.0; 3], 0u64);
    for score in scores {
        let shares = [score.precision, score.recall, score.f1];
        sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share.unwrap_or(0.0));
        count += 1;
    }
    sums.map(|sum| sum / count.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_a_case_worked_by_hand() {
        let mut confusion = Confusion::new(3);
        [(1, 1), (0, 1)].into_iter().for_each(|(actual, predicted)| confusion.add(actual, predicted));
        assert_eq!(confusion.dense(), [[0, 1, 0], [0, 1, 0], [0, 0, 0]]);
        assert_eq!((confusion.rows(), confusion.accuracy()), (2, 0.5));
        let scores = confusion.class_scores();
        assert_eq!(scores[0], ClassScore { precision: None, recall: Some(0.0), f1: Some(0.0), support: 1 });
        assert_eq!((scores[1].precision, scores[1].recall), (Some(0.5), Some(1.0)));
        assert!(!scores[2].occurs());
        let means = macro_means(scores.iter().filter(|score| score.occurs()));
        assert_eq!(means, [0.25, 0.5, 1.0 / 3.0]);
    }

    #[test]
    fn classes_grow_with_what_is_added() {
        let mut confusion = Confusion::default();
        confusion.add(0, 2);
        assert_eq!(confusion.classes(), 3);
    }
}
