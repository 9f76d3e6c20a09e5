//! Errors as HTTP responses: `{"error": …}` and Triton's status codes.

use crate::error::Error;
use axum::{
    Extension,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use open_inference::http::write_error;

/// Seconds after which a client that was refused may try again.
const RETRY_AFTER: &str = "1";

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Unavailable(_) | Self::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut response = error(status, &self.to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER));
        }
        response
    }
}

/// The message of an error's response, for the log.
#[derive(Clone)]
pub struct Message(pub String);

/// A response with a message.
pub fn error(status: StatusCode, message: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, Extension(Message(message.to_owned())), write_error(message)).into_response()
}

/// For a path that is none of the protocol's.
pub async fn not_found(uri: Uri) -> Response {
    error(StatusCode::NOT_FOUND, &format!("no resource at {}", uri.path()))
}

/// For a path of the protocol's with another method.
pub async fn method_not_allowed() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}
