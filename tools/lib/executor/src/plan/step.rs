//! Steps of a plan.

use super::{perceptron::Perceptron, quantized::QuantizedStep};
use crate::{Tensor, ops::Operator};
use kernels::{
    Activation, Epilogue,
    conv::{DepthwiseConv, FusedConv, GatheredConv},
    gemm::FusedLinear,
    layout,
    pool::WindowPool,
};
use onnx::Node;
use std::sync::Arc;

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// An input of the graph.
    Input(usize),
    /// A buffer, of float32 elements, which may stand for float16, or, four in the place of each, of 8-bit integers.
    Buffer(usize),
    /// A constant of the plan.
    Constant(usize),
    /// What a plain operator returned.
    Tensor(usize),
}

/// A step: what it computes, from what, to where.
#[derive(Debug)]
pub(super) struct Step {
    pub kind: Kind,
    /// Operands, in the kind's order.
    pub reads: Vec<Source>,
    /// Elements of each operand, of its own type.
    pub lens: Vec<usize>,
    /// The buffer that is written, and how many float32 elements of it; none for a plain operator.
    pub write: Option<(usize, usize)>,
    /// The tensors that no later step reads.
    pub frees: Vec<usize>,
}

/// What a step computes.
#[derive(Debug)]
pub(super) enum Kind {
    /// A fully connected layer; reads input and, if there is one, residual.
    Linear(Arc<FusedLinear>, Activation),
    /// Several of them, without residuals.
    Perceptron(Perceptron),
    /// A convolution; reads input and, if there is one, residual. NHWC.
    Conv(Box<FusedConv>, Arc<ConvWeights>, Activation),
    /// A convolution of each channel by itself; reads input and, if there is one, residual. NHWC.
    Depthwise(Box<DepthwiseConv>, Arc<ConvWeights>, Activation),
    /// A convolution of any windows and groups; reads input and, if there is one, residual. NHWC.
    Gathered(Box<GatheredConv>),
    /// Max pooling. NHWC.
    MaxPool(WindowPool),
    /// Average pooling, and whether padding counts. NHWC.
    AveragePool(WindowPool, bool),
    /// A function of each element.
    Unary(Activation),
    /// Adds a bias to each row, or none, rounds to float16, and applies bounds.
    Half(Vec<f32>, Activation),
    /// A function of the elements of two tensors of the same shape.
    Binary(Arithmetic),
    /// A function of the elements of a tensor and of one row, or one a group of rows: elements of a row, rows of a group. The rows of a
    /// scalar have one element.
    Broadcast(Arithmetic, usize, usize),
    /// Rows that are joined: the elements of each operand's rows.
    Concat(Vec<usize>),
    /// To NHWC of so many channels and pixels.
    ToNhwc(usize, usize),
    /// To NCHW of so many channels and pixels.
    ToNchw(usize, usize),
    /// Of 8-bit integers, and how many elements it computes.
    Quantized(QuantizedStep, usize),
    /// A node that runs on its plain operator.
    Plain(Box<Plain>),
    /// A tensor of its operand's elements, for an output that no step computes.
    Keep(usize, Shape),
}

/// Packed weights and padded bias of a convolution.
#[derive(Debug)]
pub(super) struct ConvWeights {
    pub packed: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Element type and shape.
pub(super) type Shape = (onnx::DataType, Vec<usize>);

/// A call of a plain operator.
#[derive(Debug)]
pub(super) struct Plain {
    pub node: Node,
    pub operator: Operator,
    pub opset: i64,
    /// For each input of the node: which operand of the step it is, and its type as far as it is known; none where it is left out.
    pub inputs: Vec<Option<(usize, Option<Shape>)>>,
    /// For each output of the node: which tensor it becomes, and the type that the plan counts on.
    pub outputs: Vec<Option<(usize, Option<Shape>)>>,
}

impl Plain {
    /// Bytes of the outputs whose shapes the plan did not know.
    pub fn unforeseen(&self, tensors: &[Option<Tensor>]) -> u64 {
        let outputs = self.outputs.iter().flatten().filter(|(_, shape)| shape.is_none());
        outputs.filter_map(|(index, _)| Some(tensors[*index].as_ref()?.bytes().len() as u64)).sum()
    }
}

/// Arithmetic of two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

impl Arithmetic {
    /// `left = left ∘ right`
    fn apply(self, left: &mut [f32], right: &[f32]) {
        let pairs = left.iter_mut().zip(right);
        match self {
            Self::Add => pairs.for_each(|(a, b)| *a += b),
            Self::Sub => pairs.for_each(|(a, b)| *a -= b),
            Self::Mul => pairs.for_each(|(a, b)| *a *= b),
            Self::Div => pairs.for_each(|(a, b)| *a /= b),
        }
    }
}

impl Arithmetic {
    /// `left = left ∘ right`, where a row of `right` is that of each row of a group of `left`, or of all of them.
    fn broadcast(self, left: &mut [f32], right: &[f32], row: usize, rows: usize) {
        let groups = left.chunks_mut((row * rows).max(1)).zip(right.chunks_exact(row).cycle());
        parallel::parallel_for(groups, |(left, right)| match right {
            [right] => self.apply_each(left, *right),
            _ => left.chunks_exact_mut(row).for_each(|left| self.apply(left, right)),
        });
    }

