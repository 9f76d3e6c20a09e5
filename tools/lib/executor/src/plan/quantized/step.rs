//! Steps on 8-bit integers, and from other types to float32.

use kernels::{
    int8::{self, Affine, QuantizedConv, QuantizedDepthwise, Table},
    pool::WindowPool,
};

/// What a step computes.
#[derive(Debug)]
pub(in crate::plan) enum QuantizedStep {
    /// A convolution or a product; reads integers and, if there is one, a residual of float32.
    Product(Box<QuantizedConv>),
    /// A depthwise convolution; reads as a product does.
    Depthwise(Box<QuantizedDepthwise>),
    /// float32 to integers.
    Quantize(Affine),
    /// Integers to float32.
    Dequantize(Affine),
    /// float16 to float32.
    Widen,
    /// The sum of two, within bounds: affines of both and of the output.
    Add([Affine; 3], [f32; 2]),
    /// A function of each element.
    Table(Table),
    /// Max pooling, NHWC; whether integers are signed.
    MaxPool(WindowPool, bool),
    /// Of so many pixels and channels, NHWC.
    GlobalAverage([Affine; 2], [usize; 2]),
    /// To NHWC of so many channels and pixels.
    ToNhwc(usize, usize),
    /// To NCHW of so many channels and pixels.
    ToNchw(usize, usize),
}

/// The operands of a step.
pub(in crate::plan) trait Operands<'a> {
    /// As they lie in memory.
    fn bytes(&self, index: usize) -> &'a [u8];
    /// Of float32.
    fn floats(&self, index: usize) -> &'a [f32];
}

impl QuantizedStep {
    /// Elements of workspace for so many threads.
    pub fn workspace_len(&self, threads: usize) -> usize {
        match self {
            Self::Product(conv) => conv.workspace_len(threads),
            Self::Depthwise(conv) => conv.workspace_len(threads),
            _ => 0,
        }
    }

    /// About how many multiply-adds of float32 take as long, for an output of so many elements of float32.
    pub fn cost(&self, len: usize) -> usize {
        match self {
            Self::Product(conv) => conv.cost() / 4,
            Self::Depthwise(conv) => conv.cost(),
            _ => len,
        }
    }

    /// Computes `len` elements of the output, in a buffer.
    pub fn run<'a>(&self, operands: &impl Operands<'a>, len: usize, out: &mut [f32], workspace: &mut [f32]) {
        match self {
            Self::Product(conv) if conv.is_float() => {
                return conv.floats(operands.bytes(0), operands.floats(1), &mut out[..len], workspace);
            }
            Self::Depthwise(conv) if conv.is_float() => {
                return conv.floats(operands.bytes(0), operands.floats(1), &mut out[..len], workspace);
            }
            Self::Dequantize(affine) => return int8::dequantize(*affine, operands.bytes(0), &mut out[..len]),
            Self::Widen => return kernels::half_to_float(operands.bytes(0), &mut out[..len]),
            _ => {}
        }
        let out = &mut bytemuck::cast_slice_mut(out)[..len];
        match self {
            Self::Product(conv) => conv.integers(operands.bytes(0), operands.floats(1), out, workspace),
            Self::Depthwise(conv) => conv.integers(operands.bytes(0), operands.floats(1), out, workspace),
            Self::Quantize(affine) => int8::quantize(*affine, operands.floats(0), out),
            Self::Dequantize(_) | Self::Widen => {}
            Self::Add(affines, bounds) => int8::add(*affines, *bounds, operands.bytes(0), operands.bytes(1), out),
            Self::Table(table) => table.run(operands.bytes(0), out),
            Self::MaxPool(pool, signed) => int8::max_pool(pool, *signed, operands.bytes(0), out),
            Self::GlobalAverage(affines, [pixels, channels]) => {
                int8::global_average(*affines, *pixels, *channels, operands.bytes(0), out);
            }
            Self::ToNhwc(channels, pixels) => transpose(operands.bytes(0), out, *channels, *pixels),
            Self::ToNchw(channels, pixels) => transpose(operands.bytes(0), out, *pixels, *channels),
        }
    }
}

/// Each `[rows, columns]` to `[columns, rows]`.
fn transpose(from: &[u8], to: &mut [u8], rows: usize, columns: usize) {
    let len = (rows * columns).max(1);
    parallel::parallel_for(from.chunks_exact(len).zip(to.chunks_exact_mut(len)), |(from, to)| {
        for (column, to) in to.chunks_exact_mut(rows).enumerate() {
            for (row, to) in to.iter_mut().enumerate() {
                *to = from[row * columns + column];
            }
        }
    });
}
