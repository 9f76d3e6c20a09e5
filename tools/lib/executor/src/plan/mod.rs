//! Plans: a graph for inputs of known shapes, as steps over buffers that are assigned ahead.
//!
//! [`Network::plan`] infers the type of every value ([`onnx::shape`]), fuses nodes into steps ([`build`]: a product takes its
//! bias, a residual and the activation as its epilogue), chooses the layout of each image (NHWC where convolutions and
//! pooling compute it, NCHW where other nodes read it), and assigns buffers by lifetime ([`assign`]). A run does none of it,
//! and allocates nothing but what plain operators return: steps that have no fast version run those.

mod assign;
mod build;
mod chain;
mod check;
mod conv;
mod elementwise;
mod linear;
mod network;
mod perceptron;
mod pool;
mod quantized;
mod run;
mod step;
mod values;
mod windowed;
mod windows;

pub(crate) use check::check_inputs;
pub(crate) use network::Network;
pub(crate) use run::{Memory, Plan};
