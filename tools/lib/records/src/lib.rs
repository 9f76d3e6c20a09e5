//! Rows on a pipe or in a file: one schema, three encodings.
//!
//! Every filter is this loop: a [`Reader`] yields [`Batch`]es of packed rows, the tool sets columns, a [`Writer`] writes
//! them. Both stand on `files`: its `Input` and `Output` are the ends of the pipe. Memory is constant in the number of rows.
//!
//! ```
//! use files::{Input, Output};
//! use records::{Batch, Encoding, ReadOptions, Reader, Writer};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("halves.csv");
//! let input = Input::new("stdin", &b"{\"id\":\"a\",\"x\":3}\n{\"id\":\"b\",\"x\":5}\n"[..]);
//! let to = Encoding::Csv { delimiter: b',' };
//! let mut reader = Reader::open(input, &ReadOptions { to: Some(to), ..ReadOptions::floats(&["x"]) })?;
//! let mut writer = Writer::new(Output::create(Some(&path))?, to, None);
//! let (mut batch, mut x) = (Batch::new(), Vec::<f64>::new());
//! while reader.read(&mut batch)? {
//!     batch.column("x", &mut x)?; // [rows]
//!     let half: Vec<f64> = x.iter().map(|x| x / 2.0).collect();
//!     batch.set_column("half", &[], &half)?;
//!     writer.write(&batch)?;
//! }
//! writer.finish()?;
//! assert_eq!(std::fs::read_to_string(path)?, "id,x,half\na,3,1.5\nb,5,2.5\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | encoding | bytes | specification |
//! |---|---|---|
//! | NDJSON | one JSON object a line, fields in schema order, shortest round-trip numbers | RFC 8259 |
//! | NPY | a structured array, C order, little-endian; on a pipe, arrays of one dtype back to back until end of file | `numpy.lib.format` (NEP 1) |
//! | CSV | a header, one line of cells a row; scalar fields only | RFC 4180 |
//!
//! In NDJSON, fields that the tool does not select are written byte for byte as they were read; in CSV, their cells are,
//! quoted only where they must be.
//!
//! | [`DType`] | bytes | Rust ([`Element`]) | NumPy | NDJSON |
//! |---|---|---|---|---|
//! | `i1` `i2` `i4` `i8` | 1 2 4 8 | `i8` `i16` `i32` `i64` | `int8` … `int64` | integer; read as `i8` |
//! | `u1` `u2` `u4` `u8` | 1 2 4 8 | `u8` `u16` `u32` `u64` | `uint8` … `uint64` | integer; read as `i8` |
//! | `f2` `f4` `f8` | 2 4 8 | `half::f16` `f32` `f64` | `float16` … `float64` | number; read as `f8`, or [`ReadOptions::float`] |
//! | `b1` | 1 | – | `bool` | `true`, `false` |
//! | `text` | 8, offset and length | `str` | not in NPY | string |
//!
//! A truncated array is [`Error::Truncated`], found in `npy/read.rs`; a truncated line of JSON is [`Error::Json`], found in
//! `ndjson/cursor.rs`. NDJSON or CSV cut between two lines is only found by [`ReadOptions::expect_rows`].

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
pub use convert::Bool;
pub use csv::{canonical_number, delimiter_flag, dtype_of_texts, other_delimiter, pack_texts};
pub use dtype::{DType, Element};
pub use error::{Error, Location, Result};
pub use npy::{MAGIC as NPY_MAGIC, RowFile};
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
        /// What separates two cells; ASCII.
        delimiter: u8,
    },
}

impl Encoding {
    /// The encoding for a file's extension: `.npy`, `.ndjson`, `.jsonl`, `.json`, `.csv` or `.tsv`; None for any other.
    pub fn of_path(path: &std::path::Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "npy" => Some(Self::Npy),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv { delimiter: b',' }),
            "tsv" => Some(Self::Csv { delimiter: b'\t' }),
            _ => None,
        }
    }

    /// The encoding of an output by its file's extension; None for one that no format is known by.
    ///
    /// # Errors
    /// When the extension is that of a format that is not written.
    pub fn of_output(path: &std::path::Path) -> Result<Option<Self>> {
        if files::promises_another(path, &["csv", "json", "jsonl", "ndjson", "npy", "tsv"]) {
            return Err(Error::OtherExtension(path.into()));
        }
        Ok(Self::of_path(path))
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
