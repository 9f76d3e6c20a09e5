//! The numeric inner loops of the tools, on slices: no files, no configuration, no tensors of a framework.
//!
//! `entropy` and `relu` run their rows here, `nets` and `candle-ops` their layers, `optim` its updates. Loops run on the
//! threads of `parallel`; buffers belong to the caller.
//!
//! | module | computes | tensors |
//! |---|---|---|
//! | [`entropy_rows`] | Shannon entropy of probability vectors | `[rows, width]` to `[rows]`, in nats, bits or digits |
//! | [`leaky_relu`], [`gelu`] | activations, in place | any |
//! | [`Activation`], [`Epilogue`] | what follows a product, fused; derivatives | any |
//! | [`conv`] | 2D convolutions and their gradients | NHWC activations, OIHW weights |
//! | [`norm`] | batch normalization, fused with residual and ReLU | `[pixels, channels]` |
//! | [`pool`] | max and average pooling | NHWC |
//! | [`int8`] | products and convolutions of quantized operands, exact int32 sums | NHWC uint8 or int8 activations, OIHW int8 weights |
//! | [`linear`] | fully connected layers and their gradients | activations in blocks of 64 rows, `[outputs, inputs]` weights |
//! | [`gemm`] | matrix products, column sums | `[rows, columns]`, row-major or transposed |
//! | [`update`] | optimizer steps | flat slices |
//! | [`peak`] | limits of a core: multiply-adds, reads | |
//! | [`layout`] | NCHW to NHWC and back | `[images, channels, pixels]` |
//!
//! Every fast loop has a plain reference in its tests. Loops are compiled for several instruction sets, of which one is
//! chosen at run time ([`Isa`]). The same input gives the same bits on all of them: each element is accumulated in one order,
//! and a multiplication and an addition are fused on every instruction set or on none.
//!
//! ```
//! use kernels::{Base, EntropyOptions, entropy_rows};
//!
//! let options = EntropyOptions { base: Base::Two, normalize: false, tolerance: 1e-4 };
//! let mut bits = [0.0; 2];
//! entropy_rows(&[0.5, 0.5, 0.0, 0.25, 0.25, 0.5], 3, &options, &mut bits)?;
//! assert_eq!(bits, [1.0, 1.5]);
//! # Ok::<(), kernels::RowError>(())
//! ```
//!
//! A convolution is planned once; then each step packs the weights and computes in buffers of the caller:
//!
//! ```
//! use kernels::{
//!     Operand,
//!     conv::{Conv, ConvShape},
//! };
//!
//! let shape = ConvShape { images: 1, height: 4, width: 4, inputs: 1, outputs: 1, kernel: 3, stride: 1, padding: 1 };
//! let conv = Conv::new(shape)?;
//! let mut packed = vec![0.0; conv.packed_forward_len()];
//! let mut workspace = vec![0.0; conv.workspace_len(rayon::current_num_threads())];
//! let (input, weight, mut output) = ([1.0; 16], [1.0; 9], [0.0; 16]);
//! conv.pack_forward(&weight, &mut packed);
//! conv.forward(Operand::Plain(&input), &packed, &mut output, &mut workspace);
//! // A corner sees four pixels, an edge six, the inside nine.
//! assert_eq!(output[..8], [4.0, 6.0, 6.0, 4.0, 6.0, 9.0, 9.0, 6.0]);
//! # Ok::<(), kernels::conv::ConvShapeError>(())
//! ```

pub mod conv;
pub mod gemm;
pub mod int8;
pub mod layout;
pub mod linear;
pub mod norm;
pub mod peak;
pub mod pool;
pub mod update;

mod derivative;
mod entropy;
mod epilogue;
mod gelu;
mod half;
mod isa;
mod lanes;
mod logarithm;
mod operand;
mod real;
mod relu;
mod sum;
mod vector;
mod windows;

pub use entropy::{
    Base, EntropyOptions, LogarithmTables, RowChecks, RowError, RowErrorKind, entropy_reference, entropy_rows,
    entropy_rows_on,
};
pub use epilogue::{Activation, Epilogue};
pub use gelu::{gelu, gelu_backward};
pub use half::{half_to_float, round_to_half};
pub use isa::{ISA_VARIABLE, Isa, IsaError, isa};
pub use operand::{NormGradInput, Normalized, Operand};
pub use real::Real;
pub use relu::{leaky_relu, leaky_relu_on};
pub use windows::Windows;
