//! The training step of a network on an NVIDIA GPU.
//!
//! In the pipe: `train` computes here where `trainer.device` chooses a GPU. Nothing of CUDA is linked: the driver, NVRTC,
//! cuBLAS and cuDNN are loaded when a GPU is first asked for. Convolutions are cuDNN's, matrix products cuBLAS's, all else are
//! kernels of this crate, `kernels/*.cu`, in a program of its own: NVRTC compiles it at first use for the GPU at hand.
//!
//! The same text compiles as C++, and [`source::fake_machine`] has a driver, an NVRTC, a cuBLAS and a cuDNN that are plain
//! loops over the machine's memory: tests run whole training steps without a GPU. `docs/gpu.md` says what has not run on one.
//!
//! | type | does |
//! |---|---|
//! | [`learner::Learner`] | whole steps: parameters, optimizer and moving average stay on the GPU |
//! | [`images::Images`] | the rows of a data set on the GPU, and augmented batches of them |
//! | [`Network`], [`loss::LossKernel`], [`optimizer::Optimizer`] | the parts of a step |
//! | [`GpuEngine`] | gradients for parameters that are on the host: `nets::Engine` |
//! | [`Gpu`] | a GPU, its libraries, and calls of kernels |
//!
//! | array | shape and type |
//! |---|---|
//! | activations and their gradients | NHWC, `[rows, height, width, channels]`, or `[rows, features]`; `f32` or `bf16` ([`Element`]) |
//! | parameters, gradients, running statistics | one buffer of `f32`, in the order of `nets::Layout` |
//! | logits and their gradient | `[rows, outputs]`, `f32` |
//!
//! The same bytes come from the same inputs on the same GPU: sums have a fixed order, nothing adds atomically, and of cuDNN's
//! algorithms only deterministic ones are chosen.

pub mod calls;
mod cublas;
mod cudnn;
mod element;
mod engine;
mod error;
mod gpu;
pub mod images;
pub mod learner;
mod library;
pub mod loss;
mod network;
pub mod optimizer;
pub mod source;
mod staging;

pub use element::{Activations, Element, Precision};
pub use engine::GpuEngine;
pub use error::{Error, Result};
pub use gpu::{Argument, Gpu, Libraries};
pub use network::Network;
