//! Metrics of predictions, as accumulators over rows.
//!
//! Definitions are those of scikit-learn 1.9, against which they are tested; a metric that is not defined (R2 of targets
//! that never vary, AUC where a class never occurs) is `None`. All sums are in f64 and in the order of the rows, and
//! logarithms and exponentials are libm's, so that the same rows give the same bits on every machine.

mod comparison;
mod confusion;
mod direction;
mod learning_rate;
mod multi_class;
mod multi_label;
mod ranking;
mod regression;
mod scores;

pub use comparison::Comparison;
pub use confusion::{ClassScore, Confusion, macro_means};
pub use direction::{Direction, direction_of};
pub use learning_rate::{LEAST_FINDER_STEPS, suggested_learning_rate};
pub use multi_class::MultiClass;
pub use multi_label::MultiLabel;
pub use ranking::Ranking;
pub use regression::Regression;

/// Index of the maximum: the first of equals, as NumPy's argmax; 0 of an empty slice. No value is NaN.
pub fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// The negative logarithm of a probability that is first clipped to `eps..=1 - eps`, as in scikit-learn's `log_loss`.
fn negative_log(probability: f64, eps: f64) -> f64 {
    -libm::log(probability.clamp(eps, 1.0 - eps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_is_the_first_of_equals() {
        assert_eq!(argmax(&[0.2, 0.4, 0.4]), 1);
        assert_eq!(argmax(&[-1.0f32]), 0);
        assert_eq!(argmax::<f64>(&[]), 0);
    }
}
