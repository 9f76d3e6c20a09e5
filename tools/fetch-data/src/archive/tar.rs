//! Tar archives.

use super::{
    path,
    unpacked::{Unpacked, too_much},
};
use anyhow::{Context, bail, ensure};
use std::{
    cell::Cell,
    io::{self, Read},
};
use tar::{Archive, Entry, EntryType};

/// Most bytes of headers before a member. They hold long names and extended attributes, and are read into memory.
const HEADER_BYTES: u64 = 1 << 20;

/// Unpacks the wanted files of a tar archive, and reads all of it to its end, so that damage anywhere is an error.
pub fn unpack(
    tar: impl Read,
    limit: u64,
    unpacked: &mut Unpacked,
    wanted: impl Fn(&str) -> bool,
) -> anyhow::Result<()> {
    let state = State { header_bytes: Cell::new(None), ended: Cell::new(false) };
    let mut tar = Limited { inner: tar, left: limit, limit, state: &state };
    let mut archive = Archive::new(&mut tar);
    let mut entries = archive.entries().context("not a tar, tar.gz or zip archive")?;
    let mut empty = true;
    loop {
        state.header_bytes.set(Some(HEADER_BYTES));
        let Some(entry) = entries.next() else { break };
        state.header_bytes.set(None);
        let mut entry =
            entry.with_context(|| if empty { "not a tar, tar.gz or zip archive" } else { "a damaged archive" })?;
        empty = false;
        add(&mut entry, unpacked, &wanted)?;
        // Skip the rest of the member here: it does not count as headers of the next one.
        io::copy(&mut entry, &mut io::sink()).context("a damaged archive")?;
    }
    ensure!(!empty, "an empty archive");
    ensure!(!state.ended.get(), "a damaged archive: truncated, without an end-of-archive mark");
    // Read to the end of gzip, which verifies its checksum.
    state.header_bytes.set(None);
    io::copy(&mut tar, &mut io::sink()).context("a damaged archive")?;
    Ok(())
}

fn add(entry: &mut Entry<impl Read>, unpacked: &mut Unpacked, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(());
    }
    let path = path::of_member(&entry.path_bytes())?;
    match kind {
        EntryType::Directory => unpacked.folders.add(&path, wanted),
        EntryType::Regular | EntryType::Continuous => {
            unpacked.folders.add_parent(&path, &wanted);
            if wanted(&path) {
                unpacked.add(path, entry)?;
            }
        }
        EntryType::Symlink | EntryType::Link => bail!("member {path:?} is a link; no dataset needs one"),
        _ => bail!("member {path:?} is neither a file nor a folder"),
    }
    Ok(())
}

/// State shared between [`Limited`] and its user, while an iterator over entries borrows the reader.
struct State {
    /// The number of bytes of headers that are still allowed; None while content is read.
    header_bytes: Cell<Option<u64>>,
    /// Whether the reader is at its end.
    ended: Cell<bool>,
}

/// A reader that fails after `limit` bytes.
struct Limited<'a, R> {
    inner: R,
    left: u64,
    limit: u64,
    state: &'a State,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.state.ended.set(count == 0);
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(too_much(self.limit)))?;
        if let Some(left) = self.state.header_bytes.get() {
            let left = left
                .checked_sub(count as u64)
                .ok_or_else(|| io::Error::other("a name or attribute of more than 1 MiB"))?;
            self.state.header_bytes.set(Some(left));
        }
        Ok(count)
    }
}
