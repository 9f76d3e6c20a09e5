//! The numbers of a network, in one flat buffer.

use crate::{Activation, Architecture};
use kernels::random::Random;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Where each layer's weight and bias stand within the flat buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    layers: Vec<LayerLayout>,
}

/// What a parameter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    /// A factor of a layer's input.
    Weight,
    /// What a layer adds.
    Bias,
    /// Scale or shift of a normalisation.
    Norm,
}

/// A tensor of parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorLayout {
    /// Its name in files: `layers.0.weight`.
    pub name: String,
    /// What it is for.
    pub kind: ParameterKind,
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    /// Where its numbers stand.
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

impl Layout {
    /// The layout of a network's parameters: weight and bias of each layer in order.
    pub fn new(architecture: &Architecture) -> Self {
        let mut end = 0;
        let mut take = |n: usize| {
            end += n;
            end - n..end
        };
        let layer = |(inputs, outputs): (usize, usize)| LayerLayout {
            inputs,
            outputs,
            weight: take(inputs * outputs),
            bias: take(outputs),
        };
        Self { layers: architecture.layers().map(layer).collect() }
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[LayerLayout] {
        &self.layers
    }

    /// All tensors, in the order of the flat buffer.
    pub fn tensors(&self) -> Vec<TensorLayout> {
        let tensors = self.layers.iter().enumerate().flat_map(|(i, layer)| {
            let tensor = |part: &str, kind, shape: &[usize], range: &Range<usize>| TensorLayout {
                name: format!("layers.{i}.{part}"),
                kind,
                shape: shape.to_vec(),
                range: range.clone(),
            };
            [
                tensor("weight", ParameterKind::Weight, &[layer.outputs, layer.inputs], &layer.weight),
                tensor("bias", ParameterKind::Bias, &[layer.outputs], &layer.bias),
            ]
        });
        tensors.collect()
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.bias.end)
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The weights and biases of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Where what stands.
    pub layout: Layout,
    /// All numbers, as the layout says.
    pub values: Vec<f32>,
}

impl Parameters {
    /// Random weights, uniform with the variance that keeps activations in scale: 2 / inputs in
    /// front of a ReLU (He et al., "Delving deep into rectifiers", 2015), 1 / inputs elsewhere.
    /// Biases are 0.
    pub fn random(architecture: &Architecture, random: &mut Random) -> Self {
        let layout = Layout::new(architecture);
        let mut values = vec![0.0; layout.len()];
        let last = layout.layers().len() - 1;
        for (i, layer) in layout.layers().iter().enumerate() {
            let gain = if i < last && architecture.activation == Activation::Relu { 2.0 } else { 1.0 };
            let bound = (3.0 * gain / layer.inputs as f64).sqrt();
            for weight in &mut values[layer.weight.clone()] {
                *weight = (bound * (2.0 * random.uniform() - 1.0)) as f32;
            }
        }
        Self { layout, values }
    }

    /// For each layer, its weight `[outputs, inputs]` and bias `[outputs]`.
    pub fn layers(&self) -> impl Iterator<Item = (&LayerLayout, &[f32], &[f32])> {
        self.layout.layers().iter().map(|layer| {
            let LayerLayout { weight, bias, .. } = layer;
            (layer, &self.values[weight.clone()], &self.values[bias.clone()])
        })
    }
}
