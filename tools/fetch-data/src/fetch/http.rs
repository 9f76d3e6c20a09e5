//! One request for a file, or for what is missing of it.

use super::{cache::Part, location};
use crate::{report::Report, settings::Download};
use anyhow::Context;
use reqwest::{
    StatusCode, Url,
    blocking::{Client, Response},
    header::{CONTENT_RANGE, RANGE, RETRY_AFTER},
};
use std::{error::Error, io::Read, time::Duration};

/// A file that a server is asked for.
pub struct Remote<'a> {
    client: Client,
    pub url: &'a Url,
    /// Its size, if that is known.
    bytes: Option<u64>,
    /// Its largest size otherwise.
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
    pub fn new(settings: &Download, report: &'a Report, url: &'a Url, bytes: Option<u64>) -> anyhow::Result<Self> {
        let client = Client::builder()
            .user_agent(concat!("pipegrad/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            // Of a blocking client: for the head of an answer, and then for each read of its body.
            .timeout(settings.read_timeout)
            .build()
            .context("the HTTP client")?;
        Ok(Self { client, url, bytes, max_bytes: settings.max_bytes, report })
    }

    /// Appends to `part` what is missing of the file.
    pub fn transfer(&self, part: &mut Part) -> Result<(), Failure> {
        let mut request = self.client.get(self.url.clone());
        if part.bytes() > 0 {
            request = request.header(RANGE, format!("bytes={}-", part.bytes()));
        }
        let response = request.send().map_err(|error| passing(&error))?;
        accept(&response, part)?;
        let total = response.content_length().map(|rest| rest.saturating_add(part.bytes()));
        match (total, self.bytes) {
            (Some(total), Some(bytes)) if total != bytes => {
                Err(Failure::Refused(format!("{total} bytes, expected {bytes}")))
            }
            (Some(total), None) if total > self.max_bytes => Err(Failure::Refused(self.too_large())),
            _ => self.receive(response, total, part),
        }
    }

    fn receive(&self, mut response: Response, total: Option<u64>, part: &mut Part) -> Result<(), Failure> {
        let bar = self.report.bytes(&location::file_name(self.url), self.bytes.or(total), part.bytes());
        let mut block = vec![0; BLOCK];
        loop {
            let count = match response.read(&mut block) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return Err(passing(&error)),
            };
            if part.bytes() + count as u64 > self.bytes.unwrap_or(self.max_bytes) {
                return Err(Failure::Wrong(self.too_large()));
            }
            part.append(&block[..count]).map_err(Failure::Local)?;
            bar.add(count as u64);
        }
        match self.bytes {
            // Without a length, an answer that was cut looks like one that ended.
            Some(bytes) if part.bytes() < bytes => Err(Failure::Passing {
                problem: format!("the answer ended after {} of {bytes} bytes", part.bytes()),
                wait: None,
            }),
            _ => Ok(()),
        }
    }

    fn too_large(&self) -> String {
        match self.bytes {
            Some(bytes) => format!("more than {bytes} bytes, as many as were expected"),
            None => format!("larger than download.max_bytes, {}", self.max_bytes),
        }
    }
}

/// Whether the answer is the file from where `part` ends. A server that knows no ranges sends it from the start.
fn accept(response: &Response, part: &mut Part) -> Result<(), Failure> {
    let status = response.status();
    match status {
        StatusCode::PARTIAL_CONTENT if range_start(response) == Some(part.bytes()) => Ok(()),
        StatusCode::OK => part.clear().map_err(Failure::Local),
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            part.clear().map_err(Failure::Local)?;
            Err(Failure::Passing { problem: format!("HTTP status {status}: another range than asked for"), wait: None })
        }
        _ if may_pass(status) => {
            let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Err(Failure::Passing { problem: format!("HTTP status {status}"), wait: seconds.map(Duration::from_secs) })
        }
        _ => Err(Failure::Refused(format!("HTTP status {status}"))),
    }
}

/// Whether a server may answer otherwise in a while.
fn may_pass(status: StatusCode) -> bool {
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || passing.contains(&status)
}

/// The first byte of a partial answer: 5 of `bytes 5-9/10`.
fn range_start(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// The innermost cause: what is around it says only at which stage, and names the URL again.
fn passing(error: &dyn Error) -> Failure {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failure::Passing { problem: cause.to_string(), wait: None }
}
