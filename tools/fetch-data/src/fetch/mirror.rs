//! Downloading a file from one mirror, with retries, until it is complete and verified.

use super::{
    Attempt, Checksum,
    cache::{Entry, PartialFile},
    error::{DownloadError, TransferError},
    http::Remote,
    location,
};
use crate::settings::{Download, Source};
use cli::{Report, Transient};
use reqwest::Url;
use std::{path::PathBuf, thread, time::Duration};

/// Downloads the file into the cache. An incomplete file is kept, and resumed by a later download.
pub fn download(
    settings: &Download,
    report: &Report,
    url: &Url,
    source: &Source,
    entry: &Entry<'_>,
) -> Attempt<(PathBuf, Checksum), DownloadError> {
    let mirror = Mirror { settings, report, source, remote: Remote::new(settings, report, url, source)? };
    let mut file = entry.partial_file()?;
    if source.sha256.is_none() {
        // Without a checksum, the beginning of another version would go unnoticed.
        file.clear()?;
    }
    let resuming = if file.bytes() > 0 { format!(", resuming at byte {}", file.bytes()) } else { String::new() };
    report.say(&format!("{}: downloading{resuming}", location::file_name(url)));
    let mut outcome = mirror.complete(&mut file)?;
    if file.is_joined && matches!(outcome, Err(DownloadError::WrongContent(_))) {
        // The beginning may be of an older version, or of another mirror.
        file.clear()?;
        outcome = mirror.complete(&mut file)?;
    }
    match outcome {
        Ok(()) => Ok(Ok(entry.keep(file)?)),
        Err(error @ (DownloadError::Unavailable(_) | DownloadError::Refused(_))) if file.bytes() > 0 => Ok(Err(error)),
        Err(error) => {
            file.discard()?;
            Ok(Err(error))
        }
    }
}

struct Mirror<'a> {
    settings: &'a Download,
    report: &'a Report,
    source: &'a Source,
    remote: Remote<'a>,
}

impl Mirror<'_> {
    /// Transfers the rest of the file, and verifies the whole.
    fn complete(&self, file: &mut PartialFile) -> Attempt<(), DownloadError> {
        let is_incomplete = self.source.bytes.is_none_or(|bytes| file.bytes() < bytes);
        if is_incomplete && let Err(error) = self.transfer(file)? {
            return Ok(Err(error));
        }
        let checked = file.checksum().check(self.source);
        Ok(checked.map_err(|mismatch| DownloadError::WrongContent(mismatch.to_string())))
    }

    /// Repeats requests until the transfer is complete, or `download.retries` of them in a row added nothing.
    fn transfer(&self, file: &mut PartialFile) -> Attempt<(), DownloadError> {
        let (mut failures, mut bytes) = (0, file.bytes());
        loop {
            let (reason, wait) = match self.remote.transfer(file) {
                Ok(()) => return Ok(Ok(())),
                Err(TransferError::Refused(reason)) => return Ok(Err(DownloadError::Refused(reason))),
                Err(TransferError::WrongContent(reason)) => return Ok(Err(DownloadError::WrongContent(reason))),
                Err(TransferError::Local(error)) => return Err(error),
                Err(TransferError::Transient { reason, wait }) => (reason, wait),
            };
            if file.bytes() > bytes {
                (failures, bytes) = (0, file.bytes());
            }
            if failures == self.settings.retries {
                return Ok(Err(Transient::new(reason).into()));
            }
            let wait = wait.unwrap_or_else(|| self.backoff(failures)).min(self.settings.max_backoff);
            failures += 1;
            let (name, pause) = (location::file_name(self.remote.url), humantime::format_duration(wait));
            self.report.say(&format!("{name}: {reason}; trying again in {pause}"));
            thread::sleep(wait);
        }
    }

    /// Exponential backoff: the wait after `failures` earlier failures.
    fn backoff(&self, failures: u32) -> Duration {
        self.settings.backoff.saturating_mul(2u32.saturating_pow(failures))
    }
}
