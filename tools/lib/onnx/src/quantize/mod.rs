//! Static int8 quantisation.
//!
//! The caller runs the model over a calibration set and shows the [`Calibrator`] what the values are.

mod calibrate;
mod divergence;
mod histogram;

pub use calibrate::{Calibrator, Method, Ranges};
