//! Quantized graphs: nodes between `DequantizeLinear` and `QuantizeLinear` that compute on the integers.
//!
//! Integers of 8 bits stay in buffers between such steps. A `DequantizeLinear` is no step until something reads what it computes.

mod elements;
mod layer;
mod step;

pub(super) use elements::Elements;
pub(super) use layer::{Packed, QuantizedLayer, quantizes};
pub(super) use step::{Operands, QuantizedStep};

use super::{build::Builder, linear::floats, values::Value};
use crate::ops::{self, Call, MOST_BYTES};
use kernels::int8::Affine;
use onnx::{DataType, Graph, Links, Model, Node, Tensor};
use std::{collections::HashSet, sync::Arc};

/// A real value that an 8-bit integer stands for.
#[derive(Debug, Clone)]
pub(super) struct Dequantized {
    /// Name of the integers.
    pub integers: String,
    pub affine: Affine,
}

impl Dequantized {
    /// A float32 value, if a `DequantizeLinear` computes it, with one scale.
    pub fn of(builder: &Builder<'_>, value: &str) -> Option<Self> {
        let node = &builder.graph.nodes[*builder.links.producer.get(value)?];
        let affine = affine(builder, node)?;
        let is_constant = builder.graph.initializers.contains_key(node.input(0)?);
        (node.is("DequantizeLinear") && !is_constant).then(|| Self { integers: node.inputs[0].clone(), affine })
    }
}

/// Scale and zero point of a node that quantizes float32 to 8 bits as a whole, or the reverse; scales are positive and neither huge
/// nor subnormal.
pub(super) fn affine(builder: &Builder<'_>, node: &Node) -> Option<Affine> {
    let quantizes = node.is("QuantizeLinear");
    if !quantizes && !node.is("DequantizeLinear") {
        return None;
    }
    let [integers, reals] =
        if quantizes { [node.output(0)?, node.input(0)?] } else { [node.input(0)?, node.output(0)?] };
    builder.floats(reals)?;
    let dtype = builder.shape(integers)?.0;
    let signed = is_signed(dtype)?;
    let &[scale] = floats(builder.graph.initializers.get(node.input(1)?)?)?.as_slice() else { return None };
    let zero_point = match node.input(2) {
        None => 0,
        Some(name) => {
            let zero = builder.graph.initializers.get(name).filter(|zero| zero.dtype() == dtype)?;
            let &[zero] = integers_of(zero)?.as_slice() else { return None };
            zero
        }
    };
    is_sound(scale).then_some(Affine { scale, zero_point, signed })
}

/// Whether products of such scales, and sums of 32 bits times them, are finite.
fn is_sound(scale: f32) -> bool {
    (1e-12..=1e12).contains(&scale)
}

/// Whether a type of 8 bits is int8.
pub(super) fn is_signed(dtype: DataType) -> Option<bool> {
    match dtype {
        DataType::Int8 => Some(true),
        DataType::Uint8 => Some(false),
        _ => None,
    }
}

/// The elements of a constant of integers of up to 32 bits that are weights, biases or zero points.
fn integers_of(tensor: &Tensor) -> Option<Vec<i32>> {
    let bytes = tensor.bytes();
    Some(match tensor.dtype() {
        DataType::Int8 => bytes.iter().map(|&byte| i32::from(byte as i8)).collect(),
        DataType::Uint8 => bytes.iter().map(|&byte| i32::from(byte)).collect(),
        DataType::Int32 => bytemuck::pod_collect_to_vec(bytes),
        _ => return None,
    })
}

/// Whether a node dequantizes by a step that can wait until something reads what it computes: a constant is one for layers that
/// compute on integers.
pub(super) fn is_deferred(builder: &Builder<'_>, node: &Node) -> bool {
    let is_constant = || node.input(0).is_some_and(|name| builder.graph.initializers.contains_key(name));
    node.is("DequantizeLinear") && (is_constant() || affine(builder, node).is_some())
}

