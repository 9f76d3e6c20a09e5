//! The NDJSON encoding: one RFC 8259 object a line.

mod cursor;
mod infer;
mod read;
mod row;
mod write;

pub(crate) use read::NdjsonReader;
pub(crate) use write::NdjsonFormat;
