//! The log of requests.

use crate::{
    connection::Connection,
    http::answer::Message,
    log::{self, Level},
};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri},
};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use serde::Serialize;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Headers that bring a request's id; the response has it too.
const ID_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("x-request-id"), HeaderName::from_static("triton-request-id")];
/// Longest id that is taken, in bytes.
const MAX_ID: usize = 128;
/// Longest path that is logged, in characters.
const MAX_PATH: usize = 1024;
/// What comes before the name of a model in a path of HTTP.
const MODELS: &str = "/v2/models/";
const GRPC_STATUS: &str = "grpc-status";

/// What is known of a request before its handler takes it.
pub struct Begun {
    at: Instant,
    method: Method,
    uri: Uri,
    id: Option<(HeaderName, HeaderValue)>,
    /// Bytes of the body so far, if they are counted.
    pub read: Option<Arc<AtomicU64>>,
}

impl Begun {
    pub fn new<B>(request: &Request<B>) -> Self {
        let is_logged = log::is_on(Level::Info);
        Self {
            at: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            id: id(request).or_else(|| is_logged.then(new_id)),
            read: is_logged.then(Arc::default),
        }
    }

    /// Puts the request's id into the response. The entry of the log, if there is one: of every request, or of errors.
    pub fn answered(
        self,
        response: &mut Response<Body>,
        connection: &Connection,
        protocol: &'static str,
        key: Option<Arc<str>>,
    ) -> Option<Box<Entry>> {
        let level = level(response.status(), self.uri.path());
        let is_logged = log::is_on(level);
        let id = self.id.or_else(|| is_logged.then(new_id));
        if let Some((name, value)) = &id {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        let id = id.filter(|_| is_logged)?.1;
        let message = response.extensions().get::<Message>().map(|message| cli::printable(&message.0));
        Some(Box::new(Entry {
            level,
            begun: self.at,
            written: Written {
                request_id: id.to_str().unwrap_or_default().to_owned(),
                protocol,
                method: self.method.to_string(),
                path: printable(self.uri.path()),
                model: model(self.uri.path()).map(printable),
                status: response.status().as_u16(),
                grpc_status: response.headers().get(GRPC_STATUS).and_then(number),
                error: message,
                peer: connection.peer,
                tls: connection.is_tls,
                key: key.map(|name| name.to_string()),
                bytes_in: 0,
                bytes_out: 0,
                duration_us: 0,
                complete: response.body().is_end_stream(),
            },
            read: self.read,
        }))
    }
}

/// A line of the log, which is written when the response has ended.
pub struct Entry {
    level: Level,
    begun: Instant,
    written: Written,
    read: Option<Arc<AtomicU64>>,
}

#[derive(Serialize)]
struct Written {
    request_id: String,
    protocol: &'static str,
    method: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    peer: SocketAddr,
    tls: bool,
    /// The name of the client's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    bytes_in: u64,
    bytes_out: u64,
    duration_us: u64,
    /// Whether the whole response was handed over to be sent.
    complete: bool,
}

impl Entry {
    /// A part of the response's body goes out; None is its end.
    pub fn wrote(&mut self, frame: Option<&Result<Frame<Bytes>, axum::Error>>, is_end: bool) {
        let written = &mut self.written;
        match frame {
            None => written.complete = true,
            Some(Ok(frame)) => {
                written.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
                written.complete |= is_end;
                if let Some(trailers) = frame.trailers_ref() {
                    written.grpc_status = trailers.get(GRPC_STATUS).and_then(number);
                    written.complete = true;
                }
            }
            Some(Err(_)) => {}
        }
    }

    pub fn log(mut self) {
        self.written.bytes_in = self.read.map_or(0, |read| read.load(Relaxed));
        self.written.duration_us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        log::write(self.level, "request", &self.written);
    }
}

/// The id that the client gave, and the header that it came in.
fn id<B>(request: &Request<B>) -> Option<(HeaderName, HeaderValue)> {
    let is_id = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=MAX_ID).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    };
    ID_HEADERS.into_iter().find_map(|name| {
        let value = request.headers().get(&name).filter(is_id)?.clone();
        Some((name, value))
    })
}

/// An id that no other request of this or an earlier process has.
fn new_id() -> (HeaderName, HeaderValue) {
    static START: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        u64::try_from(now).unwrap_or_default()
    });
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = format!("{:x}-{:x}", *START, NEXT.fetch_add(1, Relaxed));
    let [name, _] = ID_HEADERS;
    (name, HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-")))
}

/// That a server is not ready yet is an answer, no error.
fn level(status: StatusCode, path: &str) -> Level {
    match status {
        StatusCode::INTERNAL_SERVER_ERROR => Level::Error,
        status if status.is_server_error() && !super::OPEN_PATHS.contains(&path) => Level::Warn,
        _ => Level::Info,
    }
}

fn model(path: &str) -> Option<&str> {
    path.strip_prefix(MODELS)?.split('/').next()
}

fn printable(text: &str) -> String {
    cli::printable(&text.chars().take(MAX_PATH).collect::<String>())
}

fn number(value: &HeaderValue) -> Option<u16> {
    value.to_str().ok()?.parse().ok()
}
