//! AUC and average precision.

/// How well scores rank the rows of a class above all others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranking {
    /// Area under the ROC curve: the share of pairs of a positive and a negative row in which the positive one has the
    /// higher score; equal scores count one half. scikit-learn's `roc_auc_score`.
    pub auc: f64,
    /// Sum over thresholds of the precision there times the recall gained there; rows of equal scores are one threshold.
    /// scikit-learn's `average_precision_score`.
    pub average_precision: f64,
}

impl Ranking {
    /// Of rows, each as its score and whether it is positive. `None` unless there are both positive and negative rows, and
    /// where a score is NaN.
    pub fn of(rows: impl Iterator<Item = (f64, bool)>) -> Option<Self> {
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        for (score, positive) in rows {
            if score.is_nan() {
                return None;
            }
            // Turns -0 into 0, which total_cmp would order apart.
            if positive { &mut positives } else { &mut negatives }.push(score + 0.0);
        }
        if positives.is_empty() || negatives.is_empty() {
            return None;
        }
        positives.sort_unstable_by(|a, b| b.total_cmp(a));
        negatives.sort_unstable_by(|a, b| b.total_cmp(a));
        Some(Self::of_sorted(&positives, &negatives))
    }

    /// Of scores in descending order; neither slice is empty. Each round of the loop lowers the threshold to the next
    /// score.
    fn of_sorted(positives: &[f64], negatives: &[f64]) -> Self {
        let (mut above, mut false_above) = (0, 0);
        // Twice the number of pairs in the right order: an integer, so that the sum is exact.
        let (mut doubled_pairs, mut gained) = (0u64, 0.0);
        while let Some(threshold) =
            [positives.get(above), negatives.get(false_above)].into_iter().flatten().max_by(|a, b| a.total_cmp(b))
        {
            let tied = positives[above..].iter().take_while(|score| *score == threshold).count();
            let false_tied = negatives[false_above..].iter().take_while(|score| *score == threshold).count();
            doubled_pairs += false_tied as u64 * (2 * above + tied) as u64;
            above += tied;
            false_above += false_tied;
            gained += tied as f64 * (above as f64 / (above + false_above) as f64);
        }
        let pairs = positives.len() as f64 * negatives.len() as f64;
        Self { auc: doubled_pairs as f64 / 2.0 / pairs, average_precision: gained / positives.len() as f64 }
    }

    /// The ranking of a classifier whose classes exclude each other, from those of its classes: of two classes that of
    /// class 1, as of a binary classifier; otherwise the mean (scikit-learn's `multi_class="ovr", average="macro"`).
    pub fn of_classes(rankings: &[Option<Self>]) -> Option<Self> {
        match rankings {
            [_, positive] => *positive,
            all => Self::macro_mean(all),
        }
    }

    /// The mean over the classes that have a ranking; `None` where none has.
    pub fn macro_mean(rankings: &[Option<Self>]) -> Option<Self> {
        let count = rankings.iter().flatten().count();
        let mean = |of: fn(&Self) -> f64| rankings.iter().flatten().map(of).sum::<f64>() / count as f64;
        (count > 0).then(|| Self { auc: mean(|one| one.auc), average_precision: mean(|one| one.average_precision) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(scores: &[f64], positives: &[u8]) -> Option<Ranking> {
        Ranking::of(scores.iter().copied().zip(positives.iter().map(|&positive| positive == 1)))
    }

    #[test]
    fn agrees_with_the_examples_of_scikit_learn() {
        let ranking = of(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1]).expect("both kinds occur");
        assert_eq!(ranking.auc, 0.75);
        assert!((ranking.average_precision - 5.0 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn equal_scores_rank_nothing() {
        let expected = Some(Ranking { auc: 0.5, average_precision: 0.25 });
        assert_eq!(of(&[0.0, -0.0, 0.0, 0.0], &[1, 0, 0, 0]), expected);
    }

    #[test]
    fn both_kinds_and_numbers_are_needed() {
        assert_eq!(of(&[], &[]), None);
        assert_eq!(of(&[0.1, 0.2], &[1, 1]), None);
        assert_eq!(of(&[0.1, 0.2], &[0, 0]), None);
        assert_eq!(of(&[0.1, f64::NAN], &[0, 1]), None);
        assert_eq!(Ranking::macro_mean(&[None, None]), None);
    }
}
