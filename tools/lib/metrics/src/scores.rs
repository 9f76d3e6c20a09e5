use crate::Ranking;

/// The scores of all rows, which a ranking needs at once: `rows × width` values of 4 bytes as long as all are exactly
/// f32, else of 8.
#[derive(Debug, Clone)]
pub(crate) struct Scores {
    width: usize,
    values: Values,
    /// At most this many values are kept.
    limit: usize,
}

#[derive(Debug, Clone)]
enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// There were more than the limit.
    TooMany,
}

impl Scores {
    pub fn new(width: usize, limit: usize) -> Self {
        Self { width, values: Values::F32(Vec::new()), limit }
    }

    /// Keeps a row of `width` scores; false, and all rows are dropped, where there are too many.
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
        if self.len().is_none_or(|len| len > self.limit) {
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

    /// The ranking of each column, of which `positive(row, column)` says whether a row belongs to it; `None` where there
    /// were too many scores to keep.
    pub fn rankings(&self, positive: impl Fn(usize, usize) -> bool) -> Option<Vec<Option<Ranking>>> {
        self.ranked(1.0, positive)
    }

    /// As [`Scores::rankings`], lowest scores first.
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
        let mut scores = Scores::new(1, 10);
        // 0.1 is no f32; as one it would tie with the next.
        let values = [0.5, 0.1, 0.1f32.into(), 0.25];
        assert!(values.iter().all(|&value| scores.push(&[value])));
        let rankings = scores.rankings(|row, _| row == 2).expect("few scores");
        assert_eq!(rankings, [Ranking::of(values.into_iter().zip([false, false, true, false]))]);
    }

    #[test]
    fn too_many_scores_are_dropped() {
        let mut scores = Scores::new(2, 4);
        assert!(scores.push(&[0.1, 0.2]) && scores.push(&[0.5, 0.5]));
        assert!(!scores.push(&[0.5, 0.5]) && !scores.push(&[0.5, 0.5]));
        assert!(scores.rankings(|_, _| true).is_none());
    }
}
