//! What happens to every HTTP request before and after its handler.

mod body;

use crate::{
    connection::{BodyFailure, Connection, Patience},
    http::answer,
    lifecycle::Lifecycle,
    settings::Settings,
};
use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use body::ResponseBody;
pub use body::{Allowance, RequestBody};
use hyper::body::Incoming;
use std::sync::Arc;
use tower::Service;

/// Paths that say whether the server takes requests: not while it drains.
const READINESS: [&str; 3] = ["/v2/health/ready", "/ping", "/health"];
/// Ends the path of a request whose body and answer are streams of records, of any length.
const STREAM: &str = "/records";

/// The handlers of a listener, and what all of its requests share.
pub struct Front {
    router: Router,
    lifecycle: Lifecycle,
    max_body_bytes: u64,
    patience: Patience,
    pub max_header_bytes: usize,
    pub max_headers: usize,
}

impl Front {
    /// Requests go to `router`.
    pub fn new(router: Router, settings: &Settings, lifecycle: Lifecycle) -> Self {
        Self {
            router,
            lifecycle,
            max_body_bytes: settings.max_body_bytes as u64,
            patience: settings.patience(),
            max_header_bytes: settings.max_header_bytes,
            max_headers: settings.max_headers,
        }
    }

    /// Answers a request.
    pub async fn answer(&self, connection: Arc<Connection>, request: Request<Incoming>) -> Response<ResponseBody> {
        connection.begin_request();
        let response = match self.refusal(&request) {
            Some(response) => response,
            None => self.route(&connection, request).await,
        };
        response.map(|body| ResponseBody::new(body, connection))
    }

    /// The answer to a request that gets no further.
    fn refusal(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let path = request.uri().path();
        if READINESS.contains(&path) && self.lifecycle.is_draining() {
            return Some(answer::error(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down"));
        }
        let length =
            request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let is_large = length.is_some_and(|length: u64| length > self.max_body_bytes) && !path.ends_with(STREAM);
        is_large.then(|| self.too_large())
    }

    async fn route(&self, connection: &Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
        let allowance = match request.uri().path().ends_with(STREAM) {
            true => Allowance::stream(&self.patience),
            false => Allowance::of_bytes(self.max_body_bytes, &self.patience),
        };
        let request = request.map(|body| RequestBody::new(body, Arc::clone(connection), allowance));
        let Ok(response) = self.router.clone().call(request).await;
        match connection.body_failure() {
            None => response,
            Some(BodyFailure::Large) => self.too_large(),
            Some(BodyFailure::Slow) => {
                answer::error(StatusCode::REQUEST_TIMEOUT, "the request's body did not come in time")
            }
        }
    }

    fn too_large(&self) -> Response<Body> {
        let most = self.max_body_bytes;
        let message = format!("the request's body is larger than {most} bytes (the setting serve.max_body_bytes)");
        answer::error(StatusCode::PAYLOAD_TOO_LARGE, &message)
    }
}
