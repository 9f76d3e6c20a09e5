//! Members one after the other in one temporary file, up to a limit.

use super::{Place, folders::Folders};
use anyhow::{Context, ensure};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::Path,
};

pub struct Spool {
    file: BufWriter<File>,
    places: BTreeMap<String, Place>,
    pub folders: Folders,
    bytes: u64,
    limit: u64,
}

/// Bytes written at a time.
const BLOCK: usize = 1 << 20;

impl Spool {
    pub fn new(limit: u64, scratch: &Path) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(scratch).with_context(|| scratch.display().to_string())?;
        let file = BufWriter::with_capacity(BLOCK, file);
        Ok(Self { file, places: BTreeMap::new(), folders: Folders::default(), bytes: 0, limit })
    }

    /// Takes a member in.
    ///
    /// # Errors
    /// When it cannot be read or written, its path was there before, or the limit is passed.
    pub fn add(&mut self, path: String, member: impl Read) -> anyhow::Result<()> {
        let offset = self.bytes;
        // One byte more than allowed tells that the limit is passed.
        let mut bounded = member.take((self.limit - self.bytes).saturating_add(1));
        let bytes = io::copy(&mut bounded, &mut self.file).with_context(|| format!("member {path:?}"))?;
        ensure!(bytes <= self.limit - self.bytes, "{}", too_much(self.limit));
        self.bytes += bytes;
        ensure!(!self.places.contains_key(&path), "member {path:?} comes twice");
        self.places.insert(path, Place::Spool { offset, bytes });
        Ok(())
    }

    /// # Errors
    /// When the disk is full.
    pub fn finish(self) -> anyhow::Result<(File, BTreeMap<String, Place>, Folders)> {
        let mut file = self.file;
        file.flush().context("unpacking")?;
        let file = file.into_inner().map_err(|e| e.into_error()).context("unpacking")?;
        Ok((file, self.places, self.folders))
    }
}

/// The message that an archive is larger than the dataset's entry allows.
pub fn too_much(limit: u64) -> String {
    format!("unpacks to more than dataset.unpacked_bytes, {limit}")
}
