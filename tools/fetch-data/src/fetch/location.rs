//! URLs and paths of files.

use anyhow::{Context, bail};
use reqwest::Url;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The location of a file.
pub enum Location {
    Local(PathBuf),
    Remote(Url),
}

impl Location {
    /// An `http:`, `https:` or `file:` URL, or a path.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let Some((scheme, _)) = text.split_once("://") else {
            anyhow::ensure!(!text.is_empty(), "an empty URL");
            return Ok(Self::Local(Path::new(text).to_owned()));
        };
        let url = Url::parse(text).with_context(|| cli::redacted(text))?;
        match url.scheme() {
            "http" | "https" => Ok(Self::Remote(url)),
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Self::Local(path)),
                Err(()) => bail!("{}: not a file of this machine; write file:///path", cli::redacted(text)),
            },
            _ => {
                bail!("{}: unsupported scheme {scheme}:; expected http:, https:, file: or a path", cli::redacted(text))
            }
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Remote(url) => cli::redacted(url.as_str()).fmt(f),
        }
    }
}

/// The last component of the URL's path that is not empty, or else the host.
pub fn file_name(url: &Url) -> String {
    let last = url.path_segments().and_then(|parts| parts.rev().find(|part| !part.is_empty()));
    last.or(url.host_str()).unwrap_or("file").to_owned()
}
