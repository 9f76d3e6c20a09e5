//! The operations of a network with their shapes: what a training plan is made from.

use super::Layout;
use onnx::cost::Work;
use serde::{Deserialize, Serialize};

/// The operations of a network in topological order. Activations are NCHW; shapes leave the batch axis out.
#[derive(Debug, Clone, Copy)]
pub struct Graph<'a> {
    /// Shape of an input row: `[features]` or `[channels, height, width]`.
    pub input_shape: &'a [usize],
    /// Each after the nodes that it takes its inputs from; the output of the last one is the network's.
    pub nodes: &'a [Node],
    /// Name, kind, shape and range of each parameter tensor.
    pub layout: &'a Layout,
}

/// An operation with its inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique in the graph, `layers.3.0.conv1`; the tensors of the node begin with it in files.
    pub name: String,
    /// The operator and its attributes.
    pub op: Op,
    /// One value, or two for [`Op::Add`].
    pub inputs: Vec<Value>,
    /// Shape of the output for one row: `[channels, height, width]` or `[features]`.
    pub shape: Vec<usize>,
}

/// An input of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// The network's input.
    Input,
    /// The output of the node with this index.
    Node(usize),
}

/// An operator. Parameter tensors are given as indices into [`Layout::tensors`].
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Cross-correlation, as PyTorch's `Conv2d` without dilation and groups.
    Conv {
        /// `[out_channels, in_channels, kernel, kernel]`; trainable, or frozen.
        weight: usize,
        /// `[out_channels]`, trainable.
        bias: Option<usize>,
        /// Stride along both axes.
        stride: usize,
        /// Zeros on each side of both axes.
        padding: usize,
    },
    /// Batch normalization, `(x - mean) / √(variance + eps) · γ + β` for each channel: PyTorch's `BatchNorm2d` or
    /// `BatchNorm1d`. All tensors are `[channels]`. In training, mean and variance are the batch's.
    Norm {
        /// Scale γ; trainable, or frozen at 1.
        scale: usize,
        /// Shift β; trainable.
        shift: usize,
        /// Running mean.
        mean: usize,
        /// Running variance (unbiased).
        variance: usize,
        /// Weight of a batch in the running statistics, 0 to 1.
        momentum: f32,
        /// Added to the variance; above 0.
        eps: f32,
    },
    /// An elementwise function.
    Activation(Activation),
    /// Max pooling, non-overlapping windows, no padding; edge remainder dropped.
    MaxPool {
        /// Height and width of a window, and the strides.
        size: [usize; 2],
    },
    /// Average pooling, non-overlapping windows, no padding; edge remainder dropped.
    AveragePool {
        /// Height and width of a window, and the strides.
        size: [usize; 2],
    },
    /// `[channels, height, width]` to `[channels · height · width]`, in this order.
    Flatten,
    /// `x · weightᵀ + bias`: `[batch, inputs]` to `[batch, outputs]`.
    Linear {
        /// `[outputs, inputs]`, trainable.
        weight: usize,
        /// `[outputs]`, trainable.
        bias: usize,
    },
    /// The elementwise sum of two inputs of one shape.
    Add,
    /// `x · factor`
    Scale {
        /// A constant of the architecture.
        factor: f32,
    },
}

/// An elementwise function between layers, as a configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(0, x)
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// x · Φ(x), Φ the normal distribution's: Hendrycks and Gimpel, "Gaussian error linear units", 2016. Exact, not
    /// the approximation by tanh.
    Gelu,
}

impl Graph<'_> {
    /// The shape of a node's first input for one row.
    pub fn input_shape_of(&self, node: &Node) -> &[usize] {
        match node.inputs[0] {
            Value::Input => self.input_shape,
            Value::Node(i) => &self.nodes[i].shape,
        }
    }

    /// Work of a node's forward pass for one row, by the formulas of [`onnx::cost`]; saturates.
    pub fn work(&self, node: &Node) -> Work {
        let elements = |shape: &[usize]| shape.iter().fold(1u64, |product, &size| product.saturating_mul(size as u64));
        let depth = |weight: usize| elements(&self.layout.tensors()[weight].shape[1..]);
        let outputs = elements(&node.shape);
        let work = match node.op {
            Op::Conv { weight, bias, .. } => Work::of_products(outputs, depth(weight), bias.is_some()),
            Op::Linear { weight, .. } => Work::of_products(outputs, depth(weight), true),
            Op::MaxPool { size } | Op::AveragePool { size } => Work::of_windows(outputs, elements(&size)),
            Op::Norm { .. } => Work::of_elements("BatchNormalization", outputs),
            Op::Activation(activation) => Work::of_elements(activation.onnx_operator(), outputs),
            Op::Add => Work::of_elements("Add", outputs),
            Op::Scale { .. } => Work::of_elements("Mul", outputs),
            Op::Flatten => Ok(Work::default()),
        };
        work.unwrap_or(Work { macs: u64::MAX, flops: u64::MAX })
    }
}

impl Op {
    /// Indices of its parameter tensors, in the order of its fields.
    pub fn tensors(&self) -> Vec<usize> {
        match *self {
            Self::Conv { weight, bias, .. } => std::iter::once(weight).chain(bias).collect(),
            Self::Linear { weight, bias } => vec![weight, bias],
            Self::Norm { scale, shift, mean, variance, .. } => vec![scale, shift, mean, variance],
            Self::Activation(_)
            | Self::MaxPool { .. }
            | Self::AveragePool { .. }
            | Self::Flatten
            | Self::Add
            | Self::Scale { .. } => vec![],
        }
    }
}

impl Activation {
    /// The operator of ONNX that computes it.
    pub fn onnx_operator(self) -> &'static str {
        match self {
            Self::Relu => "Relu",
            Self::Tanh => "Tanh",
            Self::Sigmoid => "Sigmoid",
            Self::Gelu => "Gelu",
        }
    }
}

impl From<Activation> for kernels::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Relu => Self::Relu,
            Activation::Tanh => Self::Tanh,
            Activation::Sigmoid => Self::Sigmoid,
            Activation::Gelu => Self::Gelu,
        }
    }
}
