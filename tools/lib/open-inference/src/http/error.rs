//! Why a body is no request.

use crate::{DataType, TensorError};

/// Why a body is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Text that is not JSON.
    #[error("the request is not JSON: {0}")]
    Syntax(#[from] SyntaxError),
    /// JSON, or binary data after it, that is no request.
    #[error("{at}{separator}{problem}", separator = if at.is_empty() { "" } else { ": " })]
    Invalid {
        /// Where, for instance `inputs[0].data[17]`; empty for the body as a whole.
        at: String,
        /// What is wrong there.
        problem: Problem,
    },
}

/// Why text is not JSON (RFC 8259). Offsets are in bytes, from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// A byte that cannot be there.
    #[error("expected {expected}, found '{}' at byte {offset}", found.escape_ascii())]
    Unexpected {
        /// What may be there.
        expected: &'static str,
        /// The byte that is there.
        found: u8,
        /// Its offset.
        offset: usize,
    },
    /// The text is too short.
    #[error("it ends where {0} is expected")]
    End(&'static str),
    /// A literal that other formats have.
    #[error("NaN and Infinity are not JSON, send them as binary data (byte {0})")]
    NotFinite(usize),
    /// A string without its closing quote.
    #[error("it ends within a string")]
    OpenString,
    /// A control character that is not escaped.
    #[error("a bare control character in a string at byte {0}")]
    ControlCharacter(usize),
    /// An escape that JSON does not have, or half of a surrogate pair.
    #[error("a bad escape in a string at byte {0}")]
    Escape(usize),
    /// A string that is not UTF-8.
    #[error("the string at byte {0} is not UTF-8")]
    Utf8(usize),
    /// Too many open brackets.
    #[error("nested deeper than {} levels", super::json::MAX_DEPTH)]
    Depth,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// `Inference-Header-Content-Length` is more than the body has.
    #[error("Inference-Header-Content-Length is {header}, but the body has {body} bytes")]
    HeaderLength {
        /// The header.
        header: usize,
        /// Bytes of the body.
        body: usize,
    },
    /// A value of another kind.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// The kind that is expected.
        expected: &'static str,
        /// The kind that is there.
        found: &'static str,
    },
    /// A field that a request must have.
    #[error("field {0:?} is missing")]
    Missing(&'static str),
    /// A field twice in one object.
    #[error("field {0:?} is given twice")]
    Duplicate(&'static str),
    /// Two inputs or two outputs of one name.
    #[error("{0:?} is named twice")]
    SameName(String),
    /// A number that its type cannot hold.
    #[error("{text} is out of range for {data_type}")]
    OutOfRange {
        /// The number.
        text: String,
        /// The tensor's type.
        data_type: DataType,
    },
    /// A fraction or an exponent where integers belong.
    #[error("expected an integer, found {0}")]
    NotAnInteger(String),
    /// A dimension, a size or a setting that is no unsigned integer of 64 bits.
    #[error("expected an integer of at least 0, found {0}")]
    NotUnsigned(String),
    /// No such element type.
    #[error("datatype {0:?} is unknown; known are {known}", known = known_types())]
    DataType(String),
    /// A type without a JSON form.
    #[error("{0} has no JSON form; send it as binary data (parameter binary_data_size)")]
    NoJsonForm(DataType),
    /// More or fewer elements than the shape has.
    #[error("shape {shape:?} has {expected} elements, the data has {}{found}", if *more { "more than " } else { "" })]
    Elements {
        /// The shape.
        shape: Vec<usize>,
        /// Elements that it has.
        expected: usize,
        /// Elements that were read.
        found: usize,
        /// Whether there are more than those.
        more: bool,
    },
    /// Nested arrays of unequal length or depth.
    #[error("arrays of unequal length or depth")]
    Ragged,
    /// Nested arrays that do not follow the shape.
    #[error("nested arrays of shape {found:?} do not match shape {shape:?}")]
    Nesting {
        /// Lengths of the arrays.
        found: Vec<usize>,
        /// The tensor's shape.
        shape: Vec<usize>,
    },
    /// Arrays deeper than the shape.
    #[error("arrays are nested deeper than shape {0:?}")]
    TooDeep(Vec<usize>),
    /// An input without data.
    #[error("the input has neither \"data\" nor the parameter binary_data_size")]
    NoData,
    /// An input with two kinds of data.
    #[error("the input has both \"data\" and the parameter binary_data_size")]
    TwiceData,
    /// Less binary data than an input says.
    #[error("binary_data_size is {size}, but {left} bytes are left after the JSON{hint}", hint = no_header(*left))]
    BinaryShort {
        /// Bytes that the input says.
        size: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// More binary data than all inputs have.
    #[error("{0} bytes are left over after the binary data of the last input")]
    BinaryLeft(usize),
    /// The extensions for shared memory.
    #[error("shared memory is not supported; send the tensor as JSON or as binary data")]
    SharedMemory,
    /// Requests that belong to a sequence.
    #[error("sequences are not supported; leave out sequence_id, sequence_start and sequence_end")]
    Sequence,
    /// More than the server allows.
    #[error("{found} {what}, at most {limit} are allowed ({setting})")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much is allowed.
        limit: usize,
        /// The setting that says so.
        setting: &'static str,
    },
    /// Data that is no tensor of the shape and type.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

fn no_header(left: usize) -> &'static str {
    if left == 0 { " (Inference-Header-Content-Length says where the JSON ends)" } else { "" }
}

fn known_types() -> String {
    DataType::ALL.map(DataType::name).join(", ")
}

/// Boxed: errors are rare, and every number returns a result.
pub(super) type Result<T> = std::result::Result<T, Box<RequestError>>;

impl From<Problem> for Box<RequestError> {
    fn from(problem: Problem) -> Self {
        Box::new(RequestError::Invalid { at: String::new(), problem })
    }
}

impl From<SyntaxError> for Box<RequestError> {
    fn from(error: SyntaxError) -> Self {
        Box::new(error.into())
    }
}

/// Says where an error is, from the inside out.
pub(super) trait Within<T> {
    /// Puts `place()` in front of where the error is.
    fn within<S: AsRef<str>>(self, place: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Within<T> for Result<T> {
    fn within<S: AsRef<str>>(self, place: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|mut error| {
            if let RequestError::Invalid { at, .. } = &mut *error {
                let dot = if at.is_empty() || at.starts_with('[') { "" } else { "." };
                *at = format!("{}{dot}{at}", place().as_ref());
            }
            error
        })
    }
}
