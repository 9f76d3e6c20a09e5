//! The NPY encoding: `numpy.lib.format` versions 1.0 to 3.0.

mod fortran;
mod header;
mod read;
mod row_file;

pub(crate) use header::Header;
pub(crate) use read::{BATCH_BYTES, NpyReader};
pub use row_file::RowFile;

/// The first bytes of every `.npy` array.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";
