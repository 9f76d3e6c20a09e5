//! placeholder

pub mod matmul;
pub mod random;
