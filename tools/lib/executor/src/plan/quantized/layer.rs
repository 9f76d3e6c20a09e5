//! Convolutions and fully connected layers of quantized inputs and weights.

use super::{Dequantized, QuantizedStep, affine, integers_of, is_sound};
use crate::plan::{build::Builder, chain::Chain, linear::floats, step::Source, values::Value, windows};
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
    form: Form,
    weights: Packed,
    /// Of the input times that of the weights, of each output.
    scale: Vec<f32>,
    bias: Bias,
}

/// What a layer reads.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    /// Rows of features.
    Rows,
    /// Images, all channels at once.
    Images,
    /// Images, each channel by itself.
    Channels,
}

/// A bias of a layer.
#[derive(Debug)]
enum Bias {
    None,
    /// In units of the input's scale times the weights'.
    Integers(Vec<i32>),
    Floats(Vec<f32>),
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
    /// The node as a layer that the kernels compute on integers: one group, or one of each channel; constant integer weights that 8
    /// bits hold less their zero points; sums that are exact.
    ///
    /// # Errors
    /// When an attribute has the wrong type.
    pub fn of(builder: &mut Builder<'_>, node: &Node) -> Result<Option<Self>, Problem> {
        let (is_conv, is_gemm) = (node.is("Conv"), node.is("Gemm"));
        if !is_conv && !is_gemm && !node.is("MatMul") {
            return Ok(None);
        }
        if is_gemm
            && (node.int("transA", 0)? != 0 || node.float("alpha", 1.0)? != 1.0 || node.float("beta", 1.0)? != 1.0)
        {
            return Ok(None);
        }
        let transposed = is_conv || is_gemm && node.int("transB", 0)? != 0;
        let Some(weights) = Weights::of(builder, node, transposed) else { return Ok(None) };
        let form = match (is_conv, node.int("group", 1)?) {
            (false, _) => Form::Rows,
            (true, 1) => Form::Images,
            (true, groups) if weights.channels == 1 && usize::try_from(groups) == Ok(weights.outputs) => Form::Channels,
            _ => return Ok(None),
        };
        let Some(windows) = weights.windows(builder, node, form)? else { return Ok(None) };
        Ok(Self::with(builder, node, form, windows, &weights))
    }

    fn with(builder: &mut Builder<'_>, node: &Node, form: Form, windows: Windows, weights: &Weights) -> Option<Self> {
        let input = Dequantized::of(builder, node.input(0)?)?;
        let scale: Vec<f32> = weights.scale.iter().map(|scale| input.affine.scale * scale).collect();
        let name = node.output(0)?.to_owned();
        builder.floats(&name)?;
        let bias = match node.input(2).filter(|_| !node.is("MatMul")) {
            None => Bias::None,
            Some(bias) => bias_of(builder, bias, &scale)?,
        };
        let packed = match builder.cache.quantized.get(&name) {
            Some(packed) => packed.clone(),
            None => {
                let packed = weights.pack(form, windows.dilation[1] != 1, &bias, input.affine)?;
                builder.cache.quantized.insert(name.clone(), packed.clone());
                packed
            }
        };
        Some(Self { name, input, windows, form, weights: packed, scale, bias })
    }

    /// Columns to which a constant may be added: none if the layer has a bias, or they are channels of images.
    pub fn bias_columns(&self) -> Option<usize> {
        (self.form == Form::Rows && matches!(self.bias, Bias::None)).then_some(self.scale.len())
    }

    /// Where a value lies as the layer reads and writes it.
    fn lies(&self, builder: &mut Builder<'_>, name: &str) -> Option<Source> {
        if self.form == Form::Rows { builder.rows(name) } else { builder.nhwc(name) }
    }

