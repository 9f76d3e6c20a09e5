//! Reading untrusted files: only regular files, only up to a limit.

use crate::{Error, error::io};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

/// Largest `config.yaml` or `metrics.json`, in bytes; typical ones have some thousands.
const MAX_BYTES: u64 = 16 << 20;

/// The text of a file; None if there is none.
pub fn text(path: &Path) -> Result<Option<String>, Error> {
    let Some((file, size)) = open(path)? else { return Ok(None) };
    let mut text = String::new();
    // The file may have grown since its size was read.
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => invalid(path, "not UTF-8 text".into()),
        _ => io(path)(error),
    })?;
    if size.max(read as u64) > MAX_BYTES {
        return Err(invalid(path, format!("more than {MAX_BYTES} bytes, the limit for this file")));
    }
    Ok(Some(text))
}

/// The first and the last `limit` bytes of a file, fewer if it is shorter; None if there is no file.
pub fn ends(path: &Path, limit: u64) -> Result<Option<[Vec<u8>; 2]>, Error> {
    let Some((mut file, size)) = open(path)? else { return Ok(None) };
    let mut read = |from: u64| {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.by_ref().take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let ends = read(0).and_then(|front| Ok([front, read(size.saturating_sub(limit))?]));
    ends.map(Some).map_err(io(path))
}

/// The open file and its size in bytes. Others than regular files are refused: opening a pipe blocks, and a device may
/// have no end.
fn open(path: &Path) -> Result<Option<(File, u64)>, Error> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(io(path))?,
    };
    if !metadata.is_file() {
        return Err(invalid(path, "not a regular file".into()));
    }
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        file => Ok(Some((file.map_err(io(path))?, metadata.len()))),
    }
}

fn invalid(path: &Path, reason: String) -> Error {
    Error::InvalidFile { path: path.to_owned(), reason }
}
