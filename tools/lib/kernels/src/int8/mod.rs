//! Matrix products and convolutions of quantized operands: uint8 or int8 activations, int8 weights, exact int32 sums.
//!
//! `real = scale · (integer − zero point)`, as in ONNX. Zero points of weights are 0. A sum is
//! `Σ (input − zero point) · weight + bias`, exact in int32: [`QuantizedWeights::new`] refuses weights with which it might not fit
//! (without a bias, 65 793 terms always do). What follows is float32, in this order, each operation rounded once:
//!
//! ```text
//! x = float32(sum) · scale[column]        rounded to nearest even
//! x = x + bias[column]                    if there is one that no int32 holds
//! x = x + residual                        if there is one
//! x = activation(x)
//! integer = clamp(round(x / output scale), half to even) + zero point
//! ```
//!
//! Where nothing lies between, `scale[column]` is divided by the output's scale ahead, in float32, as ONNX Runtime's `QLinearConv`
//! does; an activation of bounds alone then bounds the integers. So bits depend on neither instruction set, nor threads, nor
//! batch.

mod depthwise;
mod dot;
mod elementwise;
mod pack;
mod requantize;
mod run;
#[cfg(test)]
mod tests;

pub use depthwise::{DepthwiseWeights, QuantizedDepthwise};
pub use elementwise::{Table, add, dequantize, global_average, max_pool, quantize};
pub use pack::QuantizedWeights;
pub use requantize::{Affine, Requantization};
pub use run::QuantizedConv;
