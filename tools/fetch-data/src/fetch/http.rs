//! HTTP requests for a file, or for the rest of it.

use super::{cache::PartialFile, error::TransferError, location};
use crate::settings::{Download, Source};
use anyhow::Context;
use cli::{Report, Unit};
use reqwest::{
    StatusCode, Url,
    blocking::{Client, Response},
    header::{CONTENT_RANGE, ETAG, RANGE, RETRY_AFTER},
};
use std::{error::Error, io::Read, time::Duration};

/// A file on a server.
pub struct Remote<'a> {
    client: Client,
    pub url: &'a Url,
    source: &'a Source,
    /// Largest size in bytes, if the source gives none.
    max_bytes: u64,
    report: &'a Report,
}

/// Size of a read from the connection, in bytes.
const BLOCK: usize = 1 << 16;

impl<'a> Remote<'a> {
    /// # Errors
    /// If there can be no HTTP client: the proxies in the environment are not valid.
    pub fn new(settings: &Download, report: &'a Report, url: &'a Url, source: &'a Source) -> anyhow::Result<Self> {
        let client = Client::builder()
            .user_agent(concat!("pipegrad/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            // A blocking client's timeout is for the headers of a response, and then for each read of the body.
            .timeout(settings.read_timeout)
            .build()
            .context("the HTTP client")?;
        Ok(Self { client, url, source, max_bytes: settings.max_bytes, report })
    }

    /// Requests the rest of the file, and appends it to `file`.
    pub fn transfer(&self, file: &mut PartialFile) -> Result<(), TransferError> {
        let mut request = self.client.get(self.url.clone());
        if file.bytes() > 0 {
            request = request.header(RANGE, format!("bytes={}-", file.bytes()));
        }
        let response = request.send().map_err(|error| no_response(&error))?;
        self.accept(&response, file)?;
        let length = || response.content_length().map(|rest| rest.saturating_add(file.bytes()));
        let total = Range::of(&response).and_then(|range| range.total).or_else(length);
        match (total, self.source.bytes) {
            (Some(total), Some(bytes)) if total != bytes => {
                Err(TransferError::Refused(format!("{total} bytes, expected {bytes}")))
            }
            (Some(total), None) if total > self.max_bytes => Err(TransferError::Refused(self.too_large())),
            _ => self.receive(response, total, file),
        }
    }

    /// Checks that the response continues `file`. A server without range requests sends the whole file; `file` is then
    /// cleared.
    fn accept(&self, response: &Response, file: &mut PartialFile) -> Result<(), TransferError> {
        let status = response.status();
        match status {
            StatusCode::PARTIAL_CONTENT if self.continues(response, file) => {
                file.is_joined |= file.bytes() > 0;
                Ok(())
            }
            StatusCode::OK => {
                file.clear().map_err(TransferError::Local)?;
                file.version = version(response);
                Ok(())
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                file.clear().map_err(TransferError::Local)?;
                let reason = format!("HTTP status {status}: another range, or another version of the file");
                Err(TransferError::Transient { reason, wait: None })
            }
            _ if is_transient(status) => {
                let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                let wait = seconds.map(Duration::from_secs);
                Err(TransferError::Transient { reason: format!("HTTP status {status}"), wait })
            }
            _ => Err(TransferError::Refused(format!("HTTP status {status}"))),
        }
    }

    /// Whether a partial response begins at the end of `file`, and the file is verifiable or of the same version: by its
    /// checksum, else by the server's ETag.
    fn continues(&self, response: &Response, file: &PartialFile) -> bool {
        let verifiable = self.source.sha256.is_some() || (file.version.is_some() && file.version == version(response));
        verifiable && Range::of(response).is_some_and(|range| range.start == file.bytes())
    }

    fn receive(&self, mut response: Response, total: Option<u64>, file: &mut PartialFile) -> Result<(), TransferError> {
        let bar = self.report.bar(Unit::Bytes);
        bar.start(&location::file_name(self.url), self.source.bytes.or(total), file.bytes());
        let mut block = vec![0; BLOCK];
        loop {
            let count = match response.read(&mut block) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return Err(transient(&error)),
            };
            if file.bytes() + count as u64 > self.source.bytes.unwrap_or(self.max_bytes) {
                return Err(TransferError::WrongContent(self.too_large()));
            }
            file.append(&block[..count]).map_err(TransferError::Local)?;
            bar.add(count as u64);
        }
        match self.source.bytes.or(total) {
            // Without a length, a response that was cut looks complete; and a server may send less than the requested
            // range.
            Some(bytes) if file.bytes() < bytes => Err(TransferError::Transient {
                reason: format!("the response ended after {} of {bytes} bytes", file.bytes()),
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

/// Whether a retry may get another status.
fn is_transient(status: StatusCode) -> bool {
    let transient = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || transient.contains(&status)
}

/// The ETag of the response. A weak one (`W/`) is ignored: it does not guarantee the same bytes.
fn version(response: &Response) -> Option<String> {
    let tag = response.headers().get(ETAG)?.to_str().ok()?;
    (!tag.starts_with("W/")).then(|| tag.to_owned())
}

/// The `Content-Range` of a partial response: `bytes 5-9/10`.
struct Range {
    /// Index of the first byte.
    start: u64,
    /// Size of the whole file in bytes; None if the server does not know it (`/*`).
    total: Option<u64>,
}

impl Range {
    fn of(response: &Response) -> Option<Self> {
        let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        Some(Self { start: range.split_once('-')?.0.trim().parse().ok()?, total: total.trim().parse().ok() })
    }
}

/// Why there is no response: a certificate that is not trusted will not be so at the next attempt either.
fn no_response(error: &reqwest::Error) -> TransferError {
    match error.is_builder() || error.is_redirect() || cli::is_invalid_data(error) {
        true => TransferError::Refused(innermost(error)),
        false => transient(error),
    }
}

fn transient(error: &dyn Error) -> TransferError {
    TransferError::Transient { reason: innermost(error), wait: None }
}

/// The innermost cause, which has the reason; the outer errors say only which stage failed, and repeat the URL.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
