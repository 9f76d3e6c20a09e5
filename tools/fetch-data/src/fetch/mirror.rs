//! A file from one mirror: going on after interruptions, until it is whole and right.

use super::{
    Attempt, Sum,
    cache::{Entry, Part},
    http::{Failure, Remote},
    location,
};
use crate::settings::{Download, Source};
use cli::Report;
use reqwest::Url;
use std::{path::PathBuf, thread, time::Duration};

/// Downloads the file into the cache. What came of it is kept also where that fails, if it may be the beginning of the
/// right one.
pub fn download(
    settings: &Download,
    report: &Report,
    url: &Url,
    source: &Source,
    entry: &Entry<'_>,
) -> Attempt<(PathBuf, Sum)> {
    let mirror = Mirror { settings, report, source, remote: Remote::new(settings, report, url, source)? };
    let mut part = entry.part()?;
    if source.sha256.is_none() {
        // Nothing would tell that it is the beginning of another version.
        part.clear()?;
    }
    let going_on = if part.bytes() > 0 { format!(", going on at byte {}", part.bytes()) } else { String::new() };
    report.say(&format!("{}: downloading{going_on}", location::file_name(url)));
    let mut outcome = mirror.complete(&mut part)?;
    if part.joined && matches!(outcome, Err(Problem::Wrong(_))) {
        // Perhaps it was the beginning that was wrong: of an older version, or another mirror's.
        part.clear()?;
        outcome = mirror.complete(&mut part)?;
    }
    match outcome {
        Ok(()) => Ok(Ok(entry.keep(part)?)),
        Err(Problem::Unfinished(problem)) if part.bytes() > 0 => Ok(Err(problem)),
        Err(Problem::Wrong(problem) | Problem::Unfinished(problem)) => {
            part.discard()?;
            Ok(Err(problem))
        }
    }
}

struct Mirror<'a> {
    settings: &'a Download,
    report: &'a Report,
    source: &'a Source,
    remote: Remote<'a>,
}

enum Problem {
    /// What came is another file.
    Wrong(String),
    /// It did not come.
    Unfinished(String),
}

impl Mirror<'_> {
    /// Transfers what is missing, and checks the whole.
    fn complete(&self, part: &mut Part) -> Attempt<(), Problem> {
        let missing = self.source.bytes.is_none_or(|bytes| part.bytes() < bytes);
        if missing && let Err(problem) = self.transfer(part)? {
            return Ok(Err(problem));
        }
        Ok(part.sum().check(self.source).map_err(Problem::Wrong))
    }

    /// Tries until the transfer ends, or as often as is allowed without getting further.
    fn transfer(&self, part: &mut Part) -> Attempt<(), Problem> {
        let (mut failures, mut furthest) = (0, part.bytes());
        loop {
            let (problem, wait) = match self.remote.transfer(part) {
                Ok(()) => return Ok(Ok(())),
                Err(Failure::Refused(problem)) => return Ok(Err(Problem::Unfinished(problem))),
                Err(Failure::Wrong(problem)) => return Ok(Err(Problem::Wrong(problem))),
                Err(Failure::Local(error)) => return Err(error),
                Err(Failure::Passing { problem, wait }) => (problem, wait),
            };
            if part.bytes() > furthest {
                (failures, furthest) = (0, part.bytes());
            }
            if failures == self.settings.retries {
                return Ok(Err(Problem::Unfinished(problem)));
            }
            let wait = wait.unwrap_or_else(|| self.backoff(failures)).min(self.settings.max_backoff);
            failures += 1;
            let (name, pause) = (location::file_name(self.remote.url), humantime::format_duration(wait));
            self.report.say(&format!("{name}: {problem}; trying again in {pause}"));
            thread::sleep(wait);
        }
    }

    /// Twice as long each time.
    fn backoff(&self, failures: u32) -> Duration {
        self.settings.backoff.saturating_mul(2u32.saturating_pow(failures))
    }
}
