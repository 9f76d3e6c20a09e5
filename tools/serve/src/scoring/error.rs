//! Errors in MLflow's form.

use crate::error::Error as ServeError;
use open_inference::http::RequestError;

/// Why there are no predictions.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not what the protocol has.
    #[error("Invalid input. {0}")]
    Malformed(String),
    /// The data is not what the model takes.
    #[error("{0}")]
    Misfit(String),
    /// The body is of a type that the server does not take.
    #[error("{0}")]
    ContentType(String),
    /// What can go wrong in every protocol.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// What this module's fallible functions return.
pub type Result<T> = std::result::Result<T, Error>;

impl From<Box<RequestError>> for Error {
    fn from(error: Box<RequestError>) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<records::Error> for Error {
    fn from(error: records::Error) -> Self {
        Self::Misfit(error.to_string())
    }
}

impl From<prediction::Error> for Error {
    fn from(error: prediction::Error) -> Self {
        Self::Misfit(error.to_string())
    }
}
