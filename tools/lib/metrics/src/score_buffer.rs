//! The scores of all rows, which a ranking needs at once.

use crate::Ranking;

/// `[rows, width]` scores, of 4 bytes each as long as all are exactly f32, else of 8.
#[derive(Debug, Clone)]
pub(crate) struct ScoreBuffer {
    width: usize,
    values: Values,
    max_values: usize,
}

#[derive(Debug, Clone)]
enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// There were more than `max_values`.
    TooMany,
}

impl ScoreBuffer {
    pub fn new(width: usize, max_values: usize) -> Self {
        Self { width, values: Values::F32(Vec::new()), max_values }
    }

    /// Adds a row of `width` scores. Where there are too many, drops all rows, for good, and returns false.
    pub fn push(&mut self, row: &[f64]) -> bool {
        if let Values::F32(values) = &mut self.values {
            if row.iter().all(|&score| f64::from(score as f32) == score) {
                values.extend(row.iter().map(|&score| score as f32));
            } else {
                self.values = Values::F64(values.iter().copied().map(f64::from).chain(row.iter().copied()).collect());
            }
        } else if let Values::F64(values) = &mut self.values {
            values.extend_from_slice(row);
        }
        if self.len().is_none_or(|len| len > self.max_values) {
            self.values = Values::TooMany;
        }
        !matches!(self.values, Values::TooMany)
    }

    fn len(&self) -> Option<usize> {
        match &self.values {
            Values::F32(values) => Some(values.len()),
            Values::F64(values) => Some(values.len()),
            Values::TooMany => None,
        }
    }

    /// The ranking of each column, whose positive rows are those of which `positive(row, column)` is true; `None` where
    /// there were too many scores to keep.
    pub fn rankings(&self, positive: impl Fn(usize, usize) -> bool) -> Option<Vec<Option<Ranking>>> {
        self.ranked(1.0, positive)
    }

    /// As [`ScoreBuffer::rankings`], lowest scores first.
    pub fn inverse_rankings(&self, positive: impl Fn(usize, usize) -> bool) -> Option<Vec<Option<Ranking>>> {
        self.ranked(-1.0, positive)
    }

    fn ranked(&self, sign: f64, positive: impl Fn(usize, usize) -> bool) -> Option<Vec<Option<Ranking>>> {
        let rows = self.len()? / self.width;
        let score = |i: usize| match &self.values {
            Values::F32(values) => f64::from(values[i]),
            Values::F64(values) => values[i],
            Values::TooMany => f64::NAN,
        };
        let of_column =
            |column| Ranking::of((0..rows).map(|row| (sign * score(row * self.width + column), positive(row, column))));
        Some((0..self.width).map(of_column).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_stay_exact_when_they_become_wide() {
        let mut scores = ScoreBuffer::new(1, 10);
        // 0.1 is no f32; as one it would tie with the next.
        let values = [0.5, 0.1, 0.1f32.into(), 0.25];
        assert!(values.iter().all(|&value| scores.push(&[value])));
        let rankings = scores.rankings(|row, _| row == 2).expect("few scores");
        assert_eq!(rankings, [Ranking::of(values.into_iter().zip([false, false, true, false]))]);
    }

    #[test]
    fn too_many_scores_are_dropped() {
        let mut scores = ScoreBuffer::new(2, 4);
        assert!(scores.push(&[0.1, 0.2]) && scores.push(&[0.5, 0.5]));
        assert!(!scores.push(&[0.5, 0.5]) && !scores.push(&[0.5, 0.5]));
        assert!(scores.rankings(|_, _| true).is_none());
    }
}