    /// Adds the step; `output` is the node that quantizes what the chain computes.
    pub fn emit(self, builder: &mut Builder<'_>, epilogue: &Chain, output: Option<&Node>) -> Result<(), Problem> {
        let missing = || Problem::tensor(&self.name, "a value whose inputs no node computes");
        let target = output.and_then(|node| affine(builder, node));
        let name = output.and_then(|node| node.output(0)).unwrap_or(&epilogue.output);
        let shape = builder.shape(name).ok_or_else(missing)?;
        let input_len = builder.value(&self.input.integers).ok_or_else(missing)?.len();
        let len: usize = shape.1.iter().product();
        let mut reads = vec![(self.lies(builder, &self.input.integers).ok_or_else(missing)?, input_len)];
        if let Some(residual) = &epilogue.residual {
            reads.push((self.lies(builder, residual).ok_or_else(missing)?, len));
        }
        let added = epilogue.bias.as_ref().and_then(|name| floats(builder.graph.initializers.get(name)?));
        let bias = match (&added, &self.bias) {
            (Some(bias), _) | (None, Bias::Floats(bias)) => bias.as_slice(),
            _ => &[],
        };
        let what = Requantization::new(&self.scale, bias, reads.len() > 1, epilogue.activation, target);
        let step = match &self.weights {
            Packed::Product(weights) => {
                QuantizedStep::Product(Box::new(QuantizedConv::new(self.windows, weights.clone(), what)))
            }
            Packed::Depthwise(weights) => {
                QuantizedStep::Depthwise(Box::new(QuantizedDepthwise::new(self.windows, weights.clone(), what)))
            }
        };
        let buffer = builder.add_quantized(step, &reads, len, target.is_some());
        builder.define(name, Value::at(shape, self.form == Form::Rows, buffer));
        Ok(())
    }
}

impl Weights {
    /// The windows of a convolution, or the rows of a product; none if shapes do not fit.
    fn windows(&self, builder: &Builder<'_>, node: &Node, form: Form) -> Result<Option<Windows>, Problem> {
        match form {
            Form::Images => windows::of(builder, node, self.channels, self.outputs, self.kernel),
            Form::Channels => windows::of(builder, node, self.outputs, self.outputs, self.kernel),
            Form::Rows => {
                let Some(shape) = node.input(0).and_then(|name| builder.floats(name)) else { return Ok(None) };
                let fits = shape.len() >= 2 && shape.last() == Some(&self.channels);
                let rows = shape.iter().rev().skip(1).product();
                Ok(fits.then(|| Windows::rows(rows)))
            }
        }
    }

    fn pack(&self, form: Form, dilated: bool, bias: &Bias, input: Affine) -> Option<Packed> {
        let bias = if let Bias::Integers(bias) = bias { bias.as_slice() } else { &[] };
        Some(match form {
            Form::Channels => {
                Packed::Depthwise(Arc::new(DepthwiseWeights::new(&self.values, self.outputs, bias, input)?))
            }
            Form::Rows | Form::Images => {
                let sizes = [self.outputs, self.channels];
                Packed::Product(Arc::new(QuantizedWeights::new(
                    &self.values,
                    sizes,
                    self.kernel,
                    dilated,
                    bias,
                    input,
                )?))
            }
        })
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
fn bias_of(builder: &Builder<'_>, name: &str, scale: &[f32]) -> Option<Bias> {
    let outputs = scale.len();
    let is_row = |dims: &[usize]| dims.last() == Some(&outputs) && dims.iter().product::<usize>() == outputs;
    if let Some(bias) = builder.graph.initializers.get(name) {
        let values = floats(bias)?;
        let small = values.iter().all(|bias| bias.abs() < 1e30);
        return (is_row(bias.dims()) && small).then_some(Bias::Floats(values));
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
        return Some(Bias::Integers(values));
    }
    Some(Bias::Floats(values.iter().zip(&scales).map(|(&bias, scale)| bias as f32 * scale).collect()))
}

/// Whether a node that quantizes has bounds of 8 bits: as the last of a chain.
pub(in crate::plan) fn quantizes(builder: &Builder<'_>, node: &Node) -> Option<Affine> {
    node.is("QuantizeLinear").then(|| affine(builder, node))?
}
