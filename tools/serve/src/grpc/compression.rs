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

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that answers with the encodings that it is asked for.
    #[derive(Clone)]
    struct Accepted;

    impl Service<http::Request<Body>> for Accepted {
        type Response = Option<String>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Option<String>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: http::Request<Body>) -> Self::Future {
            let accepted = request.headers().get(ACCEPT_ENCODING);
            std::future::ready(Ok(accepted.map(|value| value.to_str().expect("text").to_owned())))
        }
    }

    #[test]
    fn an_answer_is_compressed_as_its_request_is() {
        for (encoding, expected) in [(None, None), (Some("gzip"), Some("gzip")), (Some("identity"), Some("identity"))] {
            let mut request = http::Request::new(Body::default());
            request.headers_mut().insert(ACCEPT_ENCODING, http::HeaderValue::from_static("identity,deflate,gzip"));
            if let Some(encoding) = encoding {
                request.headers_mut().insert(ENCODING, http::HeaderValue::from_static(encoding));
            }
            let accepted = AsRequested::new(Accepted).call(request).into_inner().expect("infallible");
            assert_eq!(accepted.as_deref(), expected);
        }
    }
}
