//! The parameters of a network in one flat buffer, and where each tensor is in it.

use crate::{
    Activation, Graph,
    graph::{Op, Value},
    layer::Init,
    whitening,
};
use random::Random;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Where each tensor is in the flat buffer: trainable ones first, then running statistics, then frozen ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    tensors: Vec<TensorLayout>,
    layers: Vec<LayerLayout>,
    trainable: usize,
    frozen_start: usize,
    length: usize,
}

/// The role of a parameter, which decides how training treats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    /// Weight of a convolution or linear layer; trainable.
    Weight,
    /// Bias of a convolution or linear layer; trainable.
    Bias,
    /// Scale (γ) or shift (β) of a norm; trainable.
    Norm,
    /// Running statistics of a norm: updated by the forward pass in training, not by the optimizer.
    Statistic,
    /// Set before training and never updated.
    #[serde(rename = "fixed")]
    Frozen,
}

impl ParameterKind {
    /// Whether the optimizer updates it.
    pub fn is_trainable(self) -> bool {
        match self {
            Self::Weight | Self::Bias | Self::Norm => true,
            Self::Statistic | Self::Frozen => false,
        }
    }
}

/// A tensor of parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorLayout {
    /// Key in checkpoint files: `layers.0.weight`.
    pub name: String,
    /// Its role.
    pub kind: ParameterKind,
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    /// Where its elements are in the flat buffer.
    pub range: Range<usize>,
}

/// One linear layer: `output = input · weightᵀ + bias`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerLayout {
    /// Width of the layer's input.
    pub inputs: usize,
    /// Width of its output.
    pub outputs: usize,
    /// `[outputs, inputs]`, row-major.
    pub weight: Range<usize>,
    /// `[outputs]`
    pub bias: Range<usize>,
}

/// Collects tensors and then assigns their ranges.
#[derive(Default)]
pub(crate) struct LayoutBuilder {
    tensors: Vec<TensorLayout>,
}

impl LayoutBuilder {
    /// Adds a tensor; returns its index among the layout's.
    pub fn add(&mut self, name: String, kind: ParameterKind, shape: &[usize]) -> usize {
        self.tensors.push(TensorLayout { name, kind, shape: shape.to_vec(), range: 0..0 });
        self.tensors.len() - 1
    }

    pub fn finish(self) -> Layout {
        let Self { mut tensors } = self;
        let mut end = 0;
        let mut assign = |tensor: &mut TensorLayout| {
            let start = end;
            end += tensor.shape.iter().product::<usize>();
            tensor.range = start..end;
            end
        };
        let (trainable, others): (Vec<_>, Vec<_>) = tensors.iter_mut().partition(|tensor| tensor.kind.is_trainable());
        let (statistics, frozen): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|tensor| tensor.kind == ParameterKind::Statistic);
        let trainable = trainable.into_iter().map(&mut assign).last().unwrap_or(0);
        let frozen_start = statistics.into_iter().map(&mut assign).last().unwrap_or(trainable);
        let length = frozen.into_iter().map(&mut assign).last().unwrap_or(frozen_start);
        let layers = tensors.windows(2).filter_map(linear).collect();
        Layout { tensors, layers, trainable, frozen_start, length }
    }
}

/// A linear layer, if the two tensors are a matrix and a bias.
fn linear(pair: &[TensorLayout]) -> Option<LayerLayout> {
    let [weight, bias] = pair else { return None };
    match (weight.shape.as_slice(), bias.kind) {
        (&[outputs, inputs], ParameterKind::Bias) => {
            Some(LayerLayout { inputs, outputs, weight: weight.range.clone(), bias: bias.range.clone() })
        }
        _ => None,
    }
}

impl Layout {
    /// The linear layers, in order of execution.
    pub fn layers(&self) -> &[LayerLayout] {
        &self.layers
    }

    /// All tensors, in the order of the layers. The order of their ranges is another.
    pub fn tensors(&self) -> &[TensorLayout] {
        &self.tensors
    }

    /// Number of trainable parameters. They come first in the buffer.
    pub fn trainable(&self) -> usize {
        self.trainable
    }

    /// Index of the first frozen parameter: number of trainable parameters and running statistics, which training
    /// updates.
    pub fn frozen_start(&self) -> usize {
        self.frozen_start
    }

    /// Number of all elements: trainable parameters, running statistics and frozen parameters.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The values of all tensors of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Where each tensor is.
    pub layout: Layout,
    /// `[layout.len()]`
    pub values: Vec<f32>,
}

