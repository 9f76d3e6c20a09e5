//! The kernels as differentiable operations on candle's tensors.
//!
//! [`conv2d`], [`batch_norm`], [`max_pool2d`], [`avg_pool2d`] and [`gelu`] take tensors and give tensors that
//! `backward` follows, into any `Var`, for any optimizer. [`Conv2d`] and [`BatchNorm`] are candle-nn's layers of these
//! names, with the same parameters, on top of them. So a network written for candle trains on a CPU with the kernels of
//! [`Planned`](crate::Planned) and stays candle's: `examples/candle_ops.rs` is one.
//!
//! - Shapes are candle's: activations `[rows, channels, height, width]`, weights `[outputs, inputs, kernel, kernel]`,
//!   any strides in, row-major out. The kernels want channels last, so each operation transposes what it takes and what
//!   it gives. An image that is a view of `[rows, height, width, channels]` is taken as it lies.
//! - Kernels compute f32 on the CPU. What they do not take (another type or device, and for convolutions groups,
//!   dilation, an oblong kernel, padding as wide as the kernel) goes to candle's own operation where that has the same
//!   meaning and right gradients, and is an error elsewhere. Each function says which.
//! - A call plans its kernels and allocates their buffers, and the way back uses that plan. [`Planned`](crate::Planned)
//!   does so once for a whole network, keeps activations in the kernels' order and fuses more: it is the faster engine.
//! - A convolution computes no gradient for what does not depend on a `Var`, such as a batch of images. There are no
//!   second derivatives: gradients are constants to candle.
//! - Shapes that do not fit are errors. The bytes of a result do not depend on the number of threads.
//!
//! [`Autograd`](crate::Autograd) and [`CandleModel`](crate::CandleModel) stay on candle's own operations. They are what
//! the kernels and the exported networks are checked against, and a check by the code that it checks is none.

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
