//! What is wrong with a value, and the error that the user reads.

use super::{History, variant::selector};
use crate::{
    error::{Error, Origin, list},
    node::Node,
    overrides::Override,
    reference::reference,
    shadow,
    suggest::{self, did_you_mean},
};
use serde::de::{self, Expected, Unexpected};
use std::fmt;

/// What is wrong with a value; serde's error type here.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) origin: Option<Origin>,
    /// Keys from the innermost outwards.
    path: Vec<String>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    UnknownField { field: String, known: &'static [&'static str] },
    MissingField(&'static str),
    Other(String),
}

impl Failure {
    fn new(kind: Kind) -> Self {
        Self { origin: None, path: Vec::new(), kind }
    }

    pub(super) fn other(node: &Node, message: impl Into<String>) -> Self {
        Self { origin: Some(node.origin.clone()), ..Self::new(Kind::Other(message.into())) }
    }

    /// Fills in the origin of the node that was being read.
    pub(super) fn within(mut self, node: &Node) -> Self {
        if self.origin.is_none() {
            let at = match &self.kind {
                Kind::UnknownField { field, .. } => node.child(field).unwrap_or(node),
                _ => node,
            };
            self.origin = Some(at.origin.clone());
        }
        self
    }

    pub(super) fn under(mut self, key: &str) -> Self {
        self.path.push(key.to_owned());
        self
    }

    pub(super) fn into_error(self, base: &str, node: &Node, history: &History) -> Error {
        let keys = std::iter::once(base).filter(|base| !base.is_empty());
        let path: Vec<_> = keys.chain(self.path.iter().rev().map(String::as_str)).collect();
        if let Some(error) = self.caused_by_override(&path.join("."), node, &history.deletions) {
            return error;
        }
        let join = |last: &str| path.iter().copied().chain([last]).collect::<Vec<_>>().join(".");
        let origin = self.origin.as_ref().unwrap_or(&node.origin);
        let shadow = |key: &str| shadow::note_at(&history.shadows, key, origin);
        let message = match &self.kind {
            Kind::UnknownField { field, known } => {
                let known: Vec<String> = known.iter().map(|known| join(known)).collect();
                unknown(&join(field), &known, || shadow(&join(field)))
            }
            Kind::MissingField(field) => {
                let key = join(field);
                // What is not there is added; a whole group is chosen.
                let sign = if key.contains('.') { "+" } else { "" };
                format!("{key}: missing; give it as {sign}{key}=...{}", shadow(&key))
            }
            Kind::Other(message) if path.is_empty() => message.clone(),
            Kind::Other(message) => format!("{}: {message}", path.join(".")),
        };
        Error::at(origin, message)
    }

    /// The error of an override that deleted a required key, or that changed the selector (`name`, `kind`) but none of
    /// the keys that belong to it; the file that has the keys is not at fault.
    fn caused_by_override(&self, path: &str, node: &Node, deletions: &[Override]) -> Option<Error> {
        let parent = self.path.iter().rev().try_fold(node, |node, key| node.child(key))?;
        match &self.kind {
            Kind::MissingField(field) => {
                let missing = [path, field].join(".");
                if let Some(one) = deletions.iter().find(|one| one.key == missing) {
                    return Some(Error::at(&one.origin(), format!("{missing}: is required; change it, or leave it")));
                }
            }
            Kind::UnknownField { field, .. } => {
                let node = parent.child(field).filter(|node| matches!(node.origin, Origin::File { .. }))?;
                if let Some(error) = between_files(path, parent, field, node) {
                    return Some(error);
                }
            }
            Kind::Other(_) => return None,
        }
        let (key, selected) = selector(parent).filter(|(_, node)| matches!(node.origin, Origin::Override(_)))?;
        let (option, group) = (selected.as_str()?, path.replace('.', "/"));
        let message =
            format!("{path}.{key}: the other settings are not {option}'s; to choose it, write {group}={option}");
        Some(Error::at(&selected.origin, message))
    }
}

/// The error of a file that changes the selector (`name`, `kind`), where the option's own file has a key that the
/// selected variant does not have.
fn between_files(path: &str, parent: &Node, field: &str, node: &Node) -> Option<Error> {
    let (key, selected) = selector(parent)?;
    let (Origin::File { file, .. }, Origin::File { file: other, .. }) = (&selected.origin, &node.origin) else {
        return None;
    };
    let (option, group) = (selected.as_str()?, path.replace('.', "/"));
    let is_of_option =
        other.trim_end_matches(".yaml").rsplit_once('/').is_some_and(|(folder, _)| folder.ends_with(&group));
    if file == other || path.is_empty() || !is_of_option {
        return None;
    }
    let message = format!(
        "{path}.{key}: is {option} here, which has no {field} ({}); choose {group}={option}, or delete the line",
        node.origin
    );
    Some(Error::at(&selected.origin, message))
}

/// `known` are whole keys beside the one at `path`.
fn unknown(path: &str, known: &[String], shadow: impl Fn() -> String) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = match suggest::hint(path, &known, "") {
        hint if hint.is_empty() => of_another_group(path),
        hint => hint,
    };
    match hint {
        hint if hint.is_empty() => {
            let names = known.iter().map(|key| key.rsplit('.').next().unwrap_or(key));
            format!("{path}: unknown key; known: {}{}", list(names), shadow())
        }
        hint => format!("{path}: unknown key{hint}{}", shadow()),
    }
}

/// A hint at the built-in setting of another group that the key at `path` is called by.
fn of_another_group(path: &str) -> String {
    let groups = reference(None);
    let (group, word) = path.split_once('.').unwrap_or(("", path));
    if !groups.iter().any(|one| one.name == group) {
        return String::new();
    }
    let keys = groups.iter().flat_map(|group| &group.settings).map(|setting| setting.key.as_str());
    let called = suggest::called(word, &keys.collect::<Vec<_>>());
    suggest::ask(called.into_iter().filter(|key| *key != path).map(str::to_owned))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::UnknownField { field, .. } => write!(f, "unknown key {field}"),
            Kind::MissingField(field) => write!(f, "missing key {field}"),
            Kind::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Kind::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {}, found {}", plain(expected), found_text(&found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {}, found one of length {length}", plain(expected)))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let near = did_you_mean(variant, known.iter().copied());
        Self::custom(format_args!("{variant:?} is not one of {}{near}", list(known.iter().copied())))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownField { field: field.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Kind::MissingField(field))
    }
}

/// Rust's type names in plain words.
fn plain(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a non-negative integer".into(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "an integer".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "path string" => "a path".into(),
        text if text.starts_with("a nonzero u") => "a positive integer".into(),
        text if text.starts_with("struct ") => "a mapping".into(),
        text if text.starts_with("an array of") => text.replace("an array of", "a list of"),
        "a sequence" => "a list".into(),
        _ => text,
    }
}

fn found_text(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("{text:?}"),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => crate::number::format(*value),
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unit | Unexpected::Option => "null".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a mapping".into(),
        Unexpected::UnitVariant => "a name alone".into(),
        other => other.to_string(),
    }
}
