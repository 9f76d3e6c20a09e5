//! The suggestion of a learning-rate finder.

/// Steps at the beginning and at the end that are left out, as Lightning's `suggestion(skip_begin=10, skip_end=1)`.
const SKIPPED: (usize, usize) = (10, 1);

/// Fewest steps of a learning-rate finder from which a rate is suggested: at least one that is not left out has two
/// neighbours that are not.
pub const MIN_FINDER_STEPS: usize = SKIPPED.0 + SKIPPED.1 + 3;

/// The learning rate where the loss falls most steeply from step to step, as Lightning suggests it; `points` are the
/// learning rate and the smoothed loss of each step (Smith, "Cyclical learning rates for training neural networks",
/// 2017). `None` of fewer than [`MIN_FINDER_STEPS`] points.
pub fn suggested_learning_rate(points: &[(f64, f64)]) -> Option<f64> {
    let (begin, end) = SKIPPED;
    let points = points.get(begin..points.len().checked_sub(end)?)?;
    // As numpy.gradient: half the difference of both neighbours.
    let slope = |i: usize| (points[i + 1].1 - points[i - 1].1) / 2.0;
    let steepest = (1..points.len().checked_sub(1)?).min_by(|&a, &b| slope(a).total_cmp(&slope(b)))?;
    Some(points[steepest].0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggestion_is_where_the_loss_falls_most() {
        // Flat, then a fall that is steepest at step 20, then a rise.
        let loss = |i: i32| 1.0 / (1.0 + f64::from(i - 20).exp()) + if i > 35 { f64::from(i - 35) } else { 0.0 };
        let points: Vec<_> = (0..40).map(|i| (10f64.powi(i - 30), loss(i))).collect();
        assert_eq!(suggested_learning_rate(&points), Some(10f64.powi(-10)));
        assert_eq!(suggested_learning_rate(&[]), None);
        assert_eq!(suggested_learning_rate(&[(1.0, 1.0); MIN_FINDER_STEPS - 1]), None);
        assert_eq!(suggested_learning_rate(&[(1.0, 1.0); MIN_FINDER_STEPS]), Some(1.0));
    }
    #[test]
    fn ten_steps_at_the_start_and_one_at_the_end_suggest_nothing() {
        // Falls everywhere, steepest where nothing is suggested: at steps 5 and 13. Of 14 steps only step 11 is left.
        let loss = |i: usize| -(i as f64) - if i > 5 { 100.0 } else { 0.0 } - if i > 12 { 100.0 } else { 0.0 };
        let points: Vec<_> = (0..14).map(|i| (i as f64, loss(i))).collect();
        assert_eq!(MIN_FINDER_STEPS, 14);
        assert_eq!(suggested_learning_rate(&points), Some(11.0));
        assert_eq!(suggested_learning_rate(&points[..13]), None);
    }

    #[test]
    fn the_slope_is_half_the_difference_of_both_neighbours() {
        // numpy.gradient([0, 0, -4, -5, -12, -12]) is [0, -2, -2.5, -4, -3.5, 0]: steepest at step 3.
        let losses = [0.0, 0.0, -4.0, -5.0, -12.0, -12.0];
        let points: Vec<_> =
            [0.0; 10].into_iter().chain(losses).chain([0.0]).zip(0..).map(|(y, i)| (f64::from(i), y)).collect();
        assert_eq!(suggested_learning_rate(&points), Some(13.0));
    }
}
