//! A file from the first of several places that has it, checked.

mod cache;
mod digest;
mod http;
mod location;
mod mirror;

use crate::settings::{Download, Source};
use anyhow::{Context, bail, ensure};
use cache::Cache;
use cli::Report;
use digest::Digest;
use location::Location;
use reqwest::Url;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Fetches files.
pub struct Fetcher<'a> {
    settings: &'a Download,
    report: &'a Report,
}

/// A file, or a folder, that is here.
pub struct Fetched {
    pub path: PathBuf,
    /// The last part of the URL or path, for messages.
    pub name: String,
    /// None for a folder.
    pub sum: Option<Sum>,
}

/// What a file is known by.
pub struct Sum {
    pub sha256: String,
    pub bytes: u64,
}

/// What a place gives: the file, or what is wrong with that place alone. The outer error is trouble that no other
/// place mends.
type Attempt<T, E = String> = anyhow::Result<Result<T, E>>;

impl<'a> Fetcher<'a> {
    pub fn new(settings: &'a Download, report: &'a Report) -> Self {
        Self { settings, report }
    }

    /// The file that `source`, the setting `dataset.files.<key>`, describes.
    ///
    /// # Errors
    /// When no URL gives it: what was wrong with each. A file whose checksum is wrong is not kept.
    pub fn fetch(&self, key: &str, source: &Source) -> anyhow::Result<Fetched> {
        let setting = format!("dataset.files.{key}");
        ensure!(!source.urls.is_empty(), "{setting}.urls: empty; name at least one URL or path");
        let locations = source.urls.iter().map(|url| Location::parse(url)).collect::<anyhow::Result<Vec<_>>>();
        let mut problems: Vec<String> = Vec::new();
        for location in locations.with_context(|| format!("{setting}.urls"))? {
            if let Some(problem) = problems.last() {
                self.report.say(&format!("{problem}; trying {location}"));
            }
            let attempt = match &location {
                Location::Local(path) => local(path, source, &setting)?,
                Location::Remote(url) => self.remote(url, source, &setting)?,
            };
            match attempt {
                Ok(fetched) => return Ok(fetched),
                Err(problem) => problems.push(format!("{location}: {problem}")),
            }
        }
        bail!("{}", problems.join("; "))
    }

    /// From the cache, or over the network into it.
    fn remote(&self, url: &Url, source: &Source, setting: &str) -> Attempt<Fetched> {
        let name = location::file_name(url);
        let cache = Cache::open(self.settings.cache.as_deref())?;
        let (path, sum) = match cache.find(source.sha256.as_deref())? {
            Some(found) => {
                self.report.say(&format!("{name}: in the cache"));
                found
            }
            None => match self.download(&cache, url, source)? {
                Ok(found) => found,
                Err(problem) => return Ok(Err(problem)),
            },
        };
        // What came over a network is whatever its sender wanted, until somebody vouches for it.
        ensure!(
            source.sha256.is_some(),
            "{setting}.sha256: null, so that nothing says whether {} is the right file; if it is, give \
             {setting}.sha256={} (the download is kept)",
            cli::redacted(url.as_str()),
            sum.sha256
        );
        Ok(Ok(Fetched { path, name, sum: Some(sum) }))
    }

    /// Over the network into the cache, by one process at a time.
    fn download(&self, cache: &Cache, url: &Url, source: &Source) -> Attempt<(PathBuf, Sum)> {
        let sha256 = source.sha256.as_deref();
        let entry = cache.entry(url, sha256, || {
            let name = location::file_name(url);
            self.report.say(&format!("{name}: waiting for another fetch-data, which is downloading it"));
        })?;
        // Whoever had the lock may have put it there.
        match cache.find(sha256)? {
            Some(found) => Ok(Ok(found)),
            None => mirror::download(self.settings, self.report, url, source, &entry),
        }
    }
}

/// A file where it is, or a folder.
fn local(path: &Path, source: &Source, setting: &str) -> Attempt<Fetched> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if meta.is_dir() {
        if source.sha256.is_some() {
            return Ok(Err(format!("a folder has no sha256 to check; give {setting}.sha256=null")));
        }
        return Ok(Ok(Fetched { path: path.to_owned(), name, sum: None }));
    }
    if !meta.is_file() {
        // It is read twice, for its checksum and for what it holds; a pipe gives its bytes once, a device without end.
        return Ok(Err("neither a file nor a folder".into()));
    }
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let sum = Digest::of(file).with_context(|| path.display().to_string())?.sum();
    Ok(sum.check(source).map(|()| Fetched { path: path.to_owned(), name, sum: Some(sum) }))
}

impl Sum {
    /// Whether this is the file that `source` describes, as far as it says.
    fn check(&self, source: &Source) -> Result<(), String> {
        match (source.bytes, source.sha256.as_deref()) {
            (Some(bytes), _) if bytes != self.bytes => Err(format!("{} bytes, expected {bytes}", self.bytes)),
            (_, Some(sha256)) if sha256 != self.sha256 => {
                Err(format!("its sha256 is {}, expected {sha256}", self.sha256))
            }
            _ => Ok(()),
        }
    }
}
