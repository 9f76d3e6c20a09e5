//! Why a row is refused.

/// The first row that is not a probability vector. The message starts with a verb: its subject is the field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{kind}")]
pub struct RowError {
    /// The row, counted from 0.
    pub row: usize,
    /// Why it is refused.
    pub kind: RowErrorKind,
}

/// Why a row is not a probability vector.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowErrorKind {
    /// An element is negative, NaN or infinite.
    #[error("holds {} at position {index}, no probability", Short(.value))]
    NotAProbability {
        /// Its index in the row.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The row does not sum to 1.
    #[error("sums to {}, expected 1 ± {tolerance:e}", Short(&rounded(*.sum)))]
    NotNormalized {
        /// The sum.
        sum: f64,
        /// Its maximum distance from 1.
        tolerance: f64,
    },
    /// The row sums to 0, or its sum overflows the type, and it cannot be normalized.
    #[error("sums to {} and cannot be normalized", Short(.sum))]
    NoSum {
        /// The sum.
        sum: f64,
    },
}

/// Rounded for reading: a sum of 1.3, not 1.3000000000000003. A huge one is left as it is.
fn rounded(sum: f64) -> f64 {
    let rounded = (sum * 1e9).round() / 1e9;
    if rounded.is_finite() { rounded } else { sum }
}

/// A number on one short line: with an exponent where its digits would not fit.
struct Short<'a>(&'a f64);

impl std::fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(value) = self;
        let fits = **value == 0.0 || (1e-5..1e16).contains(&value.abs());
        if fits { write!(f, "{value}") } else { write!(f, "{value:e}") }
    }
}
