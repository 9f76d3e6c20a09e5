//! What was downloaded, kept under its SHA-256, and what is on its way there.

use super::{Sum, digest::Digest};
use anyhow::Context;
use files::Lock;
use reqwest::Url;
use std::{
    fs::{self, File},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
};

/// A folder of files under their SHA-256.
pub struct Cache {
    folder: PathBuf,
}

/// A file's place in the cache, which no other process touches meanwhile.
pub struct Entry<'a> {
    cache: &'a Cache,
    part: PathBuf,
    /// Locked until it is closed. It stays: whoever removed it might remove one that another has just locked.
    _lock: Lock,
}

/// The beginning of a file, which an interrupted download goes on from.
pub struct Part {
    path: PathBuf,
    file: File,
    digest: Digest,
    /// What the server called the version of the file that it began with (ETag).
    pub version: Option<String>,
    /// Whether more than one answer brought it: then it may be of two versions.
    pub joined: bool,
}

impl Cache {
    /// The cache in `folder`, or in the user's cache folder.
    pub fn open(folder: Option<&Path>) -> anyhow::Result<Self> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => dirs::cache_dir().context("no cache folder: give download.cache, or set HOME")?.join("pipegrad"),
        };
        let folder = folder.join("sha256");
        fs::create_dir_all(&folder).with_context(|| format!("download.cache: {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// The file with this hash, if it is known and here. A damaged one counts as missing; a download replaces it.
    ///
    /// This needs no lock, since a file comes here whole, and so no right to write either.
    pub fn find(&self, sha256: Option<&str>) -> anyhow::Result<Option<(PathBuf, Sum)>> {
        let Some(sha256) = sha256 else { return Ok(None) };
        let path = self.folder.join(sha256);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let sum = Digest::of(file).with_context(|| path.display().to_string())?.sum();
        Ok((sum.sha256 == sha256).then_some((path, sum)))
    }

    /// The place of the file with this hash, or, where that is not known, from this URL. Calls `waiting` when
    /// another process has it.
    pub fn entry(&self, url: &Url, sha256: Option<&str>, waiting: impl FnOnce()) -> anyhow::Result<Entry<'_>> {
        let name = match sha256 {
            Some(sha256) => sha256.to_owned(),
            None => format!("url-{}", files::sha256(url.as_str())),
        };
        let path = self.folder.join(format!("{name}.lock"));
        let lock = File::create(&path).and_then(|file| Lock::wait(file, waiting));
        let lock = lock.with_context(|| path.display().to_string())?;
        Ok(Entry { cache: self, part: self.folder.join(format!("{name}.part")), _lock: lock })
    }
}

impl Entry<'_> {
    /// What is there of the file.
    pub fn part(&self) -> anyhow::Result<Part> {
        let open = || {
            let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&self.part)?;
            let digest = Digest::of(&file)?;
            file.seek(io::SeekFrom::End(0))?;
            let joined = digest.bytes() > 0;
            Ok::<_, io::Error>(Part { path: self.part.clone(), file, digest, version: None, joined })
        };
        open().with_context(|| self.part.display().to_string())
    }

    /// Takes a whole file into the cache.
    pub fn keep(&self, part: Part) -> anyhow::Result<(PathBuf, Sum)> {
        let sum = part.digest.sum();
        let path = self.cache.folder.join(&sum.sha256);
        let keep = || {
            part.file.sync_all()?;
            fs::rename(&part.path, &path)
        };
        keep().with_context(|| path.display().to_string())?;
        Ok((path, sum))
    }
}

impl Part {
    pub fn bytes(&self) -> u64 {
        self.digest.bytes()
    }

    pub fn sum(&self) -> Sum {
        self.digest.sum()
    }

    pub fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| self.path.display().to_string())?;
        self.digest.update(bytes);
        Ok(())
    }

    /// Starts over.
    pub fn clear(&mut self) -> anyhow::Result<()> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.rewind());
        cleared.with_context(|| self.path.display().to_string())?;
        (self.digest, self.version, self.joined) = (Digest::default(), None, false);
        Ok(())
    }

    /// Leaves nothing behind.
    pub fn discard(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| self.path.display().to_string())
    }
}
