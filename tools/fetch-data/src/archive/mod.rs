//! The files of an archive or a folder, under their paths in it.
//!
//! Nothing of an archive is ever written under a name of its own: the members that are wanted go, one after the
//! other, to one temporary file without a name, and are read from there in any order. So no path can escape and no
//! link be followed; an archive that tries is refused all the same.

mod folders;
mod path;
mod spool;
mod tar;
mod zip;

use crate::fetch::Fetched;
use anyhow::{Context, bail};
use flate2::bufread::MultiGzDecoder;
use folders::Folders;
use spool::Spool;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek},
    path::{Path, PathBuf},
};

/// The files of an archive or a folder that are wanted, sorted by path, byte by byte.
pub struct Members {
    /// What messages call the archive.
    name: String,
    places: BTreeMap<String, Place>,
    folders: Folders,
    spool: Option<File>,
}

/// Where a member's bytes are.
enum Place {
    Spool { offset: u64, bytes: u64 },
    File(PathBuf),
}

/// How gzip begins (RFC 1952).
pub const GZIP: &[u8] = &[0x1f, 0x8b];
/// How zip begins (PKWARE's APPNOTE): the header of a member, or the end of an empty archive.
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

impl Members {
    /// The files and folders of `fetched`, a folder or an archive, whose paths are `wanted`. The archive's contents
    /// are unpacked into a temporary file in `scratch`.
    ///
    /// # Errors
    /// When the archive is damaged, holds links or paths that lead out of it, or unpacks to more than `limit` bytes.
    pub fn open(fetched: &Fetched, limit: u64, scratch: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Self> {
        let name = fetched.name.clone();
        if fetched.path.is_dir() {
            let (places, folders) = walk(&fetched.path, wanted)?;
            return Ok(Self { name, places, folders, spool: None });
        }
        let mut spool = Spool::new(limit, scratch)?;
        let mut file = BufReader::new(File::open(&fetched.path).with_context(|| name.clone())?);
        let start = file.fill_buf().with_context(|| name.clone())?;
        let filled = if ZIP.iter().any(|magic| start.starts_with(magic)) {
            zip::unpack(file, &mut spool, &wanted)
        } else if start.starts_with(GZIP) {
            tar::unpack(MultiGzDecoder::new(file), limit, &mut spool, &wanted)
        } else {
            tar::unpack(file, limit, &mut spool, &wanted)
        };
        filled.with_context(|| name.clone())?;
        let (file, places, folders) = spool.finish()?;
        Ok(Self { name, places, folders, spool: Some(file) })
    }

    /// What messages call a member.
    pub fn describe(&self, path: &str) -> String {
        format!("{}: {path}", self.name)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The folders that are wanted, sorted: those that the archive names, and those of its files, wanted or not.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.folders.paths()
    }

    /// Size of a member in bytes.
    pub fn bytes(&self, path: &str) -> anyhow::Result<u64> {
        match self.place(path)? {
            Place::Spool { bytes, .. } => Ok(*bytes),
            Place::File(file) => Ok(fs::metadata(file).with_context(|| file.display().to_string())?.len()),
        }
    }

    /// All of a member.
    pub fn read(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.bytes(path)?)?];
        self.read_at(path, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `buffer` from `offset` of a member on.
    pub fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> anyhow::Result<()> {
        let mut read = |mut file: &File, start: u64| {
            file.seek(io::SeekFrom::Start(start + offset))?;
            file.read_exact(buffer)
        };
        let done = match (self.place(path)?, &self.spool) {
            (Place::Spool { offset, .. }, Some(spool)) => read(spool, *offset),
            (Place::File(file), _) => File::open(file).and_then(|file| read(&file, 0)),
            (Place::Spool { .. }, None) => bail!("{}: not unpacked", self.describe(path)),
        };
        done.with_context(|| self.describe(path))
    }

    fn place(&self, path: &str) -> anyhow::Result<&Place> {
        self.places.get(path).with_context(|| format!("{}: no file {path:?} in it", self.name))
    }
}

/// The files and folders below a folder. Links are followed: the folder is the user's own.
fn walk(folder: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<(BTreeMap<String, Place>, Folders)> {
    let (mut places, mut folders) = (BTreeMap::new(), Folders::default());
    for entry in walkdir::WalkDir::new(folder).follow_links(true).min_depth(1) {
        let entry = entry.context("the dataset's folder")?;
        let inner = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        if let (true, Ok(path)) = (entry.file_type().is_dir(), path::of_file(inner)) {
            folders.add(&path, &wanted);
        }
        if !entry.file_type().is_file() {
            continue;
        }
        let path = path::of_file(inner).with_context(|| entry.path().display().to_string())?;
        if wanted(&path) {
            places.insert(path, Place::File(entry.into_path()));
        }
    }
    Ok((places, folders))
}
