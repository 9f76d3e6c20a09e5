//! What can go wrong with a request, for every protocol.

use open_inference::TensorError;

/// Why a request is not answered with its outputs. Displays as the message that the client gets.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The request is at fault.
    #[error("{0}")]
    Invalid(String),
    /// The body is longer than is read.
    #[error("the body has more than {limit} bytes (the setting serve.max_body_bytes)")]
    TooLarge {
        /// Most bytes.
        limit: usize,
    },
    /// There is no such model or version.
    #[error("{0}")]
    NotFound(String),
    /// The model is there and cannot answer now.
    #[error("{0}")]
    Unavailable(String),
    /// Too many requests wait for the model.
    #[error("model {model:?}: {waiting} requests wait already; try again later")]
    Overloaded {
        /// The model.
        model: String,
        /// Requests in its queue.
        waiting: usize,
    },
    /// The request took longer than it or the server allows.
    #[error("the request timed out after {milliseconds} ms")]
    Timeout {
        /// How long it took.
        milliseconds: u64,
    },
    /// The protocol has it and this server does not.
    #[error("{0}")]
    Unsupported(String),
    /// The server is at fault.
    #[error("{0}")]
    Internal(String),
}

/// What functions that answer a request return.
pub type Result<T> = std::result::Result<T, Error>;

impl From<TensorError> for Error {
    fn from(error: TensorError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<runtime::Error> for Error {
    fn from(error: runtime::Error) -> Self {
        Self::Internal(error.to_string())
    }
}
