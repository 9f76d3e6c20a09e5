//! The log settings of the protocol: clients see them and cannot change them.

use crate::error::{Error, Result};

/// The value of a log setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    Bool(bool),
    Number(u64),
    Text(&'a str),
}

/// Name and value of each.
pub const SETTINGS: [(&str, Value<'static>); 6] = [
    ("log_file", Value::Text("")),
    ("log_info", Value::Bool(true)),
    ("log_warning", Value::Bool(true)),
    ("log_error", Value::Bool(true)),
    ("log_verbose_level", Value::Number(0)),
    ("log_format", Value::Text("default")),
];

/// Accepts a setting that is as it is already.
///
/// # Errors
/// When there is no such setting, or it has another value.
pub fn update(name: &str, value: Value<'_>) -> Result<()> {
    let known = SETTINGS.iter().find(|(known, _)| *known == name);
    let (_, is) = known.ok_or_else(|| Error::Invalid(format!("there is no log setting '{name}'")))?;
    if value == *is {
        return Ok(());
    }
    Err(Error::Unsupported(format!("log setting '{name}' cannot be changed while the server runs")))
}
