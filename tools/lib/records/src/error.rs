//! Errors that say where.

use crate::{DType, dtype::numeric_names};
use std::sync::Arc;

/// What this library's fallible functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// A location in a stream, as a person would look it up.
#[derive(Debug, Clone)]
pub struct Location {
    source: Arc<str>,
    at: At,
}

#[derive(Debug, Clone, Copy)]
enum At {
    Stream,
    Line(u64),
    Row(u64),
}

impl Location {
    /// The stream as a whole: `stdin`.
    pub fn whole(source: &Arc<str>) -> Self {
        Self { source: source.clone(), at: At::Stream }
    }

    /// A line of text, counted from 1: `stdin:12`.
    pub fn line(source: &Arc<str>, line: u64) -> Self {
        Self { source: source.clone(), at: At::Line(line) }
    }

    /// A row of an array, counted from 0 as NumPy does: `stdin: row 11`.
    pub fn row(source: &Arc<str>, row: u64) -> Self {
        Self { source: source.clone(), at: At::Row(row) }
    }

    /// The error, at this location. Text is an [`Error::Invalid`].
    pub fn error(self, error: impl Into<Error>) -> Error {
        Error::At { location: self, error: Box::new(error.into()) }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            At::Stream => f.write_str(&self.source),
            At::Line(line) => write!(f, "{}:{line}", self.source),
            At::Row(row) => write!(f, "{}: row {row}", self.source),
        }
    }
}

/// Why a stream could not be read or written. Displays as one line: where, what, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another error, and where in the stream it is.
    #[error("{location}: {error}")]
    At {
        /// Where.
        location: Location,
        /// What.
        #[source]
        error: Box<Error>,
    },
    /// A file or pipe could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The input has no rows. The text is the reason, or empty.
    #[error("no rows{0}")]
    NoRows(&'static str),
    /// The input is in a format other than NDJSON, NPY and CSV.
    #[error("{format}, no rows of NDJSON, NPY or CSV ({remedy})")]
    OtherFormat {
        /// For instance `a Parquet file`.
        format: &'static str,
        /// How to convert it.
        remedy: &'static str,
    },
    /// The name of an output has the extension of another format.
    #[error("{}: rows are written as .ndjson, .npy, .csv or .tsv, unless --to says how", .0.display())]
    OtherExtension(std::path::PathBuf),
    /// An array has fewer rows than its header.
    #[error("the data is truncated: the header promises {promised} rows, {complete} are whole")]
    Truncated {
        /// Rows that the headers so far promise.
        promised: u64,
        /// Rows before the first one that is not complete.
        complete: u64,
    },
    /// Another number of rows than [`crate::ReadOptions::expect_rows`].
    #[error("expected {expected} rows, found {found}")]
    RowCount {
        /// The option.
        expected: u64,
        /// A number, or `more than` the expected one.
        found: String,
    },
    /// A required field is missing.
    #[error("no field {name:?} (there is {known}){remedy}")]
    NoField {
        /// The field.
        name: String,
        /// The fields that exist, as a list.
        known: String,
        /// What to do, with a leading `; ` or `: `; may be empty.
        remedy: String,
    },
    /// The input already has a field that the tool adds.
    #[error("field {name:?} is already there; choose another name with {option}")]
    FieldExists {
        /// The field.
        name: String,
        /// The flag or setting that names it.
        option: String,
    },
    /// A field has another element type than the tool needs.
    #[error("field {name:?} has dtype {found}, expected {expected}")]
    WrongDType {
        /// The field.
        name: String,
        /// Its element type.
        found: DType,
        /// An element type, or several as text.
        expected: String,
    },
    /// A field is text, and the tool needs numbers.
    #[error("field {0:?} holds text, expected numbers")]
    NotNumeric(String),
    /// A field has another shape than the tool needs.
    #[error("field {field} has the wrong shape, expected {expected}")]
    WrongShape {
        /// The field, as `name dtype[shape]`.
        field: String,
        /// What the tool needs.
        expected: String,
    },
    /// A schema without fields.
    #[error("a row needs at least one field")]
    NoFields,
    /// The field at this index has an empty name.
    #[error("field {0} has no name")]
    UnnamedField(usize),
    /// Two fields have one name.
    #[error("field {0:?} appears twice")]
    DuplicateField(String),
    /// A field has no elements.
    #[error("field {0:?} has a zero in its shape")]
    EmptyField(String),
    /// With this field, a row has more bytes than the limit.
    #[error("field {name:?} makes a row larger than {limit_mib} MiB")]
    RowTooLarge {
        /// The field.
        name: String,
        /// The limit, in MiB.
        limit_mib: usize,
    },
    /// A row longer than the limit.
    #[error("a {what} longer than {}{remedy}", size(*limit))]
    LongRow {
        /// `line` of text, or `row`.
        what: &'static str,
        /// Most bytes.
        limit: usize,
        /// What to do, with a leading blank; may be empty.
        remedy: &'static str,
    },
    /// The name of no element type.
    #[error("unknown dtype {0:?}; expected one of {known}", known = numeric_names())]
    UnknownDType(String),
    /// The name of no encoding.
    #[error("unknown encoding {0:?}; expected npy, ndjson or csv")]
    UnknownEncoding(String),
    /// The texts of one batch have more than 4 GiB, which offsets of 32 bits cannot address.
    #[error("a text of over 4 GiB")]
    TextTooLong,
    /// A line is no JSON object, or not UTF-8.
    #[error("{0}")]
    Json(String),
    /// The header of an array cannot be read, or describes something other than rows.
    #[error("{0}")]
    NpyHeader(String),
    /// The bytes are no CSV as RFC 4180 has it.
    #[error("{0}")]
    Csv(String),
    /// A value breaks a rule of the wire or of a tool.
    #[error("{0}")]
    Invalid(String),
}

/// A number of bytes, in MiB if it is a whole number of them.
fn size(bytes: usize) -> String {
    const MIB: usize = 1 << 20;
    if bytes.is_multiple_of(MIB) { format!("{} MiB", bytes / MIB) } else { format!("{bytes} bytes") }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Invalid(text)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Self::Invalid(text.to_owned())
    }
}

impl Error {
    /// [`Error::NoField`] with a remedy; any other error as it is.
    pub(crate) fn with_remedy(self, text: &str) -> Self {
        match self {
            Self::NoField { name, known, .. } => Self::NoField { name, known, remedy: text.to_owned() },
            other => other,
        }
    }
}
