//! The kernels as differentiable operations on candle's tensors, for candle programs of one's own.
//!
//! The tools do not use this crate: `nets` has its own executor over `kernels`. Here [`conv2d`], [`batch_norm`],
//! [`max_pool2d`], [`avg_pool2d`] and [`gelu`] take and return tensors through which `backward` reaches every `Var`; any
//! optimizer works. [`Conv2d`] and [`BatchNorm`] are drop-in replacements for candle-nn's layers, with the same parameters.
//! `examples/candle_ops.rs` trains a network.
//!
//! | operation | input | parameters | output |
//! |---|---|---|---|
//! | [`conv2d`] | `[rows, inputs, height, width]` | `[outputs, inputs / groups, kernel, kernel]` | `[rows, outputs, height', width']` |
//! | [`batch_norm`], [`batch_norm_relu`] | `[rows, channels, …]` | `[channels]`, twice | as the input |
//! | [`max_pool2d`], [`avg_pool2d`] | `[rows, channels, height, width]` | | `[rows, channels, height / size, width / size]` |
//! | [`gelu`] | any | | as the input |
//!
//! - Any strides in, row-major out. The kernels compute in NHWC, so each operation transposes its input and its output;
//!   a permuted view of `[rows, height, width, channels]` is read in place.
//! - The kernels compute f32 on the CPU. Anything else (another type or device; for convolutions groups, dilation, a
//!   kernel that is not square, or padding not smaller than the kernel) runs candle's own operation where that has the
//!   same meaning and right gradients, and is an error elsewhere. Each function says which.
//! - Each call plans its kernels and allocates their buffers; its backward pass reuses the plan. `nets` plans a whole
//!   network once, keeps activations in NHWC and fuses more: it is faster.
//! - A convolution computes no gradient for a tensor that does not depend on a `Var`, such as a batch of images. Second
//!   derivatives are not supported: to candle, the gradients that they return are constants.
//! - Shapes that do not match are errors. Results are the same bytes for any number of threads.
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//!
//! let x = Tensor::ones((2, 3, 8, 8), candle_core::DType::F32, &Device::Cpu)?;
//! let weight = Var::ones((4, 3, 3, 3), candle_core::DType::F32, &Device::Cpu)?;
//! let y = candle_ops::conv2d(&x, &weight, 1, 1, 1, 1)?;
//! assert_eq!(y.dims(), [2, 4, 8, 8]);
//! let gradients = y.sum_all()?.backward()?;
//! // The middle of the kernel sees every pixel of both images.
//! let middle = gradients.get(&weight).unwrap().get(0)?.get(0)?.get(1)?.get(1)?;
//! assert_eq!(middle.to_scalar::<f32>()?, 128.0);
//! # Ok::<(), candle_core::Error>(())
//! ```

mod conv;
mod gelu;
mod layers;
mod norm;
mod pool;
mod values;

pub use conv::conv2d;
pub use gelu::gelu;
pub use layers::{BatchNorm, Conv2d};
pub use norm::{Normalized, batch_norm, batch_norm_relu};
pub use pool::{avg_pool2d, max_pool2d};
