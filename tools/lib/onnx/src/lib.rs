//! ONNX graphs: built, written and read.
//!
//! [`proto`] is the format itself, generated from `proto/onnx.proto` of the ONNX project
//! (Apache-2.0), as released with ONNX 1.23. [`GraphBuilder`] is how graphs are put together here.

mod builder;

pub use builder::{Attribute, GraphBuilder, ModelInfo};

/// The messages of the ONNX format.
#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}
