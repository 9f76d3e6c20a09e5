//! The numeric inner loops, and nothing else: no files, no configuration, no tensors of a framework.
//!
//! Every fast loop has a plain version beside it in its tests. Loops are compiled for several
//! instruction sets and chosen at run time ([`Isa`]); the same input gives the same bits on all, but for
//! products of matrices and convolutions, which fuse multiplications with additions where they can.

pub mod conv;
pub mod layout;
pub mod matmul;
pub mod norm;
pub mod pool;
pub mod update;

mod entropy;
mod gelu;
mod isa;
mod operand;
mod real;
mod relu;
mod sum;

pub use entropy::{Base, EntropyOptions, Problem, RowError, entropy_reference, entropy_rows, entropy_rows_on};
pub use gelu::{gelu, gelu_backward};
pub use isa::{ISA_VARIABLE, Isa, IsaError, isa};
pub use operand::{Normalized, Operand, Propagated};
pub use real::Real;
pub use relu::{leaky_relu, leaky_relu_on};
