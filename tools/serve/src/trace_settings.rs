//! The trace settings of the protocol: nothing is traced, and clients cannot change that.

use crate::error::{Error, Result};

/// Name and values of each.
pub const SETTINGS: [(&str, &[&str]); 6] = [
    ("trace_file", &[""]),
    ("trace_level", &["OFF"]),
    ("trace_rate", &["1000"]),
    ("trace_count", &["-1"]),
    ("log_frequency", &["0"]),
    ("trace_mode", &["triton"]),
];

/// Accepts a setting that is as it is already; without values, it is one that is to be reset.
///
/// # Errors
/// When there is no such setting, or it has other values.
pub fn update(name: &str, values: &[String]) -> Result<()> {
    let known = SETTINGS.iter().find(|(known, _)| *known == name);
    let (_, is) = known.ok_or_else(|| Error::Invalid(format!("there is no trace setting '{name}'")))?;
    if values.is_empty() || values == *is {
        return Ok(());
    }
    Err(Error::Unsupported(format!("trace setting '{name}' is {is:?} and cannot be changed: requests are not traced")))
}
