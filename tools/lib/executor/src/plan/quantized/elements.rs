//! Nodes between `DequantizeLinear` and `QuantizeLinear` that compute each integer from integers of the same index or of a window.

use super::{Dequantized, QuantizedStep, affine};
use crate::plan::{build::Builder, elementwise, pool, values::Value};
use kernels::{
    Activation,
    int8::{self, Affine, Table},
    pool::WindowPool,
};
use onnx::{Node, Problem};

/// What becomes of integers.
#[derive(Debug)]
enum What {
    /// A function of each; of the same affine, if it is a view in another shape.
    Unary(Activation),
    View,
    /// The sum with another value.
    Add(Dequantized, [f32; 2]),
    MaxPool(WindowPool),
    GlobalAverage(WindowPool),
}

/// Nodes that end in a `QuantizeLinear`.
#[derive(Debug)]
pub(in crate::plan) struct Elements {
    what: What,
    input: Dequantized,
    to: Affine,
    /// The integers that are computed.
    output: String,
    /// Indices of the nodes before the last one.
    pub inner: Vec<usize>,
}

impl Elements {
    /// The nodes that end in `node`, which quantizes, if steps compute them on integers. Nothing else reads the values between.
    ///
    /// # Errors
    /// When an attribute has the wrong type.
    pub fn of(builder: &Builder<'_>, node: &Node) -> Result<Option<Self>, Problem> {
        let found = (|| {
            let to = node.is("QuantizeLinear").then(|| affine(builder, node))??;
            Some((to, node.input(0)?, node.output(0)?.to_owned()))
        })();
        let Some((to, value, output)) = found else { return Ok(None) };
        if let Some(input) = Dequantized::of(builder, value) {
            return Ok(Some(Self { what: What::Unary(Activation::Identity), input, to, output, inner: vec![] }));
        }
        let Some((last, mut inner)) = inner(builder, value) else { return Ok(None) };
        let activation = elementwise::activation(builder, last)?;
        if let Some(activation) = activation
            && let Some(input) = last.input(0).and_then(|name| Dequantized::of(builder, name))
        {
            return Ok(Some(Self { what: What::Unary(activation), input, to, output, inner }));
        }
        // An activation of bounds may follow a sum.
        let (last, bounds) = match activation.map(bounds) {
            None => (last, Some([f32::NEG_INFINITY, f32::INFINITY])),
            Some(bounds) => match last.input(0).and_then(|name| self::inner(builder, name)) {
                Some((node, more)) => {
                    inner.extend(more);
                    (node, bounds)
                }
                None => return Ok(None),
            },
        };
        let Some(bounds) = bounds else { return Ok(None) };
        let Some(input) = last.input(0).and_then(|name| Dequantized::of(builder, name)) else { return Ok(None) };
        let what = match last.op_type.as_str() {
            "Add" => sum(builder, last, bounds),
            _ if activation.is_some() => None,
            _ => window(builder, last, input.affine == to)?,
        };
        Ok(what.map(|what| Self { what, input, to, output, inner }))
    }

