//! What happens to every request before and after its handler.

mod access;
mod body;
mod handlers;

use crate::{
    auth::Keys,
    connection::{BodyFailure, Connection, Patience},
    http::answer,
    page,
    settings::Settings,
};
use access::Begun;
use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, header},
};
use body::ResponseBody;
pub use body::{Allowance, RequestBody};
pub use handlers::Handlers;
use hyper::body::Incoming;
use std::sync::Arc;
use tonic::Status;

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.
    Http,
    /// gRPC, over HTTP/2.
    Grpc,
}

/// Paths that need no key, with those of the page: whether the server is there and ready.
const OPEN_PATHS: [&str; 7] = [
    "/v2/health/live",
    "/v2/health/ready",
    "/ping",
    "/health",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
    "/grpc.health.v1.Health/Check",
];
/// Ends the path of a request whose body and answer are streams of records, of any length.
const RECORDS: &str = "/records";
/// Methods of gRPC whose client may be silent for as long as it wants.
const STREAMS: [&str; 3] = ["/ModelStreamInfer", "/ServerReflectionInfo", "/Watch"];
/// Bytes that gRPC puts around a message, and some more: what is read of a body beyond `serve.max_body_bytes`.
const GRPC_FRAMING: u64 = 1 << 10;

/// The handlers of a listener, and what all of its requests share.
pub struct Front {
    handlers: Handlers,
    protocol: Protocol,
    /// None: whoever reaches the server may send requests.
    keys: Option<Arc<Keys>>,
    max_body_bytes: u64,
    patience: Patience,
    pub max_header_bytes: usize,
    pub max_headers: usize,
}

impl Front {
    /// Requests go to `handlers`, if they bring one of `keys`.
    pub fn new(handlers: Handlers, protocol: Protocol, keys: Option<Arc<Keys>>, settings: &Settings) -> Self {
        Self {
            handlers,
            protocol,
            keys,
            max_body_bytes: settings.max_body_bytes as u64,
            patience: settings.patience(),
            max_header_bytes: settings.max_header_bytes,
            max_headers: settings.max_headers,
        }
    }

    /// Answers a request.
    pub async fn answer(&self, connection: Arc<Connection>, request: Request<Incoming>) -> Response<ResponseBody> {
        connection.begin_request();
        let begun = Begun::new(&request);
        let (mut response, key) = match self.admit(&request) {
            Ok(key) => (self.route(&connection, request, &begun).await, key),
            Err(refusal) => (*refusal, None),
        };
        let entry = begun.answered(&mut response, &connection, self.protocol.name(), key);
        response.map(|body| ResponseBody::new(body, connection, entry))
    }

    /// The name of the request's key, if it needs one; or the answer to a request that gets no further.
    fn admit(&self, request: &Request<Incoming>) -> Result<Option<Arc<str>>, Box<Response<Body>>> {
        let path = request.uri().path();
        let key = match &self.keys {
            Some(keys) if !is_open(path) => Some(keys.check(request.headers()).ok_or_else(|| self.unauthorized())?),
            _ => None,
        };
        let length =
            request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let is_large = length.is_some_and(|length: u64| length > self.max_body_bytes) && !path.ends_with(RECORDS);
        if is_large { Err(Box::new(self.too_large())) } else { Ok(key) }
    }

    async fn route(&self, connection: &Arc<Connection>, request: Request<Incoming>, begun: &Begun) -> Response<Body> {
        let allowance = self.allowance(request.uri().path());
        let body = |body| RequestBody::new(body, Arc::clone(connection), allowance, begun.read.clone());
        let response = self.handlers.answer(request.map(body)).await;
        // In gRPC the service that reads the body says so itself.
        match connection.body_failure().filter(|_| self.protocol == Protocol::Http) {
            None => response,
            Some(BodyFailure::Large) => self.too_large(),
            Some(BodyFailure::Slow) => {
                answer::error(StatusCode::REQUEST_TIMEOUT, "the request's body did not come in time")
            }
        }
    }

    fn allowance(&self, path: &str) -> Allowance {
        match self.protocol {
            Protocol::Http if path.ends_with(RECORDS) => Allowance::stream(&self.patience),
            Protocol::Http => Allowance::of_bytes(self.max_body_bytes, &self.patience),
            Protocol::Grpc if STREAMS.iter().any(|stream| path.ends_with(stream)) => Allowance::unlimited(),
            Protocol::Grpc => Allowance::of_bytes(self.max_body_bytes.saturating_add(GRPC_FRAMING), &self.patience),
        }
    }

    fn unauthorized(&self) -> Box<Response<Body>> {
        const MESSAGE: &str = "an API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY";
        if self.protocol == Protocol::Grpc {
            return Box::new(Status::unauthenticated(MESSAGE).into_http());
        }
        let mut response = answer::error(StatusCode::UNAUTHORIZED, MESSAGE);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Box::new(response)
    }

    fn too_large(&self) -> Response<Body> {
        let most = self.max_body_bytes;
        let message = format!("the body has more than {most} bytes (the setting serve.max_body_bytes)");
        match self.protocol {
            Protocol::Http => answer::error(StatusCode::PAYLOAD_TOO_LARGE, &message),
            Protocol::Grpc => Status::resource_exhausted(message).into_http(),
        }
    }
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
        }
    }
}

fn is_open(path: &str) -> bool {
    OPEN_PATHS.contains(&path) || page::is_public(path)
}
