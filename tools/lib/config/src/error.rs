//! What went wrong, and where.

use std::{fmt, sync::Arc};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    File {
        /// The file as the user would name it; `builtin:` marks the embedded copy.
        file: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// An override, as it was given.
    Override(Arc<str>),
}

impl Origin {
    /// The first line of `file`.
    pub(crate) fn start(file: &Arc<str>) -> Self {
        Self::File { file: Arc::clone(file), line: 1 }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Override(text) => write!(f, "override \"{text}\""),
        }
    }
}

/// One line for the person at the shell: where, what, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", one_line(.origin.as_ref(), .message))]
pub struct Error {
    origin: Option<Origin>,
    message: String,
}

/// What the fallible functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { origin: None, message: message.into() }
    }

    pub(crate) fn at(origin: &Origin, message: impl Into<String>) -> Self {
        Self { origin: Some(origin.clone()), message: message.into() }
    }

    /// Says where, unless that is known already.
    pub(crate) fn or_at(mut self, origin: &Origin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// Where it went wrong, where that is a place.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }
}

/// Input may hold line breaks and control characters; an error is one line all the same.
fn one_line(origin: Option<&Origin>, message: &str) -> String {
    let text = match origin {
        Some(origin) => format!("{origin}: {message}"),
        None => message.to_owned(),
    };
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// `a, b, c`.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}
