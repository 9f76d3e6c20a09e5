//! The unpacked members of an archive, one after the other in one temporary file of bounded size.

use super::{Content, folders::Folders};
use anyhow::{Context, ensure};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::Path,
};

pub struct Unpacked {
    file: BufWriter<File>,
    contents: BTreeMap<String, Content>,
    pub folders: Folders,
    /// Size of the file in bytes.
    bytes: u64,
    /// Largest size in bytes.
    limit: u64,
}

/// Size of a write, in bytes.
const BLOCK: usize = 1 << 20;

impl Unpacked {
    pub fn new(limit: u64, scratch: &Path) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(scratch).with_context(|| scratch.display().to_string())?;
        let file = BufWriter::with_capacity(BLOCK, file);
        Ok(Self { file, contents: BTreeMap::new(), folders: Folders::default(), bytes: 0, limit })
    }

    /// Adds a member.
    ///
    /// # Errors
    /// If it cannot be read or written, its path occurred before, or the limit is exceeded.
    pub fn add(&mut self, path: String, member: impl Read) -> anyhow::Result<()> {
        let offset = self.bytes;
        // One byte more than allowed is read to detect that the limit is exceeded.
        let mut bounded = member.take((self.limit - self.bytes).saturating_add(1));
        let bytes = io::copy(&mut bounded, &mut self.file).with_context(|| format!("member {path:?}"))?;
        ensure!(bytes <= self.limit - self.bytes, "{}", too_much(self.limit));
        self.bytes += bytes;
        ensure!(!self.contents.contains_key(&path), "member {path:?} occurs twice");
        self.contents.insert(path, Content::Unpacked { offset, bytes });
        Ok(())
    }

    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> anyhow::Result<(File, BTreeMap<String, Content>, Folders)> {
        let mut file = self.file;
        file.flush().context("unpacking")?;
        let file = file.into_inner().map_err(|e| e.into_error()).context("unpacking")?;
        Ok((file, self.contents, self.folders))
    }
}

/// The message for an archive that exceeds `dataset.unpacked_bytes`.
pub fn too_much(limit: u64) -> String {
    format!("unpacks to more than dataset.unpacked_bytes, {limit}")
}
