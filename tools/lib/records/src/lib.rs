//! The one wire: rows of one schema on a pipe or in a file, in two encodings with one meaning.
//!
//! A stream is a sequence of rows. Every row has the same ordered fields ([`Schema`]), each with a
//! name, a [`DType`] and a fixed shape. The two encodings are
//!
//! - **NDJSON**: one JSON object a line, fields in schema order, shortest round-trip numbers;
//! - **NPY**: a structured array, C order, little-endian, as `numpy.load` reads it. Where the number
//!   of rows is not known ahead, arrays of the same dtype follow each other until end of file.
//!
//! [`Reader`] tells them apart by the first bytes and yields [`Batch`]es of packed rows; [`Writer`]
//! writes batches in either encoding. Between the two a filter may set columns of a batch. Memory
//! stays constant in the number of rows. In NDJSON, fields that nobody asked for pass through byte
//! for byte.
//!
//! The NPY format is specified in NumPy's `numpy.lib.format` (NEP 1); NDJSON is RFC 8259 JSON, one
//! object a line.

mod batch;
pub mod classes;
mod dtype;
mod error;
mod input;
mod ndjson;
mod npy;
mod output;
mod reader;
mod schema;
mod stdout;
mod writer;

pub use batch::Batch;
pub use dtype::{DType, Element};
pub use error::{Error, Place, Result};
pub use input::Input;
pub use npy::MAGIC as NPY_MAGIC;
pub use output::{Output, remove_unfinished, replace_file, write_file};
pub use reader::{ReadOptions, Reader};
pub use schema::{Field, Schema};
pub use stdout::hand_on_stdout;
pub use writer::Writer;

/// How rows are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// One JSON object a line.
    Ndjson,
    /// NumPy's `.npy`: one array, or arrays of the same dtype back to back.
    Npy,
}

impl Encoding {
    /// The encoding that a file's name asks for: `.npy`, `.ndjson`, `.jsonl` or `.json`.
    pub fn of_path(path: &std::path::Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "npy" => Some(Self::Npy),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

impl std::str::FromStr for Encoding {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        match name {
            "npy" => Ok(Self::Npy),
            "ndjson" => Ok(Self::Ndjson),
            _ => Err(format!("unknown encoding {name:?}; expected npy or ndjson")),
        }
    }
}
