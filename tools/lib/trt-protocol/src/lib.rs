//! What `trt-run`, the process that TensorRT is loaded in, is asked and answers.
//!
//! TensorRT is one library of a quarter of a gigabyte without source. A graph can crash it, and a crash ends the process that
//! it is loaded in: here that is a child, and what `trt-build` or a server sees is an [`Error`]. In the pipe: `trt-build`
//! and `runtime` (feature `tensorrt`) call [`Process`]; `trt-run` answers with [`frame::read`] and [`frame::write`].
//! Neither caller links TensorRT. [`arrays`] cuts the payload of a run. The frames are described in `docs/design/tensorrt.md`.

pub mod arrays;
mod error;
pub mod frame;
mod process;
mod tail;
mod types;

pub use error::{Error, Failure, FailureKind, Result};
pub use process::{Process, locate};
pub use types::{
    Answer, BuildOptions, Built, COMPUTE_CAPABILITIES, InputProfile, Layer, LoadOptions, Request, TensorInfo,
};

/// Version of the frames and of what is in them; both sides must have the same.
pub const PROTOCOL: u32 = 1;

/// Name of the program.
pub const PROGRAM: &str = "trt-run";
