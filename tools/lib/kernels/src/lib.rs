//! placeholder

pub mod matmul;
pub mod metrics;
pub mod random;
