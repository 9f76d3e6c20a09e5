//! Convolutions and fully connected layers of quantized inputs and weights.

use super::{Dequantized, QuantizedStep, affine, integers_of, is_sound};
use crate::plan::{build::Builder, chain::Chain, linear::floats, values::Value, windows};
use kernels::{
    Windows,
    int8::{Affine, DepthwiseWeights, QuantizedConv, QuantizedDepthwise, QuantizedWeights, Requantization},
};
use onnx::{Node, Problem};
use std::sync::Arc;

/// A layer, and where its parameters are.
#[derive(Debug)]
pub(in crate::plan) struct QuantizedLayer {
    /// Name of the value that the node computes: of the packed weights as well.
    name: String,
    input: Dequantized,
    windows: Windows,
    is_conv: bool,
    weights: Packed,
    /// Of the input times that of the weights, of each output.
    scale: Vec<f32>,
    /// A bias that is not in the sums.
    bias: Vec<f32>,
    has_bias: bool,
}

/// Packed weights, which all plans share.
#[derive(Debug, Clone)]
pub(in crate::plan) enum Packed {
    Product(Arc<QuantizedWeights>),
    Depthwise(Arc<DepthwiseWeights>),
}

/// Weights `[outputs, channels, kernel]`, less their zero points, and their scales.
struct Weights {
    values: Vec<i8>,
    outputs: usize,
    channels: usize,
    kernel: [usize; 2],
    scale: Vec<f32>,
}

impl QuantizedLayer {
    /// The node as a layer that the kernels compute on integers: one group, or one of each channel, constant integer weights without a zero point that 8 bits
    /// do not hold, sums that fit int32.
    ///
    /// # Errors
    /// When an attribute has the wrong type.
    pub fn of(builder: &mut Builder<'_>, node: &Node) -> Result<Option<Self>, Problem> {
        let is_conv = node.is("Conv");
        if !is_conv && !node.is("Gemm") && !node.is("MatMul") {
            return Ok(None);
        }
        let gemm = ["alpha", "beta"].iter().map(|name| node.float(name, 1.0)).collect::<Result<Vec<_>, _>>()?;
        let is_plain = node.is("Gemm") && (node.int("transA", 0)? != 0 || gemm != [1.0, 1.0]);
        let group = if is_conv { node.int("group", 1)? } else { 1 };
        if is_plain {
            return Ok(None);
        }
        let transposed = is_conv || node.is("Gemm") && node.int("transB", 0)? != 0;
        let Some(weights) = Weights::of(builder, node, transposed) else { return Ok(None) };
        let is_depthwise = group > 1 && group as usize == weights.outputs && weights.channels == 1;
        if group != 1 && !is_depthwise {
            return Ok(None);
        }
        let channels = if is_depthwise { weights.outputs } else { weights.channels };
        let Some(windows) = geometry(builder, node, &weights, channels, is_conv)? else { return Ok(None) };
        Ok(Self::with(builder, node, windows, [is_conv, is_depthwise], &weights))
    }

    fn with(
        builder: &mut Builder<'_>,
        node: &Node,
        windows: Windows,
        [is_conv, is_depthwise]: [bool; 2],
        weights: &Weights,
    ) -> Option<Self> {
        let input = Dequantized::of(builder, node.input(0)?)?;
        let scale: Vec<f32> = weights.scale.iter().map(|scale| input.affine.scale * scale).collect();
        let name = node.output(0)?.to_owned();
        builder.floats(&name)?;
        let (integers, bias) = match node.input(2).filter(|_| !node.is("MatMul")) {
            None => (Vec::new(), Vec::new()),
            Some(bias) => bias_of(builder, bias, &scale)?,
        };
        let packed = match builder.cache.quantized.get(&name) {
            Some(packed) => packed.clone(),
            None => {
                let packed = if is_depthwise {
                    let packed = DepthwiseWeights::new(&weights.values, weights.outputs, &integers, input.affine)?;
                    Packed::Depthwise(Arc::new(packed))
                } else {
                    Packed::Product(Arc::new(weights.pack(windows.dilation[1] != 1, &integers, input.affine)?))
                };
                builder.cache.quantized.entry(name.clone()).or_insert(packed).clone()
            }
        };
        let has_bias = !integers.is_empty() || !bias.is_empty();
        Some(Self { name, input, windows, is_conv, weights: packed, scale, bias, has_bias })
    }

