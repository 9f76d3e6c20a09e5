//! Compression of answers: as the request's.
//!
//! Clients name in every request the encodings that they can read, and a server that took this for a wish would compress
//! every tensor. Triton's compresses none. Here an answer is compressed as its request is.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};
use tonic::{
    body::Body,
    codegen::{Service, http},
    server::NamedService,
};

/// How a message is compressed, and which encodings its sender reads.
const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// A service whose answers are compressed as the requests are.
#[derive(Debug, Clone)]
pub struct AsRequested<S>(S);

impl<S> AsRequested<S> {
    /// Wraps a service that compresses as `grpc-accept-encoding` says.
    pub fn new(service: S) -> Self {
        Self(service)
    }
}

impl<S: NamedService> NamedService for AsRequested<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for AsRequested<S>
where
    S: Service<http::Request<Body>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> S::Future {
        let headers = request.headers_mut();
        match headers.get(ENCODING).cloned() {
            Some(encoding) => headers.insert(ACCEPT_ENCODING, encoding),
            None => headers.remove(ACCEPT_ENCODING),
        };
        self.0.call(request)
    }
}
