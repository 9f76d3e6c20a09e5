//! Tar archives.

use super::{
    path,
    spool::{Spool, too_much},
};
use anyhow::{Context, bail, ensure};
use std::{
    cell::Cell,
    io::{self, Read},
};
use tar::{Archive, Entry, EntryType};

/// Most bytes of headers in front of a member: long names and attributes of its own come there, and into memory.
const HEADER_BYTES: u64 = 1 << 20;

/// Takes the wanted files of a tar archive into `spool`; checks all of it, to the end.
pub fn unpack(tar: impl Read, limit: u64, spool: &mut Spool, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let state = State { header_bytes: Cell::new(None), ended: Cell::new(false) };
    let mut tar = Limited { inner: tar, left: limit, limit, state: &state };
    let mut archive = Archive::new(&mut tar);
    let mut entries = archive.entries().context("no tar, tar.gz or zip archive")?;
    let mut empty = true;
    loop {
        state.header_bytes.set(Some(HEADER_BYTES));
        let Some(entry) = entries.next() else { break };
        state.header_bytes.set(None);
        let mut entry =
            entry.with_context(|| if empty { "no tar, tar.gz or zip archive" } else { "a damaged archive" })?;
        empty = false;
        take(&mut entry, spool, &wanted)?;
        // What is left of the member is not one of the next one's headers.
        io::copy(&mut entry, &mut io::sink()).context("a damaged archive")?;
    }
    ensure!(!empty, "an empty archive");
    ensure!(!state.ended.get(), "a damaged archive: cut off, since it has no end-of-archive mark");
    // Behind the last member, gzip's checksum is still to come.
    state.header_bytes.set(None);
    io::copy(&mut tar, &mut io::sink()).context("a damaged archive")?;
    Ok(())
}

fn take(entry: &mut Entry<impl Read>, spool: &mut Spool, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(());
    }
    let path = path::of_member(&entry.path_bytes())?;
    match kind {
        EntryType::Directory => spool.folders.add(&path, wanted),
        EntryType::Regular | EntryType::Continuous => {
            spool.folders.add_parent(&path, &wanted);
            if wanted(&path) {
                spool.add(path, entry)?;
            }
        }
        EntryType::Symlink | EntryType::Link => bail!("member {path:?} is a link; no dataset needs one"),
        _ => bail!("member {path:?} is neither a file nor a folder"),
    }
    Ok(())
}

/// What [`Limited`] and who reads through it tell each other, while an iterator of entries holds the reader.
struct State {
    /// How many bytes of headers may still come, while it is headers that are read.
    header_bytes: Cell<Option<u64>>,
    /// Whether there was nothing more to read.
    ended: Cell<bool>,
}

/// A reader that fails when more than `limit` bytes come.
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
            let left =
                left.checked_sub(count as u64).ok_or_else(|| io::Error::other("a name or attribute without end"))?;
            self.state.header_bytes.set(Some(left));
        }
        Ok(count)
    }
}
