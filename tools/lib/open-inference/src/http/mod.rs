//! Bodies of HTTP: JSON, and binary data after it.

mod data;
mod digits;
mod error;
mod json;
mod number;
mod parse;
mod write;

pub use error::{Problem, RequestError, SyntaxError};
pub use parse::parse_request;
pub use write::{Body, WriteError, write_error, write_response};
