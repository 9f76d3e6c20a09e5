use std::collections::BTreeMap;

/// How many rows of each class were taken for each class.
///
/// Of each class three counts are kept; pairs of classes only of those that occur, and up to a number of classes.
#[derive(Debug, Clone)]
pub struct Confusion {
    /// Of each class: rows that were taken for it and are of it, rows that were taken for it, rows that are of it.
    sums: Vec<[u64; 3]>,
    /// Rows by (actual, predicted); none where there are more than `limit` classes.
    counts: Option<BTreeMap<(usize, usize), u64>>,
    limit: usize,
    rows: u64,
}

impl Default for Confusion {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Confusion {
    /// For classes 0 to `classes - 1`; a higher one that is added raises their number.
    pub fn new(classes: usize) -> Self {
        Self::with_pairs(classes, usize::MAX)
    }

    /// As [`Confusion::new`]; of more than `limit` classes, no pairs are counted.
    pub fn with_pairs(classes: usize, limit: usize) -> Self {
        let counts = (classes <= limit).then(BTreeMap::new);
        Self { sums: vec![[0; 3]; classes], counts, limit, rows: 0 }
    }

    /// Adds a row.
    pub fn add(&mut self, actual: usize, predicted: usize) {
        self.add_rows(actual, predicted, 1);
    }

    /// Adds so many rows of one pair of classes.
    pub fn add_rows(&mut self, actual: usize, predicted: usize, rows: u64) {
        let classes = self.sums.len().max(actual + 1).max(predicted + 1);
        self.sums.resize(classes, [0; 3]);
        if classes > self.limit {
            self.counts = None;
        }
        self.rows += rows;
        self.sums[actual][0] += if actual == predicted { rows } else { 0 };
        self.sums[predicted][1] += rows;
        self.sums[actual][2] += rows;
        if let Some(counts) = self.counts.as_mut().filter(|_| rows > 0) {
            *counts.entry((actual, predicted)).or_default() += rows;
        }
    }

    /// The same rows with class `i` called `order[i]`, which has a place for each.
    pub fn reordered(&self, order: &[usize]) -> Self {
        let place = |class: usize| order.get(class).copied().unwrap_or(class);
        let mut sums = self.sums.clone();
        self.sums.iter().enumerate().for_each(|(class, found)| sums[place(class)] = *found);
        let renamed =
            |(&(actual, predicted), &rows): (&(usize, usize), &u64)| ((place(actual), place(predicted)), rows);
        let counts = self.counts.as_ref().map(|counts| counts.iter().map(renamed).collect());
        Self { sums, counts, ..*self }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.sums.len()
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Share of the rows whose class was predicted; NaN without rows.
    pub fn accuracy(&self) -> f64 {
        let hits: u64 = self.sums.iter().map(|[hits, ..]| hits).sum();
        hits as f64 / self.rows as f64
    }

    /// The counts of each actual class, by the predicted one: `classes` times `classes`. None where there are more
    /// classes than pairs are counted of.
    pub fn matrix(&self) -> Option<impl ExactSizeIterator<Item = Vec<u64>>> {
        let (classes, counts) = (self.classes(), self.counts.as_ref()?);
        Some((0..classes).map(move |actual| {
            let mut row = vec![0; classes];
            counts.range((actual, 0)..(actual + 1, 0)).for_each(|(&(_, predicted), &rows)| row[predicted] = rows);
            row
        }))
    }

    /// The score of each class.
    pub fn class_scores(&self) -> Vec<ClassScore> {
        self.sums.iter().map(|&[hits, predicted, support]| ClassScore::new(hits, predicted, support)).collect()
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
        let matrix: Vec<_> = confusion.matrix().expect("few classes").collect();
        assert_eq!(matrix, [[0, 1, 0], [0, 1, 0], [0, 0, 0]]);
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

    #[test]
    fn of_many_classes_the_sums_are_the_same_and_no_pairs_are_counted() {
        let pairs = [(0, 1), (1, 1), (3, 0), (2, 2), (2, 1)];
        let (mut all, mut few) = (Confusion::new(2), Confusion::with_pairs(2, 3));
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
