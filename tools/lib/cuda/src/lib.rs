//! Computing on an NVIDIA GPU: which one ([`Device`]), and the kernels of `entropy` and `relu` on it ([`Gpu`]).
//!
//! In the pipe: `entropy` and `relu` run their batches here where the setting `device` chooses a GPU; `infer`, `serve`,
//! `export` and `train` read the same setting. Nothing of CUDA is linked: the driver (libcuda) and the compiler of kernels
//! (NVRTC, of PyPI's `nvidia-cuda-nvrtc`) are loaded when a GPU is first asked for.
//!
//! The kernels are one text, `kernels/*.cu`, which NVRTC compiles at first use for the GPU at hand; the result is kept in
//! the user's cache folder. The same text compiles as C++ (`kernels/shim.h`): tests compare it with the kernels of `kernels`,
//! bit for bit. `docs/gpu.md` says what has not run on a GPU.
//!
//! | module | does |
//! |---|---|
//! | [`Device`] | the setting: `auto`, `cpu`, `cuda:N` |
//! | [`Gpu`] | the driver, a GPU, its kernels |
//! | [`Pipeline`] | batches through pinned buffers, two at a time |
//! | [`source`] | the text of the kernels, and how a call is divided into blocks |
//! | [`nvrtc`] | the compiler of kernels |
//!
//! ```
//! let device: cuda::Device = "cuda:1".parse()?;
//! assert_eq!(device, cuda::Device::Cuda(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod nvrtc;
pub mod source;

mod cache;
mod device;
mod driver;
mod error;
mod gpu;
mod pipeline;

pub use device::{Device, InvalidDevice};
pub use {
    cache::Cache,
    driver::{count, open},
    error::{Error, Result},
    gpu::{Gpu, Kernel, Number, call, load},
    pipeline::{BATCH_BYTES, DEPTH, Pipeline, Rows},
};