    /// Adds the step.
    pub fn emit(self, builder: &mut Builder<'_>) -> Result<(), Problem> {
        let missing = || Problem::tensor(&self.output, "a value whose inputs no node computes");
        let shape = builder.shape(&self.output).ok_or_else(missing)?;
        let from = builder.value(&self.input.integers).ok_or_else(missing)?;
        let len: usize = shape.1.iter().product();
        let same = from.shape.as_ref().is_some_and(|(_, from)| *from == shape.1);
        let affine = self.input.affine;
        let value = match self.what {
            What::View | What::Unary(Activation::Identity) if affine == self.to && same => from,
            What::View => Value::rows(Some(shape), builder.rows(&self.input.integers).ok_or_else(missing)?),
            What::Unary(activation) => {
                let step = QuantizedStep::Table(table(affine, activation, self.to));
                let (rows, source) = from.either().ok_or_else(missing)?;
                Value::at(shape, rows, builder.add_quantized(step, &[(source, len)], len, true))
            }
            What::Add(other, bounds) => {
                let second = builder.value(&other.integers).ok_or_else(missing)?;
                let rows = from.rows.is_some() && second.rows.is_some();
                let mut read = |name: &str| if rows { builder.rows(name) } else { builder.nhwc(name) };
                let [a, b] = [read(&self.input.integers), read(&other.integers)];
                let reads = [(a.ok_or_else(missing)?, len), (b.ok_or_else(missing)?, len)];
                let step = QuantizedStep::Add([affine, other.affine, self.to], bounds);
                Value::at(shape, rows, builder.add_quantized(step, &reads, len, true))
            }
            What::MaxPool(pool) => {
                let read = (builder.nhwc(&self.input.integers).ok_or_else(missing)?, from.len());
                let step = QuantizedStep::MaxPool(pool, affine.signed);
                Value::nhwc(shape, builder.add_quantized(step, &[read], len, true))
            }
            What::GlobalAverage(pool) => {
                let read = (builder.nhwc(&self.input.integers).ok_or_else(missing)?, from.len());
                let sizes = [pool.input[0] * pool.input[1], pool.channels];
                let step = QuantizedStep::GlobalAverage([affine, self.to], sizes);
                Value::nhwc(shape, builder.add_quantized(step, &[read], len, true))
            }
        };
        builder.define(&self.output, value);
        Ok(())
    }
}

/// The node that computes a value which one node reads.
fn inner<'a>(builder: &Builder<'a>, value: &str) -> Option<(&'a Node, Vec<usize>)> {
    let index = *builder.links.producer.get(value)?;
    let node = &builder.graph.nodes[index];
    let own =
        builder.links.consumers(value).len() == 1 && !builder.graph.is_output(value) && node.output(0) == Some(value);
    own.then(|| (node, vec![index]))
}

/// The bounds that are a whole activation.
fn bounds(activation: Activation) -> Option<[f32; 2]> {
    match activation {
        Activation::Relu => Some([0.0, f32::INFINITY]),
        Activation::Clip(low, high) => Some([low, high]),
        _ => None,
    }
}

/// A sum of two quantized values of the same shape.
fn sum(builder: &Builder<'_>, node: &Node, bounds: [f32; 2]) -> Option<What> {
    let shape = builder.floats(node.output(0)?);
    let same = node.inputs.len() == 2 && node.inputs.iter().all(|name| builder.floats(name) == shape);
    let other = Dequantized::of(builder, node.input(1)?)?;
    same.then_some(What::Add(other, bounds))
}

/// A node of one input; `same` says whether input and output have the same scale and zero point.
fn window(builder: &Builder<'_>, node: &Node, same: bool) -> Result<Option<What>, Problem> {
    let views = ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"];
    if same && views.iter().any(|op| node.is(op)) {
        let len = |name: Option<&str>| Some(builder.floats(name?)?.iter().product::<usize>());
        let fits = len(node.input(0)).is_some() && len(node.input(0)) == len(node.output(0));
        return Ok(fits.then_some(What::View));
    }
    Ok(match pool::of(builder, node)? {
        Some(pool::Pool::Max(pool)) if same => Some(What::MaxPool(pool)),
        Some(pool::Pool::Average(pool, _)) if pool.kernel == pool.input && pool.output == [1, 1] => {
            Some(What::GlobalAverage(pool))
        }
        _ => None,
    })
}

/// The function of each byte: dequantized, activated, quantized.
fn table(from: Affine, activation: Activation, to: Affine) -> Table {
    let bytes: [u8; 256] = std::array::from_fn(|byte| byte as u8);
    let (mut reals, mut outputs) = ([0.0; 256], [0; 256]);
    int8::dequantize(from, &bytes, &mut reals);
    activation.apply(&mut reals);
    int8::quantize(to, &reals, &mut outputs);
    Table::new(outputs)
}