/// Computes such a node, or adds its step; returns what it computes.
pub(super) fn dequantize(builder: &mut Builder<'_>, node: &Node) -> Option<Value> {
    let output = node.output(0)?;
    if builder.graph.initializers.contains_key(node.input(0)?) {
        let constant = crate::Tensor::from_onnx(&evaluate(builder.graph, node, builder.opset)?)?;
        builder.cache.constants.insert(output.into(), Arc::new(constant));
        return builder.value(output);
    }
    let (affine, shape) = (affine(builder, node)?, builder.shape(output)?);
    let (rows, source) = builder.value(node.input(0)?)?.either()?;
    let len = shape.1.iter().product();
    let source = builder.add_quantized(QuantizedStep::Dequantize(affine), &[(source, len)], len, false);
    let value = Value::at(shape, rows, source);
    builder.define(output, value.clone());
    Some(value)
}

/// Adds the step of a node that quantizes float32; none if it does not, or not to 8 bits with one scale.
pub(super) fn quantize(builder: &mut Builder<'_>, node: &Node) -> Option<()> {
    let affine = node.is("QuantizeLinear").then(|| affine(builder, node))??;
    let shape = builder.shape(node.output(0)?)?;
    let (rows, source) = builder.value(node.input(0)?)?.either()?;
    let len = shape.1.iter().product();
    let source = builder.add_quantized(QuantizedStep::Quantize(affine), &[(source, len)], len, true);
    builder.define(node.output(0)?, Value::at(shape, rows, source));
    Some(())
}

/// Computes the `DequantizeLinear` of constants that no layer reads as integers: what reads them is then float32 alone. A node that
/// fails is left to the plan.
pub(super) fn fold_constants(model: &mut Model) {
    let opset = model.opset();
    let graph = &mut model.graph;
    let links = graph.links();
    let folded: Vec<(String, Tensor)> = graph
        .nodes
        .iter()
        .filter(|node| node.is("DequantizeLinear") && !is_weight(graph, &links, node))
        .filter_map(|node| Some((node.output(0)?.to_owned(), evaluate(graph, node, opset)?)))
        .collect();
    let names: HashSet<&str> = folded.iter().map(|(name, _)| name.as_str()).collect();
    graph.nodes.retain(|node| !node.output(0).is_some_and(|name| names.contains(name)));
    graph.initializers.extend(folded);
}

/// Whether all that reads a constant are layers with quantized inputs, as weights or biases.
fn is_weight(graph: &Graph, links: &Links, dequantize: &Node) -> bool {
    let Some(value) = dequantize.output(0) else { return false };
    let quantized = |node: &Node| {
        let input = node.input(0).and_then(|name| links.producer.get(name));
        input.is_some_and(|&index| graph.nodes[index].is("DequantizeLinear")) && node.input(0) != Some(value)
    };
    let layer = |&index: &usize| {
        let node = &graph.nodes[index];
        let is_product = node.is("Gemm") || node.is("MatMul");
        (is_product || is_convolution(graph, links, node)) && quantized(node)
    };
    let readers = links.consumers(value);
    !readers.is_empty() && readers.iter().all(layer) && !graph.is_output(value)
}

/// Whether a convolution has one group, or one of each channel, and integer weights.
fn is_convolution(graph: &Graph, links: &Links, node: &Node) -> bool {
    let producer = node.input(1).and_then(|name| links.producer.get(name)).map(|&index| &graph.nodes[index]);
    let weight = producer.and_then(|node| graph.initializers.get(node.input(0)?));
    let depthwise = |group: i64| match weight.map(Tensor::dims) {
        Some(&[outputs, 1, ..]) => outputs as i64 == group,
        _ => false,
    };
    node.is("Conv") && node.int("group", 1).is_ok_and(|group| group == 1 || depthwise(group))
}

/// What a node of constants computes.
fn evaluate(graph: &Graph, node: &Node, opset: i64) -> Option<Tensor> {
    let operands = node.inputs.iter().map(|name| match name.as_str() {
        "" => Some(None),
        name => crate::Tensor::from_onnx(graph.initializers.get(name)?).map(Some),
    });
    let operands = operands.collect::<Option<Vec<_>>>()?;
    let inputs: Vec<_> = operands.iter().map(Option::as_ref).collect();
    let call = Call { node, opset, inputs: &inputs, most_bytes: MOST_BYTES };
    ops::find(node)?(&call).ok()?.first()?.to_onnx()
}
