//! The values of a network's parameters, in one flat buffer.

use crate::{
    Activation, Graph, Layout, ParameterKind,
    graph::{Op, Value},
    whitening,
};
use random::Random;

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
    /// deep into rectifiers", 2015), a GELU or a norm, `1 / fan_in` elsewhere; or the identity ([`Init::Dirac`](crate::layer::Init::Dirac)). Biases are
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
                    if graph.dirac.contains(&weight) {
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
