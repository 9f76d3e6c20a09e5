//! What an entropy kernel on another device needs for the same bits: the constants of the logarithm, and what rows are
//! checked against.

use super::EntropyOptions;
use crate::{
    lanes::{COLUMNS, Vectorized},
    logarithm::tables,
    real::Real,
};

/// The constants of the logarithm that [`entropy_rows`](super::entropy_rows) computes with, in one type. Those of `f32` are
/// exact in `f64`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogarithmTables {
    /// Bits of the lower end of the mantissa's range.
    pub low: u64,
    /// The bits that hold a mantissa.
    pub mantissa: u64,
    /// Bits of the mantissa within an interval of the table.
    pub step: u32,
    /// About 1/m for each interval of the mantissa m.
    pub reciprocals: Vec<f64>,
    /// -ln of each reciprocal.
    pub logarithms: Vec<f64>,
    /// (ln(1 + f) - f) / f² as a polynomial in f, lowest power first.
    pub series: Vec<f64>,
    /// ln 2
    pub ln_2: f64,
}

impl LogarithmTables {
    /// The constants for `f32`.
    pub fn f32() -> Self {
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect();
        Self {
            low: tables::LOW_F32.into(),
            mantissa: tables::MANTISSA_F32.into(),
            step: tables::STEP_F32,
            reciprocals: wide(&tables::RECIPROCALS_F32),
            logarithms: wide(&tables::LOGARITHMS_F32),
            series: wide(&tables::SERIES_F32),
            ln_2: f32::LN_2.into(),
        }
    }

    /// The constants for `f64`.
    pub fn f64() -> Self {
        Self {
            low: tables::LOW_F64,
            mantissa: tables::MANTISSA_F64,
            step: tables::STEP_F64,
            reciprocals: tables::RECIPROCALS_F64.to_vec(),
            logarithms: tables::LOGARITHMS_F64.to_vec(),
            series: tables::SERIES_F64.to_vec(),
            ln_2: f64::LN_2,
        }
    }
}

/// What [`entropy_rows`](super::entropy_rows) checks rows of one width against, while it computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowChecks<T> {
    /// Maximum distance from 1 of a sum in type `T`, without `normalize`: beyond, the exact sum decides.
    pub tolerance: T,
    /// Below this, an entropy that is not 0 is computed again by the definition.
    pub tiny: T,
    /// ln of the base, by which nats are divided.
    pub divisor: T,
}

impl<T: Real> RowChecks<T> {
    /// The checks for rows of `width`.
    #[inline(always)]
    pub fn new(width: usize, options: &EntropyOptions) -> Self {
        // A sum goes through at most so many additions, each of which rounds by half an epsilon of about 1.
        let additions = COLUMNS + <T as Vectorized>::LANES + width / (COLUMNS * <T as Vectorized>::LANES);
        let tolerance = options.tolerance.min(1.0) - additions as f64 * T::EPSILON.to_f64();
        Self { tolerance: T::from_f64(tolerance), tiny: T::TINY, divisor: T::from_f64(options.base.divisor()) }
    }
}
