//! Errors of an output.

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// The differences between two graphs' values of one output, over all rows.
#[derive(Debug, Clone)]
pub struct OutputErrors {
    /// The output's name.
    pub name: String,
    count: u64,
    /// Values that are finite in both.
    finite: u64,
    sum: f64,
    sum_of_squares: f64,
    max: f64,
    /// Values that are NaN or infinite in the candidate alone.
    pub broken: u64,
    /// Values that are NaN in the reference, or infinite there and not the same in the candidate.
    undefined: u64,
}

impl OutputErrors {
    /// Of no values yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            count: 0,
            finite: 0,
            sum: 0.0,
            sum_of_squares: 0.0,
            max: 0.0,
            broken: 0,
            undefined: 0,
        }
    }

    /// Adds values of both graphs, in the same order.
    pub fn add(&mut self, expected: &[f64], actual: &[f64]) {
        for (expected, actual) in expected.iter().zip(actual) {
            self.count += 1;
            match (expected.is_finite(), actual.is_finite()) {
                (true, true) => {
                    let error = (actual - expected).abs();
                    self.finite += 1;
                    self.sum += error;
                    self.max = self.max.max(error);
                    self.sum_of_squares += expected * expected;
                }
                (true, false) => self.broken += 1,
                // The same infinity, as of a masked score, is no error.
                (false, _) if expected == actual => {}
                (false, _) => self.undefined += 1,
            }
        }
    }

    /// What has no value to compare with in the reference; None where that tells nothing against the comparison: values that
    /// are infinite in both, beside finite ones.
    pub fn undefined(&self) -> Option<String> {
        let Self { count, finite, .. } = *self;
        let undefined = if finite == 0 { count } else { self.undefined };
        (undefined > 0).then(|| format!("{undefined} of {count} values of output {:?} are NaN or infinite", self.name))
    }

    /// Root mean square of the reference's values: the unit of relative errors. 1 where all are 0.
    pub fn scale(&self) -> f64 {
        let scale = (self.sum_of_squares / self.count.max(1) as f64).sqrt();
        if scale > 0.0 { scale } else { 1.0 }
    }

    /// Largest absolute error.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// Mean absolute error.
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// Mean absolute error in units of [`OutputErrors::scale`].
    pub fn relative_mean(&self) -> f64 {
        self.mean() / self.scale()
    }

    /// Largest absolute error in units of [`OutputErrors::scale`].
    pub fn relative_max(&self) -> f64 {
        self.max / self.scale()
    }
}

impl Serialize for OutputErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("OutputErrors", 6)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("scale", &self.scale())?;
        fields.serialize_field("mean_error", &self.mean())?;
        fields.serialize_field("max_error", &self.max())?;
        fields.serialize_field("relative_mean_error", &self.relative_mean())?;
        fields.serialize_field("relative_max_error", &self.relative_max())?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_in_units_of_the_output() {
        let mut errors = OutputErrors::new("y");
        errors.add(&[3.0, -4.0], &[3.5, -4.0]);
        errors.add(&[f64::INFINITY, 0.0], &[1.0, f64::NAN]);
        // √((9 + 16) / 4), over four values.
        assert_eq!((errors.scale(), errors.max(), errors.mean(), errors.broken), (2.5, 0.5, 0.125, 1));
        assert_eq!((errors.relative_max(), errors.relative_mean()), (0.2, 0.05));
        assert_eq!(OutputErrors::new("y").scale(), 1.0);
    }

    #[test]
    fn values_without_a_number_in_the_reference_compare_with_nothing() {
        let undefined = |expected: &[f64], actual: &[f64]| {
            let mut errors = OutputErrors::new("y");
            errors.add(expected, actual);
            errors.undefined()
        };
        let infinite = f64::NEG_INFINITY;
        assert_eq!(undefined(&[], &[]), None);
        assert_eq!(undefined(&[1.0, infinite], &[2.0, infinite]), None);
        let all = Some("2 of 2 values of output \"y\" are NaN or infinite".into());
        assert_eq!(undefined(&[infinite, infinite], &[infinite, infinite]), all);
        assert_eq!(undefined(&[f64::NAN, f64::NAN], &[f64::NAN, 1.0]), all);
        let one = Some("1 of 2 values of output \"y\" are NaN or infinite".into());
        assert_eq!(undefined(&[1.0, f64::NAN], &[1.0, f64::NAN]), one);
        assert_eq!(undefined(&[1.0, infinite], &[1.0, -infinite]), one);
    }
}
