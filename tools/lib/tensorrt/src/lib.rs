//! TensorRT: ONNX graphs in, serialized engines out; and engines run on a GPU.
//!
//! A narrow interface over `trtx`, which calls itself experimental: no type of it is in a signature here. In the pipe:
//! only `trt-run` links this library; `trt-build` and `runtime` talk to that process (`trt-protocol`). TensorRT-RTX comes
//! from PyPI's `tensorrt-rtx-cu13-libs` and is loaded at run time; it builds engines without a GPU. With the feature
//! `enterprise`, TensorRT 11 takes its place, which is not on PyPI and builds on the target's GPU only.
//!
//! | step | where |
//! |---|---|
//! | find and load the library | [`Library::load`] |
//! | ONNX → engine, and its layers | [`build`] |
//! | engine → outputs | [`Engine`] |
//!
//! Networks are strongly typed: each tensor has the type that the ONNX graph gives it, so precision is chosen by what wrote
//! the graph (`export.precision`).

mod build;
mod device;
mod engine;
mod error;
mod library;
mod listing;
mod log;
mod reason;

pub use build::build;
pub use engine::{Engine, Outputs};
pub use error::{Error, Result};
pub use library::Library;
pub use log::Log;
