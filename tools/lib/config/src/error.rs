//! What went wrong, and where.

use crate::{interpolate::InterpolationError, overrides::GrammarError, yaml::YamlError};
use std::{fmt, io, sync::Arc};

/// Where a value comes from; [`fmt::Display`] writes it as errors begin.
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
#[derive(Debug, Clone)]
pub struct Error {
    origin: Option<Origin>,
    kind: ErrorKind,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(self.origin.as_ref(), &self.kind))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Read { error, .. } => Some(error.as_ref()),
            _ => None,
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An override that is outside the grammar.
    #[error("{error}{hint}")]
    Override {
        /// What is wrong with it.
        error: GrammarError,
        /// How to write what is perhaps meant; may be empty.
        hint: String,
    },
    /// An interpolation that is outside the grammar.
    #[error("{text}: {error}")]
    Interpolation {
        /// The value that contains it.
        text: String,
        /// What is wrong with it.
        error: InterpolationError,
    },
    /// A file that cannot be read.
    #[error("{file}: {error}")]
    Read {
        /// The file.
        file: Arc<str>,
        /// What the operating system says.
        error: Arc<io::Error>,
    },
    /// A config that is not YAML, or not as a config must be.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A setting, group or file that is not known, is missing, or has a value that it cannot have.
    #[error("{0}")]
    Settings(String),
}

impl From<GrammarError> for ErrorKind {
    fn from(error: GrammarError) -> Self {
        Self::Override { error, hint: String::new() }
    }
}

impl From<String> for ErrorKind {
    fn from(message: String) -> Self {
        Self::Settings(message)
    }
}

impl From<&str> for ErrorKind {
    fn from(message: &str) -> Self {
        Self::Settings(message.to_owned())
    }
}

/// What the fallible functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: impl Into<ErrorKind>) -> Self {
        Self { origin: None, kind: kind.into() }
    }

    pub(crate) fn at(origin: &Origin, kind: impl Into<ErrorKind>) -> Self {
        Self { origin: Some(origin.clone()), kind: kind.into() }
    }

    /// Says where, unless that is known already.
    pub(crate) fn or_at(mut self, origin: &Origin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// Where it went wrong: a line of a file, or an override; none where it is neither.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// What went wrong, without where.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }
}

/// Input may hold line breaks and control characters; an error is one line all the same.
fn one_line(origin: Option<&Origin>, kind: &ErrorKind) -> String {
    let text = match origin {
        Some(origin) => format!("{origin}: {kind}"),
        None => kind.to_string(),
    };
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// `a, b, c`.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}
