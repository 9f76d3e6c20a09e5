//! Reading untrusted files: only regular files, only up to a limit.

use crate::{Error, error::io};
use files::{Limit, read_file};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

/// Largest `config.yaml` or `metrics.json`, in bytes; typical ones have some thousands.
const MAX_BYTES: u64 = 16 << 20;

/// The text of a file; None if there is none.
pub fn text(path: &Path) -> Result<Option<String>, Error> {
    if size(path)?.is_none() {
        return Ok(None);
    }
    let bytes = read_file(path, Limit { bytes: MAX_BYTES, setting: None })?;
    let text = String::from_utf8(bytes).map_err(|_| invalid(path, "not UTF-8 text"))?;
    Ok(Some(text))
}

/// The first and the last `limit` bytes of a file, fewer if it is shorter; None if there is no file.
pub fn ends(path: &Path, limit: u64) -> Result<Option<[Vec<u8>; 2]>, Error> {
    let Some(size) = size(path)? else { return Ok(None) };
    let read = || {
        let mut file = File::open(path)?;
        let mut read = |from: u64| {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(from))?;
            file.by_ref().take(limit).read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        };
        Ok([read(0)?, read(size.saturating_sub(limit))?])
    };
    read().map(Some).map_err(io(path))
}

/// The size of a regular file in bytes; None if there is no file. Other kinds of files are refused: opening a pipe blocks,
/// and a device may have no end.
fn size(path: &Path) -> Result<Option<u64>, Error> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(path)(error)),
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => Err(invalid(path, "not a regular file")),
    }
}

fn invalid(path: &Path, reason: &'static str) -> Error {
    Error::InvalidFile { path: path.to_owned(), reason }
}
