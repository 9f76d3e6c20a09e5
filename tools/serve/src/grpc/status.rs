//! Errors as gRPC's status codes, which Triton's clients know.

use crate::error::Error;
use tonic::{Code, Status};

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Invalid(_) => Code::InvalidArgument,
            Error::TooLarge { .. } => Code::ResourceExhausted,
            Error::NotFound(_) => Code::NotFound,
            // Triton's code for a full queue too: clients try again.
            Error::Unavailable(_) | Error::Overloaded { .. } => Code::Unavailable,
            Error::Timeout { .. } => Code::DeadlineExceeded,
            Error::Unsupported(_) => Code::Unimplemented,
            Error::Internal(_) => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}
