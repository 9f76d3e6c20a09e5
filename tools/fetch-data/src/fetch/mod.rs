//! Fetching a file from the first URL or path that provides it, with its checksum verified.

mod cache;
mod digest;
mod error;
mod http;
mod location;
mod mirror;

use crate::settings::{Download, Source};
use anyhow::{Context, bail, ensure};
use cache::Cache;
use cli::{Report, Transient};
use digest::Digest;
use error::{Mismatch, SourceError};
use location::Location;
use reqwest::Url;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Fetches files, as the settings `download.*` say.
pub struct Fetcher<'a> {
    settings: &'a Download,
    report: &'a Report,
}

/// A file, or a folder, on this machine.
pub struct Fetched {
    pub path: PathBuf,
    /// The last component of the URL or path, for messages.
    pub name: String,
    /// None for a folder.
    pub checksum: Option<Checksum>,
}

/// SHA-256, in lower-case hexadecimal, and size of a file.
pub struct Checksum {
    pub sha256: String,
    pub bytes: u64,
}

/// The outer error ends the program; the inner one is of one URL, and the next one is tried.
type Attempt<T, E = SourceError> = anyhow::Result<Result<T, E>>;

impl<'a> Fetcher<'a> {
    pub fn new(settings: &'a Download, report: &'a Report) -> Self {
        Self { settings, report }
    }

    /// Fetches the file `source`, which is the setting `dataset.files.<key>`.
    ///
    /// # Errors
    /// If no URL provides it, with the reason for each. A file with a wrong checksum is not kept.
    pub fn fetch(&self, key: &str, source: &Source) -> anyhow::Result<Fetched> {
        let setting = format!("dataset.files.{key}");
        ensure!(!source.urls.is_empty(), "{setting}.urls: empty; name at least one URL or path");
        let locations = source.urls.iter().map(|url| Location::parse(url)).collect::<anyhow::Result<Vec<_>>>();
        let mut errors: Vec<String> = Vec::new();
        let mut may_pass = false;
        for location in locations.with_context(|| format!("{setting}.urls"))? {
            if let Some(error) = errors.last() {
                self.report.say(&format!("{error}; trying {location}"));
            }
            let attempt = match &location {
                Location::Local(path) => local(path, source, &setting)?,
                Location::Remote(url) => self.remote(url, source, &setting)?,
            };
            match attempt {
                Ok(fetched) => return Ok(fetched),
                Err(error) => {
                    may_pass |= cli::may_pass(&error);
                    errors.push(format!("{location}: {error}"));
                }
            }
        }
        let all = errors.join("; ");
        // One that answers later is enough.
        if may_pass { bail!(Transient::new(all)) } else { bail!(all) }
    }

    /// From the cache, or over the network into the cache.
    fn remote(&self, url: &Url, source: &Source, setting: &str) -> Attempt<Fetched> {
        let name = location::file_name(url);
        let cache = Cache::open(self.settings.cache.as_deref())?;
        let (path, checksum) = match cache.find(source.sha256.as_deref())? {
            Some(found) => {
                self.report.say(&format!("{name}: in the cache"));
                found
            }
            None => match self.download(&cache, url, source)? {
                Ok(found) => found,
                Err(error) => return Ok(Err(error)),
            },
        };
        // Without an expected checksum, the file may be anything that the network delivered.
        ensure!(
            source.sha256.is_some(),
            "{setting}.sha256: null, so that nothing says whether {} is the right file; if it is, give \
             {setting}.sha256={} (the download is kept)",
            cli::redacted(url.as_str()),
            checksum.sha256
        );
        Ok(Ok(Fetched { path, name, checksum: Some(checksum) }))
    }

    /// Over the network into the cache, by one process at a time.
    fn download(&self, cache: &Cache, url: &Url, source: &Source) -> Attempt<(PathBuf, Checksum)> {
        let sha256 = source.sha256.as_deref();
        let entry = cache.entry(url, sha256, || {
            let name = location::file_name(url);
            self.report.say(&format!("{name}: waiting for another fetch-data, which is downloading it"));
        })?;
        // The process that held the lock may have downloaded it.
        match cache.find(sha256)? {
            Some(found) => Ok(Ok(found)),
            None => Ok(mirror::download(self.settings, self.report, url, source, &entry)?.map_err(SourceError::from)),
        }
    }
}

/// A file or a folder of this machine, where it is.
fn local(path: &Path, source: &Source, setting: &str) -> Attempt<Fetched> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => return Ok(Err(error.into())),
    };
    if meta.is_dir() {
        if source.sha256.is_some() {
            return Ok(Err(SourceError::FolderWithChecksum { setting: setting.to_owned() }));
        }
        return Ok(Ok(Fetched { path: path.to_owned(), name, checksum: None }));
    }
    if !meta.is_file() {
        return Ok(Err(SourceError::NotAFile));
    }
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let checksum = Digest::of(file).with_context(|| path.display().to_string())?.checksum();
    let checked = checksum.check(source).map_err(SourceError::from);
    Ok(checked.map(|()| Fetched { path: path.to_owned(), name, checksum: Some(checksum) }))
}

impl Checksum {
    /// Compares with the size and the SHA-256 that `source` expects, if any.
    fn check(&self, source: &Source) -> Result<(), Mismatch> {
        match (source.bytes, source.sha256.as_deref()) {
            (Some(expected), _) if expected != self.bytes => Err(Mismatch::Bytes { bytes: self.bytes, expected }),
            (_, Some(expected)) if expected != self.sha256 => {
                Err(Mismatch::Sha256 { sha256: self.sha256.clone(), expected: expected.to_owned() })
            }
            _ => Ok(()),
        }
    }
}