    fn apply_each(self, left: &mut [f32], right: f32) {
        match self {
            Self::Add => left.iter_mut().for_each(|a| *a += right),
            Self::Sub => left.iter_mut().for_each(|a| *a -= right),
            Self::Mul => left.iter_mut().for_each(|a| *a *= right),
            Self::Div => left.iter_mut().for_each(|a| *a /= right),
        }
    }
}

/// Copies the rows of each operand beside those of the one before.
fn concat<'a>(reads: impl Fn(usize) -> Option<&'a [f32]>, rows: &[usize], out: &mut [f32]) {
    let (whole, mut first) = (rows.iter().sum::<usize>().max(1), 0);
    for (index, &row) in rows.iter().enumerate() {
        let from = reads(index).unwrap_or_default();
        for (to, from) in out.chunks_exact_mut(whole).zip(from.chunks_exact(row.max(1))) {
            to[first..first + row].copy_from_slice(from);
        }
        first += row;
    }
}

impl Step {
    /// What the step writes.
    pub fn written(&self) -> Vec<Source> {
        match &self.kind {
            Kind::Plain(plain) => plain.outputs.iter().flatten().map(|(tensor, _)| Source::Tensor(*tensor)).collect(),
            Kind::Keep(tensor, _) => vec![Source::Tensor(*tensor)],
            _ => self.write.iter().map(|(buffer, _)| Source::Buffer(*buffer)).collect(),
        }
    }
}

impl Kind {
    /// Whether the operands may be swapped.
    pub fn commutes(&self) -> bool {
        matches!(self, Self::Binary(Arithmetic::Add | Arithmetic::Mul))
    }

    /// Whether the first operand may lie in the buffer that is written.
    pub fn is_in_place(&self) -> bool {
        matches!(self, Self::Unary(_) | Self::Half(..) | Self::Binary(_) | Self::Broadcast(..))
    }

    /// Elements of workspace for so many threads.
    pub fn workspace_len(&self, threads: usize) -> usize {
        match self {
            Self::Conv(conv, ..) => conv.workspace_len(threads),
            Self::Gathered(conv) => conv.workspace_len(threads),
            Self::Perceptron(layers) => threads.max(1) * layers.workspace_len(),
            Self::Quantized(step, _) => step.workspace_len(threads),
            _ => 0,
        }
    }

    /// About how many multiply-adds.
    pub fn cost(&self, len: usize) -> usize {
        match self {
            Self::Linear(linear, _) => len.saturating_mul(linear.inputs()),
            Self::Conv(conv, ..) => conv.shape().multiplications(),
            Self::Depthwise(conv, ..) => conv.cost(),
            Self::Gathered(conv) => conv.cost(),
            Self::Quantized(step, _) => step.cost(len),
            Self::Perceptron(layers) => (len / layers.outputs()).saturating_mul(layers.row_cost()),
            _ => len,
        }
    }

    /// Computes `out`; the first operand is `out` itself if `reads` has none.
    pub fn run<'a>(&self, reads: impl Fn(usize) -> Option<&'a [f32]>, out: &mut [f32], workspace: &mut [f32]) {
        let first = reads(0).unwrap_or_default();
        let epilogue = |bias, activation| Epilogue { bias, residual: reads(1).unwrap_or_default(), activation };
        match self {
            Self::Linear(linear, activation) => linear.run(first, epilogue(&[], *activation), out),
            Self::Perceptron(layers) => layers.run(first, out, workspace),
            Self::Conv(conv, weights, activation) => {
                conv.run(first, &weights.packed, epilogue(&weights.bias, *activation), out, workspace);
            }
            Self::Depthwise(conv, weights, activation) => {
                conv.run(first, &weights.packed, epilogue(&weights.bias, *activation), out);
            }
            Self::Gathered(conv) => conv.run(first, reads(1).unwrap_or_default(), out, workspace),
            Self::MaxPool(pool) => pool.max(first, out),
            Self::AveragePool(pool, padding) => pool.average(first, out, *padding),
            Self::Unary(activation) => each_block(first, out, |out| activation.apply(out)),
            Self::Half(bias, activation) => {
                if let Some(from) = reads(0) {
                    out.copy_from_slice(from);
                }
                kernels::round_to_half(out, bias, *activation);
            }
            Self::Binary(arithmetic) => {
                if let Some(left) = reads(0) {
                    out.copy_from_slice(left);
                }
                arithmetic.apply(out, reads(1).unwrap_or_default());
            }
            Self::Broadcast(arithmetic, row, rows) => {
                if let Some(left) = reads(0) {
                    out.copy_from_slice(left);
                }
                arithmetic.broadcast(out, reads(1).unwrap_or_default(), *row, *rows);
            }
            Self::Concat(rows) => concat(reads, rows, out),
            Self::ToNhwc(channels, pixels) => layout::nchw_to_nhwc(first, out, *channels, *pixels),
            Self::ToNchw(channels, pixels) => layout::nhwc_to_nchw(first, out, *channels, *pixels),
            Self::Quantized(..) | Self::Plain(_) | Self::Keep(..) => {}
        }
    }
}

/// Elements that are processed while they are in a cache.
const BLOCK: usize = 1 << 13;

/// Copies `from`, unless it is empty, and calls `work` with each block.
fn each_block(from: &[f32], out: &mut [f32], work: impl Fn(&mut [f32]) + Sync) {
    parallel::parallel_for(out.chunks_mut(BLOCK).enumerate(), |(i, out)| {
        if !from.is_empty() {
            out.copy_from_slice(&from[i * BLOCK..][..out.len()]);
        }
        work(out);
    });
}

/// What a plain operator returned, with the type that the plan counts on.
pub(super) fn fits(tensor: &Tensor, expected: &Shape) -> bool {
    tensor.dtype() == expected.0 && tensor.shape() == expected.1
}