    /// Columns to which a constant may be added: none if the layer has a bias, or they are channels of images.
    pub fn bias_columns(&self) -> Option<usize> {
        (!self.is_conv && !self.has_bias).then_some(self.scale.len())
    }

    /// Adds the step; `output` is the node that quantizes what the chain computes.
    pub fn emit(mut self, builder: &mut Builder<'_>, epilogue: &Chain, output: Option<&Node>) -> Result<(), Problem> {
        let missing = || Problem::tensor(&self.name, "a value whose inputs no node computes");
        let target = output.and_then(|node| affine(builder, node));
        let name = output.and_then(|node| node.output(0)).unwrap_or(&epilogue.output);
        let shape = builder.shape(name).ok_or_else(missing)?;
        let integers = &self.input.integers;
        let source = if self.is_conv { builder.nhwc(integers) } else { builder.rows(integers) };
        let source = source.ok_or_else(missing)?;
        if let Some(bias) = &epilogue.bias {
            let constant = builder.graph.initializers.get(bias).and_then(floats).ok_or_else(missing)?;
            self.bias = constant;
        }
        let residual = epilogue.residual.as_ref();
        let residual = residual.map(|name| if self.is_conv { builder.nhwc(name) } else { builder.rows(name) });
        let residual = residual.map(|source| source.ok_or_else(missing)).transpose()?;
        let what = Requantization::new(&self.scale, &self.bias, residual.is_some(), epilogue.activation, target);
        let (step, input_len, len) = match self.weights {
            Packed::Product(weights) => {
                let conv = Box::new(QuantizedConv::new(self.windows, weights, what));
                let sizes = (conv.input_len(), conv.output_len());
                (QuantizedStep::Product(conv), sizes.0, sizes.1)
            }
            Packed::Depthwise(weights) => {
                let conv = Box::new(QuantizedDepthwise::new(self.windows, weights, what));
                let sizes = (conv.input_len(), conv.output_len());
                (QuantizedStep::Depthwise(conv), sizes.0, sizes.1)
            }
        };
        let reads: Vec<_> = [(source, input_len)].into_iter().chain(residual.map(|source| (source, len))).collect();
        let buffer = builder.add_quantized(step, &reads, len, target.is_some());
        let value = if self.is_conv { Value::nhwc(shape, buffer) } else { Value::rows(Some(shape), buffer) };
        builder.define(name, value);
        Ok(())
    }
}

/// The windows of a convolution, or the rows of a product; none if shapes do not fit.
fn geometry(
    builder: &Builder<'_>,
    node: &Node,
    weights: &Weights,
    channels: usize,
    is_conv: bool,
) -> Result<Option<Windows>, Problem> {
    if is_conv {
        return windows::of(builder, node, channels, weights.outputs, weights.kernel);
    }
    let Some(shape) = node.input(0).and_then(|name| builder.floats(name)) else { return Ok(None) };
    let fits = shape.len() >= 2 && shape.last() == Some(&weights.channels);
    let rows = shape.iter().rev().skip(1).product();
    Ok(fits.then(|| Windows::rows(rows)))
}

impl Weights {
    fn pack(&self, dilated: bool, bias: &[i32], input: Affine) -> Option<QuantizedWeights> {
        QuantizedWeights::new(&self.values, [self.outputs, self.channels], self.kernel, dilated, bias, input)
    }