impl Parameters {
    /// Initial values. Weights are uniform with mean 0 and variance `2 / fan_in` in front of a ReLU (He et al., "Delving
    /// deep into rectifiers", 2015), a GELU or a norm, `1 / fan_in` elsewhere; or the identity ([`Init::Dirac`]). Biases are
    /// 0; γ and running variances 1, β and running means 0; a whitening is 0 until [`Parameters::whiten`].
    pub fn random(graph: &Graph, random: &mut Random) -> Self {
        let layout = graph.layout.clone();
        let mut values = vec![0.0; layout.len()];
        for (i, node) in graph.nodes.iter().enumerate() {
            match node.op {
                Op::Conv { weight, .. } | Op::Linear { weight, .. }
                    if layout.tensors()[weight].kind == ParameterKind::Weight =>
                {
                    let tensor = &layout.tensors()[weight];
                    let fan_in = tensor.shape[1..].iter().product::<usize>();
                    let bound = (3.0 * gain(graph, i) / fan_in as f64).sqrt();
                    for weight in &mut values[tensor.range.clone()] {
                        *weight = (bound * (2.0 * random.uniform() - 1.0)) as f32;
                    }
                    if let Op::Conv { init: Init::Dirac, .. } = node.op {
                        dirac(&tensor.shape, &mut values[tensor.range.clone()]);
                    }
                }
                Op::Norm { scale, variance, .. } => {
                    for tensor in [scale, variance] {
                        values[layout.tensors()[tensor].range.clone()].fill(1.0);
                    }
                }
                _ => {}
            }
        }
        Self { layout, values }
    }

    /// Multiplies the weight of the last linear layer by `factor`: a small one starts outputs near 0.
    pub fn scale_last_linear(&mut self, graph: &Graph, factor: f32) {
        let weight = graph.nodes.iter().rev().find_map(|node| match node.op {
            Op::Linear { weight, .. } => Some(weight),
            _ => None,
        });
        if let Some(weight) = weight {
            let range = self.layout.tensors()[weight].range.clone();
            self.values[range].iter_mut().for_each(|x| *x *= factor);
        }
    }

    /// Sets the weight of the whitening layer, if the network has one, from scaled training `images` `[n, channels, height,
    /// width]`.
    pub fn whiten(&mut self, graph: &Graph, images: &[f32]) {
        let (Some((whiten, weight)), &[channels, height, width]) =
            (graph.whitening(), graph.architecture.input_shape.as_slice())
        else {
            return;
        };
        let weights = whitening::weights(images, [channels, height, width], whiten);
        self.values[self.layout.tensors()[weight].range.clone()].copy_from_slice(&weights);
    }

    /// The linear layers in order of execution, each with its weight `[outputs, inputs]` and bias `[outputs]`.
    pub fn layers(&self) -> impl Iterator<Item = (&LayerLayout, &[f32], &[f32])> {
        self.layout.layers().iter().map(|layer| {
            let LayerLayout { weight, bias, .. } = layer;
            (layer, &self.values[weight.clone()], &self.values[bias.clone()])
        })
    }

    /// The elements of a tensor, by its index in [`Layout::tensors`].
    pub fn tensor(&self, index: usize) -> &[f32] {
        &self.values[self.layout.tensors()[index].range.clone()]
    }
}

/// Makes the first `min(outputs, inputs)` filters of a `weight` `[outputs, inputs, kernel, kernel]` the identity of one
/// input channel each: PyTorch's `dirac_(weight[:inputs])`.
fn dirac(shape: &[usize], weight: &mut [f32]) {
    let &[_, inputs, kernel, _] = shape else { return };
    let centre = (kernel / 2) * kernel + kernel / 2;
    for (channel, filter) in weight.chunks_exact_mut(inputs * kernel * kernel).take(inputs).enumerate() {
        filter.fill(0.0);
        filter[channel * kernel * kernel + centre] = 1.0;
    }
}

/// The factor on the variance of a node's weight that its consumer needs (PyTorch's `calculate_gain`, squared).
fn gain(graph: &Graph, node: usize) -> f64 {
    let next = graph.nodes.iter().find(|next| next.inputs.contains(&Value::Node(node)));
    match next.map(|node| &node.op) {
        Some(Op::Activation(Activation::Relu | Activation::Gelu)) => 2.0,
        // A norm is invariant to the scale.
        Some(Op::Norm { .. }) => 2.0,
        _ => 1.0,
    }
}
