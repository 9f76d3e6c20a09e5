//! Reading whole files, up to a limit.

use crate::{Error, Result};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The largest size of a file, and the setting that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit<'a> {
    /// In bytes, inclusive.
    pub bytes: u64,
    /// For messages: `infer.model_bytes`; None where the limit is fixed.
    pub setting: Option<&'a str>,
}

/// All bytes of a regular file or a named pipe.
///
/// # Errors
/// When it cannot be read, is a folder or a device (which may have no end), or has more bytes than `limit`.
pub fn read_file(path: &Path, limit: Limit<'_>) -> Result<Vec<u8>> {
    let failed = |e| Error::io(path.display(), e);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if is_device(&metadata) {
        return Err(failed(io::Error::other("a device; expected a file")));
    }
    let too_long = || Error::TooLong {
        path: path.display().to_string(),
        bytes: limit.bytes,
        setting: limit.setting.map(str::to_owned),
    };
    let mut bytes = Vec::new();
    if metadata.is_file() {
        if metadata.len() > limit.bytes {
            return Err(too_long());
        }
        let length = usize::try_from(metadata.len()).map_err(|_| too_long())?;
        bytes.try_reserve_exact(length).map_err(|_| failed(io::ErrorKind::OutOfMemory.into()))?;
    }
    file.take(limit.bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit.bytes {
        return Err(too_long());
    }
    Ok(bytes)
}

#[cfg(unix)]
fn is_device(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    metadata.file_type().is_char_device() || metadata.file_type().is_block_device()
}

#[cfg(not(unix))]
fn is_device(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_or_endless_is_refused() {
        let here = tempfile::tempdir().expect("a folder");
        let path = here.path().join("x");
        std::fs::write(&path, [7; 10]).expect("written");
        let limit = |bytes| Limit { bytes, setting: Some("a.b") };
        assert_eq!(read_file(&path, limit(10)).expect("read"), [7; 10]);
        let error = read_file(&path, limit(9)).expect_err("too long").to_string();
        assert!(error.ends_with("x: more than 9 bytes (the setting a.b)"), "{error}");
        let error = read_file(Path::new("/dev/zero"), limit(9)).expect_err("a device").to_string();
        assert_eq!(error, "/dev/zero: a device; expected a file");
        // A sparse file is refused by its length.
        File::options().write(true).open(&path).and_then(|file| file.set_len(1 << 40)).expect("sparse");
        assert!(read_file(&path, limit(1 << 20)).is_err());
    }
}
