//! What can fail, as types. Each displays as one line.

use cudarc::driver::{DriverError, sys::CUresult};

/// Why a training step cannot be computed on a GPU.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver, or the compiler of kernels.
    #[error(transparent)]
    Cuda(#[from] cuda::Error),
    /// An allocation that the GPU's memory has no room for.
    #[error(
        "the GPU's memory has no room for another {} of {what}; lower trainer.batch_size",
        mebibytes(*.bytes)
    )]
    OutOfMemory {
        /// What it is for: `activations`.
        what: &'static str,
        /// Bytes that were asked for.
        bytes: usize,
    },
    /// Rows that the GPU's memory has no room for.
    #[error("the GPU's memory has no room for the {} of the rows; read them batch by batch instead", mebibytes(*.bytes))]
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

fn mebibytes(bytes: usize) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_says_what_to_lower() {
        let refused = DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        let error = Error::of_allocation(refused, "activations", (5 << 30) + 1).to_string();
        assert_eq!(error, "the GPU's memory has no room for another 5121 MiB of activations; lower trainer.batch_size");
    }
}
