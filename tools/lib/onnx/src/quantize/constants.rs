//! Constants as integers: weights, biases, and what elementwise nodes read beside activations.

use super::{
    Options,
    affine::{Affine, to_integer},
    layer::Layer,
    plan::Plan,
    weights::WeightScales,
};
use crate::{DataType, Graph, Problem, Tensor};
use indexmap::IndexMap;
use std::collections::HashMap;

/// A constant that is stored as integers and read through a DequantizeLinear.
#[derive(Debug)]
pub(super) struct IntegerConstant {
    /// The initializer that it stands for.
    pub name: String,
    /// Its elements.
    pub integers: Tensor,
    /// One scale, or one a channel.
    pub scales: Tensor,
    /// Of the type of `integers` and the shape of `scales`.
    pub zero_points: Tensor,
    /// Axis of the channels.
    pub axis: Option<usize>,
    /// Node inputs that read it.
    pub readers: Vec<(usize, usize)>,
}

/// Layers share a weight if they read the same initializer along the same axis, with the same factor (its bits).
type WeightKey<'a> = (&'a str, Option<usize>, u32);

/// A weight and the layers that read it.
struct Weight<'a> {
    values: Vec<f32>,
    scales: WeightScales,
    layers: Vec<&'a Layer>,
}

/// All constants of `plan` as integers; `affines` has the scales of the activations.
///
/// # Errors
/// When an element is NaN or infinite.
pub(super) fn integer_constants(
    graph: &Graph,
    plan: &Plan,
    affines: &HashMap<String, Affine>,
    options: &Options,
) -> Result<Vec<IntegerConstant>, Problem> {
    let mut constants = operands(graph, plan, options)?;
    for ((name, ..), weight) in weights(graph, plan, affines, options)? {
        let dims = graph.initializers[name].dims();
        let readers = weight.layers.iter().map(|layer| (layer.node, 1)).collect();
        let integers = weight.scales.quantize(&weight.values, dims);
        constants.push(symmetric(name, integers, &weight.scales.scales, weight.scales.axis, readers));
        for layer in weight.layers.iter().filter(|layer| layer.bias) {
            let name = &graph.nodes[layer.node].inputs[2];
            let bias = scaled(graph, name, layer.beta);
            let (integers, scales) = weight.scales.quantize_bias(&bias, input_scale(graph, layer, affines));
            let axis = weight.scales.axis.map(|_| 0);
            constants.push(symmetric(name, integers, &scales, axis, vec![(layer.node, 2)]));
        }
    }
    Ok(constants)
}

/// Constants that are read as activations are, each with the range of its elements.
fn operands(graph: &Graph, plan: &Plan, options: &Options) -> Result<Vec<IntegerConstant>, Problem> {
    let mut readers: IndexMap<&str, Vec<(usize, usize)>> = IndexMap::new();
    for &(node, input) in &plan.constants {
        readers.entry(&graph.nodes[node].inputs[input]).or_default().push((node, input));
    }
    let activations = options.activations;
    let operand = |(name, readers): (&str, Vec<(usize, usize)>)| {
        let values = scaled(graph, name, 1.0);
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Problem::tensor(name, format!("{value} among its elements")));
        }
        let range = values.iter().fold((0f32, 0f32), |(low, high), &value| (low.min(value), high.max(value)));
        let affine = activations.affine(range);
        let (low, high) = activations.limits();
        let integers = values.iter().map(|&value| to_integer(value, affine, low, high));
        Ok(IntegerConstant {
            name: name.into(),
            integers: activations.tensor(graph.initializers[name].dims(), integers),
            scales: Tensor::from_f32(&[], &[affine.scale]),
            zero_points: activations.tensor(&[], [affine.zero_point].into_iter()),
            axis: None,
            readers,
        })
    };
    readers.into_iter().map(operand).collect()
}

/// Weights with their scales, raised for the biases of all layers that read them.
fn weights<'a>(
    graph: &'a Graph,
    plan: &'a Plan,
    affines: &HashMap<String, Affine>,
    options: &Options,
) -> Result<IndexMap<WeightKey<'a>, Weight<'a>>, Problem> {
    let high = if options.reduce_range { 64 } else { 127 };
    let mut weights: IndexMap<WeightKey, Weight> = IndexMap::new();
    for layer in &plan.layers {
        let inputs = &graph.nodes[layer.node].inputs;
        let name = inputs[1].as_str();
        let key = (name, layer.axis, layer.alpha.to_bits());
        if !weights.contains_key(&key) {
            let values = scaled(graph, name, layer.alpha);
            let scales = WeightScales::new(name, &values, graph.initializers[name].dims(), layer.axis, high)?;
            weights.insert(key, Weight { values, scales, layers: Vec::new() });
        }
        let weight = &mut weights[&key];
        weight.layers.push(layer);
        if layer.bias {
            let bias = scaled(graph, &inputs[2], layer.beta);
            if let Some(value) = bias.iter().find(|value| !value.is_finite()) {
                return Err(Problem::tensor(&inputs[2], format!("{value} among the biases")));
            }
            weight.scales.fit_bias(&bias, input_scale(graph, layer, affines));
        }
    }
    Ok(weights)
}

fn input_scale(graph: &Graph, layer: &Layer, affines: &HashMap<String, Affine>) -> f32 {
    affines[&graph.nodes[layer.node].inputs[0]].scale
}

/// Elements of a float32 initializer, times `factor`.
fn scaled(graph: &Graph, name: &str, factor: f32) -> Vec<f32> {
    let mut values = graph.initializers[name].to_f32().unwrap_or_default();
    values.iter_mut().for_each(|value| *value *= factor);
    values
}

/// A constant whose zero points are 0.
fn symmetric(
    name: &str,
    integers: Tensor,
    scales: &[f32],
    axis: Option<usize>,
    readers: Vec<(usize, usize)>,
) -> IntegerConstant {
    let channels = [scales.len()];
    let dims = if axis.is_some() { &channels[..] } else { &[] };
    let width = if integers.dtype() == DataType::Int32 { size_of::<i32>() } else { 1 };
    let zeros = Tensor::new(integers.dtype(), dims, vec![0; scales.len() * width]).expect("one zero a scale");
    let scales = Tensor::from_f32(dims, scales);
    IntegerConstant { name: name.into(), integers, scales, zero_points: zeros, axis, readers }
}
