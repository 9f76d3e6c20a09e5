//! What can go wrong.

/// Why a graph cannot be run. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Operators that the executor does not have; another backend may.
    #[error("operators without a native implementation: {}", .0.join(", "))]
    Unsupported(Vec<String>),
    /// The variable that chooses the instruction set names none that this processor has.
    #[error("{variable}: {0}", variable = kernels::ISA_VARIABLE)]
    InstructionSet(#[from] kernels::IsaError),
    /// The graph or a node of it is faulty, or an input does not fit.
    #[error(transparent)]
    Problem(#[from] onnx::Problem),
    /// A run would need more memory than allowed.
    #[error("values of this shape need {needed} bytes of memory, more than {limit}")]
    Memory {
        /// Bytes.
        needed: u64,
        /// [`Options::memory_bytes`](crate::Options::memory_bytes).
        limit: u64,
    },
}
