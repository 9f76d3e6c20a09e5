//! What can fail, as types. Each displays as one line.

use cudarc::driver::{DriverError, sys::CUresult};
use std::path::PathBuf;

/// Why a training step cannot be computed on a GPU.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver, or the compiler of kernels.
    #[error(transparent)]
    Cuda(#[from] cuda::Error),
    /// A library is in none of the places that are searched, or may not be loaded from there.
    #[error(
        "{name}, which training on a GPU needs, is missing{missing}; install it ({}) or name it with {}, or choose the device cpu",
        dylib::pip_install(dylib::TRAINING_PACKAGES),
        search.variable
    )]
    NoLibrary {
        /// `cuDNN`
        name: &'static str,
        /// Where it was searched.
        search: dylib::Search<'static>,
        /// What was found, and why it is not loaded.
        missing: dylib::Missing,
    },
    /// A library cannot be loaded, or is another.
    #[error("{name}, which training on a GPU needs, is missing ({}: {reason}); correct {variable}, or choose the device cpu", path.display())]
    Library {
        /// `cuDNN`
        name: &'static str,
        /// The library.
        path: PathBuf,
        /// The environment variable that names it.
        variable: &'static str,
        /// What the system says, in one line.
        reason: String,
    },
    /// A library refuses a call.
    #[error("{library}: {function} failed with status {status}")]
    Refused {
        /// `cuDNN`
        library: &'static str,
        /// Of the library.
        function: &'static str,
        /// As its header numbers them.
        status: i32,
    },
    /// cuDNN has no deterministic algorithm for a convolution.
    #[error(
        "cuDNN has no deterministic algorithm for this convolution; choose another trainer.precision, or the device cpu"
    )]
    NoAlgorithm,
    /// A size that the libraries' calls cannot have.
    #[error("an array with a side of {size} elements, and 2147483647 is the most; lower trainer.batch_size")]
    TooLarge {
        /// Elements.
        size: usize,
    },
    /// An operation failed.
    #[error("{node}: {error}")]
    Node {
        /// The name of the graph's node.
        node: String,
        /// Why.
        error: Box<Error>,
    },
    /// An allocation that the GPU's memory has no room for.
    #[error(
        "the GPU's memory has no room for another {} of {what}; lower trainer.batch_size, make the network smaller, or choose the \
         device cpu",
        size(*.bytes)
    )]
    OutOfMemory {
        /// What it is for: `activations`.
        what: &'static str,
        /// Bytes that were asked for.
        bytes: usize,
    },
    /// Rows that the GPU's memory has no room for.
    #[error("the GPU's memory has no room for the {} of the rows; read them batch by batch instead", size(*.bytes))]
    DatasetMemory {
        /// Bytes of the rows.
        bytes: usize,
    },
    /// Optimizer state that does not fit the optimizer.
    #[error(transparent)]
    Optimizer(#[from] optim::Error),
}

/// What this library's fallible functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<DriverError> for Error {
    fn from(error: DriverError) -> Self {
        Self::Cuda(error.into())
    }
}

impl Error {
    /// The driver's refusal of an allocation of `bytes` bytes of `what`.
    pub(crate) fn of_allocation(error: DriverError, what: &'static str, bytes: usize) -> Self {
        match error.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => Self::OutOfMemory { what, bytes },
            _ => error.into(),
        }
    }
}

/// For `nets::Engine`.
impl From<Error> for nets::Error {
    fn from(error: Error) -> Self {
        Self::Backend(Box::new(error))
    }
}

fn size(bytes: usize) -> String {
    if bytes < 1 << 20 {
        format!("{} KiB", bytes.div_ceil(1 << 10))
    } else {
        format!("{} MiB", bytes.div_ceil(1 << 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_missing_is_installed_with_the_others() {
        let missing = dylib::Missing { refused: Vec::new() };
        let error = Error::NoLibrary { name: "cuBLAS", search: dylib::CUBLAS, missing }.to_string();
        let install =
            dylib::pip_install("'nvidia-cuda-nvrtc==13.0.*' 'nvidia-cublas==13.0.*' 'nvidia-cudnn-cu13==9.*'");
        let expected = format!(
            "cuBLAS, which training on a GPU needs, is missing; install it ({install}) or name it with CUBLAS_DYLIB_PATH, or \
             choose the device cpu"
        );
        assert_eq!(error, expected);
    }

    #[test]
    fn a_full_memory_says_what_to_lower() {
        let refused = DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        let error = Error::of_allocation(refused, "activations", (5 << 30) + 1).to_string();
        assert_eq!(
            error,
            "the GPU's memory has no room for another 5121 MiB of activations; lower trainer.batch_size, make the network smaller, or choose the device cpu"
        );
    }
}
