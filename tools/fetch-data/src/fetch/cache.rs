//! The cache of downloads: files named by their SHA-256, and incomplete files.

use super::{Checksum, digest::Digest};
use anyhow::Context;
use files::Lock;
use reqwest::Url;
use std::{
    fs::{self, File},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
};

/// A folder of files named by their SHA-256.
pub struct Cache {
    folder: PathBuf,
}

/// A file in the cache, locked: no other process downloads it.
pub struct Entry<'a> {
    cache: &'a Cache,
    /// Path of the incomplete file.
    partial: PathBuf,
    /// Locked until it is closed. Never deleted: that could delete a file that another process has just locked.
    _lock: Lock,
}

/// The beginning of a file, which a download continues.
pub struct PartialFile {
    path: PathBuf,
    file: File,
    digest: Digest,
    /// The server's ETag for the version that the file began with.
    pub version: Option<String>,
    /// Whether it is of several responses, and so possibly of several versions.
    pub is_joined: bool,
}

impl Cache {
    /// The cache in `folder`, or (None) in the user's cache folder.
    pub fn open(folder: Option<&Path>) -> anyhow::Result<Self> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => dirs::cache_dir().context("no cache folder: give download.cache, or set HOME")?.join("pipegrad"),
        };
        let folder = folder.join("sha256");
        fs::create_dir_all(&folder).with_context(|| format!("download.cache: {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// The file with this SHA-256; None if it is not in the cache, or damaged: a download then replaces it.
    ///
    /// Needs no lock, and so no write permission: files are renamed into the cache once they are complete.
    pub fn find(&self, sha256: Option<&str>) -> anyhow::Result<Option<(PathBuf, Checksum)>> {
        let Some(sha256) = sha256 else { return Ok(None) };
        let path = self.folder.join(sha256);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let checksum = Digest::of(file).with_context(|| path.display().to_string())?.checksum();
        Ok((checksum.sha256 == sha256).then_some((path, checksum)))
    }

    /// Locks the file with this SHA-256 or, if that is None, from this URL. Calls `waiting` before waiting for another
    /// process.
    pub fn entry(&self, url: &Url, sha256: Option<&str>, waiting: impl FnOnce()) -> anyhow::Result<Entry<'_>> {
        let name = match sha256 {
            Some(sha256) => sha256.to_owned(),
            None => format!("url-{}", files::sha256(url.as_str())),
        };
        let path = self.folder.join(format!("{name}.lock"));
        let lock = File::create(&path).and_then(|file| Lock::wait(file, waiting));
        let lock = lock.with_context(|| path.display().to_string())?;
        Ok(Entry { cache: self, partial: self.folder.join(format!("{name}.part")), _lock: lock })
    }
}

impl Entry<'_> {
    /// The incomplete file, which may be empty.
    pub fn partial_file(&self) -> anyhow::Result<PartialFile> {
        let open = || {
            let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&self.partial)?;
            let digest = Digest::of(&file)?;
            file.seek(io::SeekFrom::End(0))?;
            let is_joined = digest.bytes() > 0;
            Ok::<_, io::Error>(PartialFile { path: self.partial.clone(), file, digest, version: None, is_joined })
        };
        open().with_context(|| self.partial.display().to_string())
    }

    /// Moves a complete file to its final name in the cache.
    pub fn keep(&self, partial: PartialFile) -> anyhow::Result<(PathBuf, Checksum)> {
        let checksum = partial.digest.checksum();
        let path = self.cache.folder.join(&checksum.sha256);
        let keep = || {
            partial.file.sync_all()?;
            fs::rename(&partial.path, &path)
        };
        keep().with_context(|| path.display().to_string())?;
        Ok((path, checksum))
    }
}

impl PartialFile {
    pub fn bytes(&self) -> u64 {
        self.digest.bytes()
    }

    pub fn checksum(&self) -> Checksum {
        self.digest.checksum()
    }

    pub fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| self.path.display().to_string())?;
        self.digest.update(bytes);
        Ok(())
    }

    /// Truncates the file to nothing.
    pub fn clear(&mut self) -> anyhow::Result<()> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.rewind());
        cleared.with_context(|| self.path.display().to_string())?;
        (self.digest, self.version, self.is_joined) = (Digest::default(), None, false);
        Ok(())
    }

    /// Deletes the file.
    pub fn discard(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| self.path.display().to_string())
    }
}
