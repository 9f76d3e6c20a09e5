//! One request for a file, or for what is missing of it.

use super::{cache::Part, location};
use crate::settings::{Download, Source};
use anyhow::Context;
use cli::{Report, Unit};
use reqwest::{
    StatusCode, Url,
    blocking::{Client, Response},
    header::{CONTENT_RANGE, ETAG, RANGE, RETRY_AFTER},
};
use std::{error::Error, io::Read, time::Duration};

/// A file that a server is asked for.
pub struct Remote<'a> {
    client: Client,
    pub url: &'a Url,
    source: &'a Source,
    /// Its largest size, where the source gives none.
    max_bytes: u64,
    report: &'a Report,
}

/// Why a request did not bring the rest of the file.
pub enum Failure {
    /// It may work in a while; the server may have said when.
    Passing { problem: String, wait: Option<Duration> },
    /// The server will not.
    Refused(String),
    /// What came is another file.
    Wrong(String),
    /// This machine's own trouble, which no mirror mends.
    Local(anyhow::Error),
}

/// Bytes taken from a connection at a time.
const BLOCK: usize = 1 << 16;

impl<'a> Remote<'a> {
    /// The file at `url`, with the time-outs of the settings and the proxies of the environment.
    pub fn new(settings: &Download, report: &'a Report, url: &'a Url, source: &'a Source) -> anyhow::Result<Self> {
        let client = Client::builder()
            .user_agent(concat!("pipegrad/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            // Of a blocking client: for the head of an answer, and then for each read of its body.
            .timeout(settings.read_timeout)
            .build()
            .context("the HTTP client")?;
        Ok(Self { client, url, source, max_bytes: settings.max_bytes, report })
    }

    /// Appends to `part` what is missing of the file.
    pub fn transfer(&self, part: &mut Part) -> Result<(), Failure> {
        let mut request = self.client.get(self.url.clone());
        if part.bytes() > 0 {
            request = request.header(RANGE, format!("bytes={}-", part.bytes()));
        }
        let response = request.send().map_err(|error| passing(&error))?;
        self.accept(&response, part)?;
        let length = || response.content_length().map(|rest| rest.saturating_add(part.bytes()));
        let total = Range::of(&response).and_then(|range| range.total).or_else(length);
        match (total, self.source.bytes) {
            (Some(total), Some(bytes)) if total != bytes => {
                Err(Failure::Refused(format!("{total} bytes, expected {bytes}")))
            }
            (Some(total), None) if total > self.max_bytes => Err(Failure::Refused(self.too_large())),
            _ => self.receive(response, total, part),
        }
    }

    /// Whether the answer is the file from where `part` ends. A server that knows no ranges sends it from the start.
    fn accept(&self, response: &Response, part: &mut Part) -> Result<(), Failure> {
        let status = response.status();
        match status {
            StatusCode::PARTIAL_CONTENT if self.continues(response, part) => {
                part.joined |= part.bytes() > 0;
                Ok(())
            }
            StatusCode::OK => {
                part.clear().map_err(Failure::Local)?;
                part.version = version(response);
                Ok(())
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                part.clear().map_err(Failure::Local)?;
                let problem = format!("HTTP status {status}: another range, or another version of the file");
                Err(Failure::Passing { problem, wait: None })
            }
            _ if may_pass(status) => {
                let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                let wait = seconds.map(Duration::from_secs);
                Err(Failure::Passing { problem: format!("HTTP status {status}"), wait })
            }
            _ => Err(Failure::Refused(format!("HTTP status {status}"))),
        }
    }

    /// Whether a partial answer goes on where `part` ends. That it is of the same version the checksum shows; where
    /// there is none, the server has to say so.
    fn continues(&self, response: &Response, part: &Part) -> bool {
        let vouched = self.source.sha256.is_some() || (part.version.is_some() && part.version == version(response));
        vouched && Range::of(response).is_some_and(|range| range.start == part.bytes())
    }

    fn receive(&self, mut response: Response, total: Option<u64>, part: &mut Part) -> Result<(), Failure> {
        let bar = self.report.bar(Unit::Bytes);
        bar.start(&location::file_name(self.url), self.source.bytes.or(total), part.bytes());
        let mut block = vec![0; BLOCK];
        loop {
            let count = match response.read(&mut block) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return Err(passing(&error)),
            };
            if part.bytes() + count as u64 > self.source.bytes.unwrap_or(self.max_bytes) {
                return Err(Failure::Wrong(self.too_large()));
            }
            part.append(&block[..count]).map_err(Failure::Local)?;
            bar.add(count as u64);
        }
        match self.source.bytes.or(total) {
            // Without a length, an answer that was cut looks like one that ended; and a server may give less than the
            // range that it was asked for.
            Some(bytes) if part.bytes() < bytes => Err(Failure::Passing {
                problem: format!("the answer ended after {} of {bytes} bytes", part.bytes()),
                wait: None,
            }),
            _ => Ok(()),
        }
    }

    fn too_large(&self) -> String {
        match self.source.bytes {
            Some(bytes) => format!("more than {bytes} bytes, as many as were expected"),
            None => format!("larger than download.max_bytes, {}", self.max_bytes),
        }
    }
}

/// Whether a server may answer otherwise in a while.
fn may_pass(status: StatusCode) -> bool {
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || passing.contains(&status)
}

/// What the server calls this version of the file. A weak tag (`W/`) does not promise the same bytes.
fn version(response: &Response) -> Option<String> {
    let tag = response.headers().get(ETAG)?.to_str().ok()?;
    (!tag.starts_with("W/")).then(|| tag.to_owned())
}

/// What a partial answer holds: `bytes 5-9/10`.
struct Range {
    /// The first byte.
    start: u64,
    /// Bytes of the whole file, where the server knows (not `/*`).
    total: Option<u64>,
}

impl Range {
    fn of(response: &Response) -> Option<Self> {
        let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        Some(Self { start: range.split_once('-')?.0.trim().parse().ok()?, total: total.trim().parse().ok() })
    }
}

/// The innermost cause: what is around it says only at which stage, and names the URL again.
fn passing(error: &dyn Error) -> Failure {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failure::Passing { problem: cause.to_string(), wait: None }
}
