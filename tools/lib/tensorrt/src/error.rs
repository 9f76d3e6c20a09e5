//! What can fail, as types.

use std::path::PathBuf;
use trt_protocol::{Failure, FailureKind, arrays::ArrayError};

/// What to do about the library.
#[cfg(not(feature = "enterprise"))]
fn install() -> String {
    let install = dylib::pip_install(dylib::TENSORRT_RTX_PACKAGE);
    format!("install it ({install}) or name libtensorrt_rtx.so.1 with TENSORRT_DYLIB_PATH")
}
#[cfg(feature = "enterprise")]
fn install() -> String {
    "install TensorRT 11 and name libnvinfer.so with TENSORRT_DYLIB_PATH".to_owned()
}
/// The same, where a request names it: `trt-build` takes that from its settings.
const CORRECT: &str = "correct trt.library, or leave it out to search for the library";

/// What can go wrong with TensorRT. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library is in none of the places that are searched, or may not be loaded from there.
    #[error("TensorRT's library is missing{missing}; {}", install(), missing = .0)]
    NoLibrary(#[from] dylib::Missing),
    /// The library cannot be loaded.
    #[error("TensorRT's library is missing ({}: {reason}); {}", path.display(), hint(*is_named))]
    Library {
        /// The library.
        path: PathBuf,
        /// Whether the request names it.
        is_named: bool,
        /// What the system says.
        reason: String,
    },
    /// A library of another version than this program was built for.
    #[error("{}: TensorRT {found}, expected {expected}; {}", path.display(), hint(*is_named))]
    Version {
        /// The library.
        path: PathBuf,
        /// Whether the request names it.
        is_named: bool,
        /// Its version.
        found: String,
        /// `1.7`.
        expected: String,
    },
    /// TensorRT refuses the model.
    #[error("{0}")]
    Model(String),
    /// What TensorRT says of an engine's layers is not in the form that this program reads.
    #[error("TensorRT {version} lists layers in another form than is read here: {line:?}")]
    Listing {
        /// Version of the library.
        version: String,
        /// The first line that is not understood.
        line: String,
    },
    /// TensorRT refuses the engine, or its inputs.
    #[error("{0}")]
    Engine(String),
    /// The data of a run does not fit the engine.
    #[error(transparent)]
    Arrays(#[from] ArrayError),
    /// No driver, no GPU, or one that refuses.
    #[error("{0}")]
    Device(String),
    /// A value of the request that TensorRT has no use for.
    #[error("{0}")]
    Request(String),
}

fn hint(is_named: bool) -> String {
    if is_named { CORRECT.to_owned() } else { install() }
}

/// What this library's fallible functions return.
pub type Result<T> = std::result::Result<T, Error>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::NoLibrary(_) | Error::Library { .. } | Error::Version { .. } | Error::Listing { .. } => {
                FailureKind::Library
            }
            Error::Model(_) => FailureKind::Model,
            Error::Engine(_) | Error::Arrays(_) => FailureKind::Engine,
            Error::Device(_) => FailureKind::Device,
            Error::Request(_) => FailureKind::Request,
        };
        Self { kind, message: error.to_string() }
    }
}
