//! From the outputs of a classifier to the class that it predicts.

/// Probability above which the positive class is predicted.
pub(crate) const THRESHOLD: f64 = 0.5;

/// Index of the maximum: the first of equal ones, as NumPy's argmax; 0 of an empty slice. No value may be NaN.
pub fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// The class that probabilities predict: their [`argmax`]. A single probability is that of class 1 of two classes, which is
/// predicted if it is above 0.5.
pub fn predicted_class<T: Copy + PartialOrd + Into<f64>>(probabilities: &[T]) -> usize {
    match probabilities {
        [positive] => usize::from((*positive).into() > THRESHOLD),
        all => argmax(all),
    }
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

    #[test]
    fn a_single_probability_is_that_of_class_1() {
        assert_eq!([0.0, 0.5, 0.500_1].map(|positive| predicted_class(&[positive])), [0, 0, 1]);
        assert_eq!(predicted_class(&[0.25f32, 0.75]), 1);
    }
}
