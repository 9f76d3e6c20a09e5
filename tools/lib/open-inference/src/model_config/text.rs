//! `config.pbtxt`: the text format of protocol buffers.

use super::{ConfigError, DESCRIPTOR, MAX_BYTES, ModelConfig, check::check, colons::Colons};
use miette::Diagnostic;
use prost_reflect::{DynamicMessage, text_format::ParseError};

/// The configuration that `text`, read from `file`, holds.
///
/// # Errors
/// When it is too large, is no `inference.ModelConfig` in the text format of protocol buffers, or has values that no model
/// can have.
pub fn parse(text: &str, file: &str) -> Result<ModelConfig, ConfigError> {
    if text.len() > MAX_BYTES {
        return Err(ConfigError::TooLarge { file: file.to_owned(), bytes: text.len() });
    }
    let colons = Colons::insert(text);
    let message = DynamicMessage::parse_text_format(DESCRIPTOR.clone(), &colons.text)
        .map_err(|error| syntax_error(&error, text, &colons, file))?;
    let config = message.transcode_to().map_err(|error| whole_text(&error, file))?;
    check(&config, file)?;
    Ok(config)
}

/// The parser's error, where it is in `text`.
fn syntax_error(error: &ParseError, text: &str, colons: &Colons, file: &str) -> ConfigError {
    // An error at the end of the text has no label.
    let label = error.labels().and_then(|mut labels| labels.next());
    let offset = label.map_or(text.len(), |label| colons.original(label.offset()));
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    ConfigError::Syntax {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        problem: one_line(&error.to_string()),
    }
}

/// An error of no location.
pub(super) fn whole_text(error: &impl ToString, file: &str) -> ConfigError {
    ConfigError::Syntax { file: file.to_owned(), line: 1, column: 1, problem: one_line(&error.to_string()) }
}

/// A message without line breaks, which a token of the text may have.
pub(super) fn one_line(message: &str) -> String {
    message.replace(['\n', '\r'], " ")
}
