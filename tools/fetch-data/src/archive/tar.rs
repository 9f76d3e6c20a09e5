//! Tar archives.

use super::{
    path,
    spool::{Spool, too_much},
};
use anyhow::{Context, bail, ensure};
use std::io::{self, Read};
use tar::{Archive, EntryType};

/// Takes the wanted files of a tar archive into `spool`; checks all of it, to the end.
pub fn unpack(tar: impl Read, limit: u64, spool: &mut Spool, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let mut tar = Limited { inner: tar, left: limit, limit };
    let mut archive = Archive::new(&mut tar);
    let mut empty = true;
    for entry in archive.entries().context("no tar, tar.gz or zip archive")? {
        let entry = entry.with_context(|| if empty { "no tar, tar.gz or zip archive" } else { "a damaged archive" })?;
        empty = false;
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let path = path::of_member(&entry.path_bytes())?;
        match kind {
            EntryType::Regular | EntryType::Continuous if wanted(&path) => spool.add(path, entry)?,
            EntryType::Regular | EntryType::Continuous | EntryType::Directory => {}
            EntryType::Symlink | EntryType::Link => bail!("member {path:?} is a link; no dataset needs one"),
            _ => bail!("member {path:?} is neither a file nor a folder"),
        }
    }
    ensure!(!empty, "an empty archive");
    // Behind the last member, gzip's checksum is still to come.
    io::copy(&mut tar, &mut io::sink()).context("a damaged archive")?;
    Ok(())
}

/// A reader that fails when more than `limit` bytes come.
struct Limited<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(too_much(self.limit)))?;
        Ok(count)
    }
}