    /// The second input of a node, `[outputs, inputs, kernel…]`, or `[inputs, outputs]` unless it is transposed.
    fn of(builder: &Builder<'_>, node: &Node, transposed: bool) -> Option<Self> {
        let (integers, dequantize) = constant(builder, node.input(1)?)?;
        let dims = integers.dims();
        let is_conv = node.is("Conv");
        let axis = usize::from(!transposed);
        let &outputs = dims.get(axis)?;
        let (channels, kernel) = match *dims {
            [a, b] if !is_conv => (if transposed { b } else { a }, [1, 1]),
            [_, channels, width] if is_conv => (channels, [1, width]),
            [_, channels, height, width] if is_conv => (channels, [height, width]),
            _ => return None,
        };
        let scale = along(builder, dequantize.input(1)?, dequantize, axis, dims, floats)?;
        let zero = match dequantize.input(2) {
            None => vec![0; outputs],
            Some(name) => along(builder, name, dequantize, axis, dims, integers_of)?,
        };
        let empty = outputs == 0 || channels == 0 || kernel.contains(&0);
        if empty || !scale.iter().all(|&scale| is_sound(scale)) {
            return None;
        }
        let depth = channels * kernel[0] * kernel[1];
        let elements = integers_of(integers)?;
        let at = |output: usize, k: usize| {
            let index = if transposed { output * depth + k } else { k * outputs + output };
            i8::try_from(elements[index].checked_sub(zero[output])?).ok()
        };
        let values = (0..outputs * depth).map(|i| at(i / depth, i % depth)).collect::<Option<Vec<_>>>()?;
        Some(Self { values, outputs, channels, kernel, scale })
    }
}

/// Integers that are constant, of a value that a `DequantizeLinear` without blocks computes, and that node.
fn constant<'a>(builder: &Builder<'a>, value: &str) -> Option<(&'a onnx::Tensor, &'a Node)> {
    let node = &builder.graph.nodes[*builder.links.producer.get(value)?];
    let integers = builder.graph.initializers.get(node.input(0)?)?;
    let unblocked = node.int("block_size", 0).ok()? == 0;
    (node.is("DequantizeLinear") && unblocked && builder.floats(value).is_some()).then_some((integers, node))
}

/// Scales or zero points of each index of an axis of a constant of shape `dims`.
fn along<T: Clone>(
    builder: &Builder<'_>,
    name: &str,
    dequantize: &Node,
    axis: usize,
    dims: &[usize],
    read: impl Fn(&onnx::Tensor) -> Option<Vec<T>>,
) -> Option<Vec<T>> {
    let parameter = builder.graph.initializers.get(name)?;
    let values = read(parameter)?;
    if let [value] = values.as_slice() {
        return Some(vec![value.clone(); dims[axis]]);
    }
    let given = dequantize.int("axis", 1).ok()?;
    let given = if given < 0 { given + dims.len() as i64 } else { given };
    (given == axis as i64 && parameter.dims() == [dims[axis]]).then_some(values)
}

/// A bias of a layer whose sums have these scales: as int32 in the same units, or as float32.
fn bias_of(builder: &Builder<'_>, name: &str, scale: &[f32]) -> Option<(Vec<i32>, Vec<f32>)> {
    let outputs = scale.len();
    let is_row = |dims: &[usize]| dims.last() == Some(&outputs) && dims.iter().product::<usize>() == outputs;
    if let Some(bias) = builder.graph.initializers.get(name) {
        let values = floats(bias)?;
        let small = values.iter().all(|bias| bias.abs() < 1e30);
        return (is_row(bias.dims()) && small).then_some((Vec::new(), values));
    }
    let (integers, dequantize) = constant(builder, name)?;
    let axis = integers.dims().len().checked_sub(1)?;
    if !is_row(integers.dims()) {
        return None;
    }
    let scales = along(builder, dequantize.input(1)?, dequantize, axis, integers.dims(), floats)?;
    let zero = match dequantize.input(2) {
        None => vec![0; outputs],
        Some(zero) => along(builder, zero, dequantize, axis, integers.dims(), integers_of)?,
    };
    let values = integers_of(integers)?;
    if zero.iter().any(|&zero| zero != 0) || !scales.iter().all(|&scale| (0.0..1e12).contains(&scale)) {
        return None;
    }
    if scales == scale {
        return Some((values, Vec::new()));
    }
    Some((Vec::new(), values.iter().zip(&scales).map(|(&bias, scale)| bias as f32 * scale).collect()))
}

/// Whether a node that quantizes has bounds of 8 bits: as the last of a chain.
pub(in crate::plan) fn quantizes(builder: &Builder<'_>, node: &Node) -> Option<Affine> {
    node.is("QuantizeLinear").then(|| affine(builder, node))?
}
