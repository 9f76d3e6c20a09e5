//! Access to the files of an archive or a folder by path.
//!
//! No member of an archive is written under a name of its own: the requested members are unpacked one after the other into
//! one temporary file without a name, and read from there in any order. No path can therefore lead out of a folder, and no
//! link can be followed; archives with such paths or links are refused nevertheless.

mod folders;
mod path;
mod tar;
mod unpacked;
mod zip;

use crate::fetch::Fetched;
use anyhow::{Context, bail};
use flate2::bufread::MultiGzDecoder;
use folders::Folders;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek},
    path::{Path, PathBuf},
};
use unpacked::Unpacked;

/// The requested files of an archive or a folder, sorted by the bytes of their paths.
pub struct Members {
    /// Name of the archive or folder, for messages.
    name: String,
    contents: BTreeMap<String, Content>,
    folders: Folders,
    /// The unpacked members; None for a folder.
    unpacked: Option<File>,
}

/// The location of a member's content.
enum Content {
    /// In the file of unpacked members; in bytes.
    Unpacked { offset: u64, bytes: u64 },
    /// In a file of a folder.
    File(PathBuf),
}

/// The first bytes of gzip (RFC 1952).
pub const GZIP: &[u8] = &[0x1f, 0x8b];
/// The first bytes of zip (PKWARE's APPNOTE): the header of a member, or the end of an empty archive.
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

impl Members {
    /// Opens the files and folders of `fetched`, a folder or an archive, whose paths are `wanted`. The members of an archive
    /// are unpacked into a temporary file in `scratch`.
    ///
    /// # Errors
    /// If the archive is damaged, has links or paths that lead out of it, or unpacks to more than `limit` bytes.
    pub fn open(fetched: &Fetched, limit: u64, scratch: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Self> {
        let name = fetched.name.clone();
        if fetched.path.is_dir() {
            let (contents, folders) = walk(&fetched.path, wanted)?;
            return Ok(Self { name, contents, folders, unpacked: None });
        }
        let mut unpacked = Unpacked::new(limit, scratch)?;
        let mut file = BufReader::new(File::open(&fetched.path).with_context(|| name.clone())?);
        let start = file.fill_buf().with_context(|| name.clone())?;
        let result = if ZIP.iter().any(|magic| start.starts_with(magic)) {
            zip::unpack(file, &mut unpacked, &wanted)
        } else if start.starts_with(GZIP) {
            tar::unpack(MultiGzDecoder::new(file), limit, &mut unpacked, &wanted)
        } else {
            tar::unpack(file, limit, &mut unpacked, &wanted)
        };
        result.with_context(|| name.clone())?;
        let (file, contents, folders) = unpacked.finish()?;
        Ok(Self { name, contents, folders, unpacked: Some(file) })
    }

    /// The name of a member for messages: archive and path.
    pub fn describe(&self, path: &str) -> String {
        format!("{}: {path}", self.name)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.contents.keys().map(String::as_str)
    }

    /// The requested folders, sorted: those that are members, and those of all files, requested or not.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.folders.paths()
    }

    /// Size of a member in bytes.
    pub fn bytes(&self, path: &str) -> anyhow::Result<u64> {
        match self.content(path)? {
            Content::Unpacked { bytes, .. } => Ok(*bytes),
            Content::File(file) => Ok(fs::metadata(file).with_context(|| file.display().to_string())?.len()),
        }
    }

    /// The whole content of a member.
    pub fn read(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.bytes(path)?)?];
        self.read_at(path, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `buffer` with the content of a member from byte `offset` on.
    pub fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> anyhow::Result<()> {
        let mut read = |mut file: &File, start: u64| {
            file.seek(io::SeekFrom::Start(start + offset))?;
            file.read_exact(buffer)
        };
        let result = match (self.content(path)?, &self.unpacked) {
            (Content::Unpacked { offset, .. }, Some(unpacked)) => read(unpacked, *offset),
            (Content::File(file), _) => File::open(file).and_then(|file| read(&file, 0)),
            (Content::Unpacked { .. }, None) => bail!("{}: not unpacked", self.describe(path)),
        };
        result.with_context(|| self.describe(path))
    }

    fn content(&self, path: &str) -> anyhow::Result<&Content> {
        self.contents.get(path).with_context(|| format!("{}: no file {path:?} in it", self.name))
    }
}

/// The files and folders below a folder. Links are followed: the user named the folder.
fn walk(folder: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<(BTreeMap<String, Content>, Folders)> {
    let (mut contents, mut folders) = (BTreeMap::new(), Folders::default());
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
            contents.insert(path, Content::File(entry.into_path()));
        }
    }
    Ok((contents, folders))
}
