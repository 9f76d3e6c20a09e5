//! Bodies of HTTP: JSON, and binary data after it.
//!
//! Requests are parsed straight into tensors: no tree of JSON values is built, numbers go into memory of their type, and
//! binary data is a slice of the body. What Triton does is done, with two kinds of exceptions. Refused is what Triton takes
//! and gives another meaning: a number out of its type's range (Triton wraps or makes an infinity of it), nested arrays that
//! do not follow the shape, a field or a name given twice, fractions of dimensions. Accepted is what other clients of the
//! protocol send: null for an absent `id`, `parameters` or `outputs`, and 0 and 1 as `BOOL`.

mod data;
mod digits;
mod error;
mod json;
mod nested;
mod number;
mod parse;
mod write;

pub use error::{Problem, RequestError, SyntaxError};
pub use json::{Cursor, NumberText};
pub use nested::Nested;
pub use parse::parse_request;
pub use write::{Body, WriteError, write_error, write_response};
