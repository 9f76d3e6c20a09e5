//! What happens to every gRPC request before its handler.

use crate::{
    connection::{Connection, Patience},
    front::{Allowance, RequestBody},
    settings::Settings,
};
use hyper::body::Incoming;
use std::sync::Arc;
use tonic::{
    body::Body,
    codegen::{
        Service,
        http::{Request, Response},
    },
    service::Routes,
};

/// Bytes that a message has around it.
const FRAMING: u64 = 1 << 10;
/// Starts the path of a call of the protocol; others are of health and reflection.
const INFERENCE: &str = "/inference.GRPCInferenceService/";
/// The call whose request is a stream.
const STREAM: &str = "ModelStreamInfer";

/// The services, and what all requests share.
pub struct Front {
    routes: Routes,
    max_body_bytes: u64,
    patience: Patience,
    pub max_header_bytes: u32,
}

impl Front {
    /// Requests go to `routes`.
    pub fn new(routes: Routes, settings: &Settings) -> Self {
        Self {
            routes: routes.prepare(),
            max_body_bytes: settings.max_body_bytes as u64 + FRAMING,
            patience: settings.patience(),
            max_header_bytes: u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX),
        }
    }

    /// Answers a request.
    pub async fn answer(&self, connection: Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
        let call = request.uri().path().strip_prefix(INFERENCE);
        // A stream may pause, and each of its messages has a limit of its own.
        let request = match call.is_some_and(|call| call != STREAM) {
            true => {
                let allowance = Allowance::of_bytes(self.max_body_bytes, &self.patience);
                request.map(|body| Body::new(RequestBody::new(body, connection, allowance)))
            }
            false => request.map(Body::new),
        };
        let Ok(response) = self.routes.clone().call(request).await;
        response
    }
}
