//! Overrides: `key=value`, `+key=value`, `++key=value`, `~key`, in Hydra's grammar.
//!
//! [`Override::parse`] cuts the key from the value; `lexer` makes tokens of the value (an integer, a float, a word, a
//! quoted text ...), and `value` makes a typed [`Value`] of the tokens: that is where `1e-3` becomes a number.

mod casts;
mod error;
pub(crate) mod fnmatch;
mod functions;
mod lexer;
mod quote;
mod range;
mod shuffler;
mod sort;
mod text;
mod value;

pub use error::GrammarError;
pub use quote::{Quote, quoted};
pub use range::{Number, Range};
pub(crate) use shuffler::Shuffler;
pub(crate) use value::unquoted;
pub use value::{Choice, Sweep, Value};

use crate::error::{Error, ErrorKind, Origin, Result};
use std::sync::Arc;

/// What an override does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `key=value`: change what is there.
    Change,
    /// `+key=value`: add what is not there.
    Add,
    /// `++key=value`: change or add.
    Force,
    /// `~key`: delete.
    Delete,
}

/// One override, parsed.
#[derive(Debug, Clone)]
pub struct Override {
    /// What it does.
    pub action: Action,
    /// The dotted path of a value, or a group with its folders (`model/net`).
    pub key: String,
    /// The package after `@`, if there is one.
    pub package: Option<String>,
    /// The value; None for `~key` alone.
    pub value: Option<Value>,
    /// The text as it was given.
    pub text: Arc<str>,
}

impl Override {
    /// Parses one override; `shuffle()` of a list gives the first order of seed 0.
    ///
    /// # Errors
    /// What in `text` is outside the grammar.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_shuffled(text, &mut Shuffler::new(0))
    }

    /// As [`Override::parse`], with the next order that `shuffler` draws.
    ///
    /// # Errors
    /// What in `text` is outside the grammar.
    pub(crate) fn parse_shuffled(text: &str, shuffler: &mut Shuffler) -> Result<Self> {
        let origin = Origin::Override(text.into());
        let fail = |error: GrammarError| Error::at(&origin, error);
        let (action, rest) = action(text);
        let (key, value) = match rest.split_once('=') {
            Some((key, value)) => {
                let fail = |error| Error::at(&origin, ErrorKind::Override { error, hint: as_text(text, value) });
                (key, Some(value::parse(value, shuffler).map_err(fail)?))
            }
            None if action == Action::Delete => (rest, None),
            None => return Err(fail(GrammarError::NoValue)),
        };
        let (key, package) = match key.split_once('@') {
            Some((key, package)) => (key, Some(package)),
            None => (key, None),
        };
        if !is_key(key) {
            return Err(fail(GrammarError::Key(key.to_owned())));
        }
        if package.is_some_and(|package| !package.is_empty() && !is_package(package)) {
            return Err(fail(GrammarError::Package));
        }
        let (key, package) = (key.to_owned(), package.map(str::to_owned));
        Ok(Self { action, key, package, value, text: text.into() })
    }

    /// `key=value` from a typed value: what a tool's flag sets. Nothing is parsed; the text is only for messages.
    pub fn typed(key: &str, value: Value) -> Self {
        let shown = match &value {
            Value::Bool(value) => value.to_string(),
            value => value.to_text().unwrap_or_default(),
        };
        let (key, text) = (key.to_owned(), format!("{key}={shown}").into());
        Self { action: Action::Change, key, package: None, value: Some(value), text }
    }

    /// Where its values come from.
    pub(crate) fn origin(&self) -> Origin {
        Origin::Override(Arc::clone(&self.text))
    }

    /// What stands before the `=`: action, key and package.
    pub(crate) fn key_element(&self) -> String {
        let prefix = match self.action {
            Action::Change => "",
            Action::Add => "+",
            Action::Force => "++",
            Action::Delete => "~",
        };
        format!("{prefix}{}", self.group_key())
    }

    /// `key`, or `group@package`.
    pub(crate) fn group_key(&self) -> String {
        match &self.package {
            Some(package) => format!("{}@{package}", self.key),
            None => self.key.clone(),
        }
    }

    /// How several values are written for the shell so that they are one. Nothing where the shell has a meaning for a
    /// part of them.
    pub(crate) fn as_one_value(&self) -> String {
        match self.text.split_once('=') {
            Some((key, values)) if !values.contains(['\'', '"', '$', '`', '\\', '!']) => {
                format!(
                    "; where the setting is a list, write '{key}=[{values}]', where it is a text \"{key}='{values}'\""
                )
            }
            _ => String::new(),
        }
    }
}

/// How the override `text` is written for the shell so that its `value`, outside the grammar as it is, is a text.
/// Nothing where it is meant as something else, or where the shell has a meaning for it within double quotes.
fn as_text(text: &str, value: &str) -> String {
    if !value.contains(['{', '}', '='])
        || value.starts_with(['[', '('])
        || value.contains(['\'', '"', '\\', '$', '`', '!'])
    {
        return String::new();
    }
    let before = text.strip_suffix(value).unwrap_or(text);
    format!("; for a text, write \"{before}'{value}'\"")
}

/// What the sign before a key says, and what follows it.
pub(crate) fn action(text: &str) -> (Action, &str) {
    if let Some(rest) = text.strip_prefix("++") {
        (Action::Force, rest)
    } else if let Some(rest) = text.strip_prefix('+') {
        (Action::Add, rest)
    } else if let Some(rest) = text.strip_prefix('~') {
        (Action::Delete, rest)
    } else {
        (Action::Change, text)
    }
}

/// `packageOrGroup` of the grammar, less the empty one.
fn is_key(text: &str) -> bool {
    is_package(text) || (text.contains('/') && text.split('/').all(is_id))
}

/// An identifier, or a dotted path, whose parts may be numbers.
fn is_package(text: &str) -> bool {
    let dotted = text.contains('.');
    text.split('.').all(|part| is_special(part) || (dotted && is_unsigned(part)))
}

fn is_id(text: &str) -> bool {
    is_special(text) && !text.contains('$')
}

/// An identifier in which `$` may stand.
fn is_special(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-$".contains(c))
}

fn is_unsigned(text: &str) -> bool {
    !text.is_empty() && lexer::unsigned_len(text) == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_keys_and_packages_are_told_apart() {
        let parse = |text| Override::parse(text).expect("valid");
        let o = parse("+db/engine@a.b=x");
        assert_eq!((o.action, o.key.as_str(), o.package.as_deref()), (Action::Add, "db/engine", Some("a.b")));
        assert_eq!(parse("++a.0.b=1").key, "a.0.b");
        assert_eq!(parse("~a").value, None);
        assert_eq!(parse("a=").value, Some(Value::Str("".into())));
        assert_eq!(parse("db@=x").package.as_deref(), Some(""));
    }

    #[test]
    fn what_is_no_override_is_refused() {
        for text in [
            "a", "=1", "a b=1", "1=2", "a..b=1", "a/=1", "a=b=c", "a=[1", "a=1)", "a='x", "a=f(", "a@b c=1", "", "+",
            "~",
        ] {
            assert!(Override::parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]{}(),:='\"$a-c0-9_.+~@/\\\\ -]{0,40}") {
            let _ = Override::parse(&text);
            let _ = Override::parse(&format!("a={text}"));
        }
    }
}
