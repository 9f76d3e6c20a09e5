//! Files that are not trusted: regular ones, of bounded size.

use crate::{Error, error::io};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

/// Bytes of `config.yaml` or `metrics.json`; a run's have thousands.
const MAX_BYTES: u64 = 16 << 20;

/// The text of a file; None where there is no file.
pub fn text(path: &Path) -> Result<Option<String>, Error> {
    let Some((file, size)) = open(path)? else { return Ok(None) };
    let mut text = String::new();
    // A file may grow after its size was asked for.
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|source| match source.kind() {
        ErrorKind::InvalidData => Error::NotAFile { path: path.to_owned(), problem: "no UTF-8 text".into() },
        _ => io(path)(source),
    })?;
    if size.max(read as u64) > MAX_BYTES {
        let problem = format!("more than {MAX_BYTES} bytes, which is no such file of a run");
        return Err(Error::NotAFile { path: path.to_owned(), problem });
    }
    Ok(Some(text))
}

/// At most `most` bytes from the front of a file, and as many from its end; None where there is no file.
pub fn ends(path: &Path, most: u64) -> Result<Option<[Vec<u8>; 2]>, Error> {
    let Some((mut file, size)) = open(path)? else { return Ok(None) };
    let mut part = |from: u64| {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.by_ref().take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let ends = part(0).and_then(|front| Ok([front, part(size.saturating_sub(most))?]));
    ends.map(Some).map_err(io(path))
}

/// The open file and its size. A pipe would block, and a device never end.
fn open(path: &Path) -> Result<Option<(File, u64)>, Error> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(io(path))?,
    };
    if !metadata.is_file() {
        return Err(Error::NotAFile { path: path.to_owned(), problem: "no regular file".into() });
    }
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        file => Ok(Some((file.map_err(io(path))?, metadata.len()))),
    }
}
