//! A regular file that is read at any offset, by several threads, and must not change meanwhile.
//!
//! Positioned reads, not a map: a file that shrinks is an error here, and would be a SIGBUS there.

use crate::{Error, Result};
use std::{
    fs::{File, Metadata},
    io,
    sync::Arc,
    time::SystemTime,
};

/// A regular file, open for positioned reads. A file that is renamed over it does not matter; a change of its bytes is an
/// error, as far as size and time of modification tell.
#[derive(Debug)]
pub struct RandomAccess {
    name: Arc<str>,
    file: File,
    opened: Stamp,
}

/// What tells that a file has changed.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    /// None where the file system has no such time.
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}

impl RandomAccess {
    /// From now on the file must stay as it is.
    pub(crate) fn new(name: &Arc<str>, file: &File) -> Result<Self> {
        let failed = |e| Error::io(name, e);
        let file = file.try_clone().map_err(failed)?;
        let opened = Stamp::of(&file.metadata().map_err(failed)?);
        Ok(Self { name: name.clone(), file, opened })
    }

    /// The name that messages give it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.opened.bytes
    }

    /// Fills each buffer from its offset on. What is not in the page cache is asked for before the first of it is waited
    /// for, so that a disk reads it all at once.
    ///
    /// # Errors
    /// I/O errors; and when the file has changed since it was opened.
    pub fn read<'b>(&self, ranges: impl IntoIterator<Item = (u64, &'b mut [u8])>) -> Result<()> {
        let mut waiting = Vec::new();
        for (offset, buffer) in ranges {
            let cached = read_cached(&self.file, buffer, offset);
            let (offset, rest) = (offset + cached as u64, &mut buffer[cached..]);
            if !rest.is_empty() {
                will_need(&self.file, offset, rest.len() as u64);
                waiting.push((offset, rest));
            }
        }
        for (offset, rest) in waiting {
            read_exact_at(&self.file, rest, offset).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => self.changed(),
                _ => Error::io(&self.name, error),
            })?;
        }
        self.check_unchanged()
    }

    /// # Errors
    /// When size or time of modification are not those at opening.
    pub fn check_unchanged(&self) -> Result<()> {
        let metadata = self.file.metadata().map_err(|e| Error::io(&self.name, e))?;
        if Stamp::of(&metadata) == self.opened { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> Error {
        Error::Changed { path: self.name.to_string() }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => (buffer, offset) = (&mut buffer[read..], offset + read as u64),
        }
    }
    Ok(())
}

/// Reads what is in the page cache, from the start of the buffer on; returns how many bytes that were.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> usize {
    let mut buffers = [io::IoSliceMut::new(buffer)];
    // EAGAIN without a page; a file system that cannot tell, and any other error, are met again by the read that waits.
    rustix::io::preadv2(file, &mut buffers, offset, rustix::io::ReadWriteFlags::NOWAIT).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: &mut [u8], _: u64) -> usize {
    0
}

/// Starts to read bytes into the page cache.
#[cfg(target_os = "linux")]
fn will_need(file: &File, offset: u64, bytes: u64) {
    // A hint: where it fails, the read that follows waits for the disk.
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(bytes), rustix::fs::Advice::WillNeed);
}

#[cfg(not(target_os = "linux"))]
fn will_need(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Input;
    use std::{fs, path::Path};

    fn open(path: &Path) -> RandomAccess {
        Input::open(Some(path)).expect("opened").random_access().expect("its time").expect("a regular file")
    }

    #[test]
    fn ranges_are_read_in_any_order() {
        let here = tempfile::tempdir().expect("a folder");
        let path = here.path().join("x");
        fs::write(&path, b"0123456789").expect("written");
        let file = open(&path);
        let (mut a, mut b) = ([0; 3], [0; 2]);
        file.read([(7, &mut a[..]), (0, &mut b[..])]).expect("inside");
        assert_eq!((&a, &b, file.bytes()), (b"789", b"01", 10));
        assert!(Input::new("memory", &b"x"[..]).random_access().expect("nothing to ask").is_none());
    }

    #[test]
    fn a_file_that_changes_is_an_error() {
        let here = tempfile::tempdir().expect("a folder");
        let path = here.path().join("x");
        let change = |how: &dyn Fn()| {
            fs::write(&path, b"0123456789").expect("written");
            let file = open(&path);
            how();
            file.read([(2, &mut [0; 4][..])]).map_err(|error| error.to_string())
        };
        let expected =
            format!("{}: changed while it was read; try again with a file that stays as it is", path.display());
        let shorten =
            |bytes| File::options().write(true).open(&path).and_then(|file| file.set_len(bytes)).expect("cut");
        assert_eq!(change(&|| shorten(3)), Err(expected.clone()));
        assert_eq!(change(&|| shorten(9)), Err(expected.clone()));
        let touch =
            || File::options().write(true).open(&path).and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH));
        assert_eq!(change(&|| touch().expect("touched")), Err(expected));
        // Another file takes the name: the one that was opened is still there.
        let replace = || {
            let other = here.path().join("y");
            fs::write(&other, b"x").and_then(|()| fs::rename(other, &path)).expect("renamed");
        };
        assert_eq!(change(&replace), Ok(()));
    }
}
