//! Errors that say where.

use std::sync::Arc;

/// What this library's fallible functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// A place in a stream, as a person would look it up.
#[derive(Debug, Clone)]
pub struct Place {
    source: Arc<str>,
    spot: Spot,
}

#[derive(Debug, Clone, Copy)]
enum Spot {
    Whole,
    Line(u64),
    Row(u64),
}

impl Place {
    /// The stream as a whole.
    pub fn whole(source: &Arc<str>) -> Self {
        Self { source: source.clone(), spot: Spot::Whole }
    }

    /// A line of text, counted from 1: `stdin:12`.
    pub fn line(source: &Arc<str>, line: u64) -> Self {
        Self { source: source.clone(), spot: Spot::Line(line) }
    }

    /// A row of an array, counted from 0 as NumPy does: `stdin: row 11`.
    pub fn row(source: &Arc<str>, row: u64) -> Self {
        Self { source: source.clone(), spot: Spot::Row(row) }
    }

    /// An error at this place.
    pub fn error(self, problem: impl Into<String>) -> Error {
        Error::Data { place: self, problem: problem.into() }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.spot {
            Spot::Whole => f.write_str(&self.source),
            Spot::Line(line) => write!(f, "{}:{line}", self.source),
            Spot::Row(row) => write!(f, "{}: row {row}", self.source),
        }
    }
}

/// Why a stream could not be read or written. Displays as one line: where, what, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes break a rule of the wire, or a value one of a tool.
    #[error("{place}: {problem}")]
    Data {
        /// Where.
        place: Place,
        /// What, and what to do.
        problem: String,
    },
    /// The operating system refused.
    #[error(transparent)]
    File(#[from] files::Error),
}
