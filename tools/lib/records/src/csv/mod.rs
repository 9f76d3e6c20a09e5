//! The CSV encoding: RFC 4180 with a header and any delimiter. Each column is a scalar field: of numbers where all cells are
//! numbers, otherwise of text.

mod cells;
mod delimiter;
mod kind;
mod quotes;
mod read;
mod write;

pub use delimiter::{delimiter_flag, other_delimiter};
pub(crate) use kind::is_missing;
pub use kind::{canonical_number, dtype_of_texts, pack_texts};
pub(crate) use read::CsvReader;
pub(crate) use write::CsvFormat;
