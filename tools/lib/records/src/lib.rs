//! The one wire: rows of one schema on a pipe or in a file, in two encodings with one meaning.
//!
//! A stream is a sequence of rows. Every row has the same ordered fields ([`Schema`]), each with a
//! name, a [`DType`] and a fixed shape. The encodings are
//!
//! - **NDJSON**: one JSON object a line, fields in schema order, shortest round-trip numbers;
//! - **NPY**: a structured array, C order, little-endian, as `numpy.load` reads it. Where the number
//!   of rows is not known ahead, arrays of the same dtype follow each other until end of file.
//!
//! and beside them **CSV** with a header, whose columns are scalar fields of numbers or of text.
//!
//! [`Reader`] tells them apart by the first bytes and yields [`Batch`]es of packed rows; [`Writer`]
//! writes batches in any encoding. Between the two a filter may set columns of a batch. Memory
//! stays constant in the number of rows. In NDJSON, fields that nobody asked for pass through byte
//! for byte; in CSV, cells do, quoted only where they must be.
//!
//! The NPY format is specified in NumPy's `numpy.lib.format` (NEP 1); NDJSON is RFC 8259 JSON, one
//! object a line; CSV is RFC 4180's.

mod batch;
mod convert;
mod csv;
mod dtype;
mod error;
mod format;
mod ndjson;
mod npy;
mod reader;
mod schema;
mod selection;
mod source_text;
mod writer;

pub use batch::{Batch, Values};
pub use csv::{canonical_number, dtype_of_texts, pack_texts};
pub use dtype::{DType, Element};
pub use error::{Error, Location, Result};
pub use npy::MAGIC as NPY_MAGIC;
pub use reader::{ReadOptions, Reader, chosen_by};
pub use schema::{Field, Schema};
pub use writer::Writer;

/// How rows are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// One JSON object a line.
    Ndjson,
    /// NumPy's `.npy`: one array, or arrays of the same dtype back to back.
    Npy,
    /// A header, and one line of cells a row; scalar fields only.
    Csv {
        /// What stands between two cells.
        delimiter: u8,
    },
}

impl Encoding {
    /// The encoding that a file's name asks for: `.npy`, `.ndjson`, `.jsonl`, `.json`, `.csv` or `.tsv`.
    pub fn of_path(path: &std::path::Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "npy" => Some(Self::Npy),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv { delimiter: b',' }),
            "tsv" => Some(Self::Csv { delimiter: b'\t' }),
            _ => None,
        }
    }
}

impl std::str::FromStr for Encoding {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "npy" => Ok(Self::Npy),
            "ndjson" => Ok(Self::Ndjson),
            "csv" => Ok(Self::Csv { delimiter: b',' }),
            _ => Err(Error::UnknownEncoding(name.to_owned())),
        }
    }
}
