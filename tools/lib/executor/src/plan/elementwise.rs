//! Functions of elements.

use super::{
    build::Builder,
    linear::reals,
    step::{Arithmetic, Kind},
    values::Value,
};
use kernels::Activation;
use onnx::{DataType, Node, Problem};

/// The activation that a node of float32 values is.
///
/// # Errors
/// When an attribute has the wrong type.
pub(super) fn activation(builder: &Builder<'_>, node: &Node) -> Result<Option<Activation>, Problem> {
    let is_float = |name: Option<&str>| name.and_then(|name| builder.reals(name)).is_some();
    if !node.domain.is_empty() || !is_float(node.input(0)) || !is_float(node.output(0)) {
        return Ok(None);
    }
    Ok(match node.op_type.as_str() {
        "Relu" => Some(Activation::Relu),
        "LeakyRelu" => Some(Activation::LeakyRelu(node.float("alpha", 0.01)?)),
        "Sigmoid" => Some(Activation::Sigmoid),
        "Tanh" => Some(Activation::Tanh),
        "Gelu" if node.string("approximate")?.is_none_or(|how| how == "none") => Some(Activation::Gelu),
        "Swish" if node.float("alpha", 1.0)? == 1.0 => Some(Activation::Swish),
        "HardSigmoid" => Some(Activation::HardSigmoid(node.float("alpha", 0.2)?, node.float("beta", 0.5)?)),
        "HardSwish" => Some(Activation::HardSwish),
        "Clip" => clip(builder, node)?,
        _ => None,
    })
}

/// Constant bounds, which were attributes before operator set 11.
fn clip(builder: &Builder<'_>, node: &Node) -> Result<Option<Activation>, Problem> {
    let bounds = if node.inputs.len() == 1 {
        [Some(node.float("min", f32::NEG_INFINITY)?), Some(node.float("max", f32::INFINITY)?)]
    } else {
        let bound = |index, default| match node.input(index) {
            None => Some(default),
            Some(name) => match reals(builder.graph.initializers.get(name)?)?.as_slice() {
                [bound] => Some(*bound),
                _ => None,
            },
        };
        [bound(1, f32::NEG_INFINITY), bound(2, f32::INFINITY)]
    };
    Ok(match bounds {
        [Some(low), Some(high)] if low <= high => Some(Activation::Clip(low, high)),
        _ => None,
    })
}

/// Adds the step of a node, if it is such a function; whether it is.
///
/// # Errors
/// When an attribute has the wrong type.
pub(super) fn add(builder: &mut Builder<'_>, node: &Node) -> Result<bool, Problem> {
    if let Some(activation) = activation(builder, node)? {
        return Ok(unary(builder, node, activation).is_some());
    }
    if node.is("Concat") {
        return Ok(concat(builder, node, node.int("axis", 1)?).is_some());
    }
    if node.is("Cast") {
        return Ok(cast(builder, node).is_some());
    }
    let arithmetic = match node.op_type.as_str() {
        "Add" => Arithmetic::Add,
        "Sub" => Arithmetic::Sub,
        "Mul" => Arithmetic::Mul,
        "Div" => Arithmetic::Div,
        _ => return Ok(false),
    };
    Ok(binary(builder, node, arithmetic).or_else(|| broadcast(builder, node, arithmetic)).is_some())
}

fn unary(builder: &mut Builder<'_>, node: &Node, activation: Activation) -> Option<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let shape = builder.shape(output)?;
    let (rows, source) = builder.either(input)?;
    let len = shape.1.iter().product();
    let source = builder.add(Kind::Unary(activation), &[(source, len)], len);
    builder.define_rounded(output, Value::at(shape, rows, source));
    Some(())
}

/// Of a value and of another that has an element of each channel of an image, of each feature of a row, or one.
fn broadcast(builder: &mut Builder<'_>, node: &Node, arithmetic: Arithmetic) -> Option<()> {
    let (left, right, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let (shape, dims) = (builder.shape(output)?, builder.reals(output)?);
    let commutes = matches!(arithmetic, Arithmetic::Add | Arithmetic::Mul);
    let (whole, part) = if builder.reals(left)? == dims {
        (left, right)
    } else if commutes && builder.reals(right)? == dims {
        (right, left)
    } else {
        return None;
    };
    let part_dims = builder.reals(part)?;
    let padded: Vec<usize> = [&vec![1; dims.len().checked_sub(part_dims.len())?], part_dims.as_slice()].concat();
    let (len, part_len) = (dims.iter().product::<usize>(), padded.iter().product::<usize>());
    let in_rows = builder.value(whole)?.rows.is_some();
    let is_image = dims.len() == 4 && padded[1] == dims[1] && padded[2..] == [1, 1] && padded[0].max(1) <= dims[0];
    let (rows, row, group) = match (padded.as_slice(), is_image) {
        _ if part_len == 1 => (in_rows, 1, len),
        ([leading @ .., last], _) if Some(last) == dims.last() && in_rows && leading.iter().all(|&size| size == 1) => {
            (true, *last, len / last)
        }
        (&[images, ..], true) if !in_rows => (false, dims[1], len / dims[1] / images),
        _ => return None,
    };
    let source = if rows { builder.rows(whole)? } else { builder.nhwc(whole)? };
    let reads = [(source, len), (builder.rows(part)?, part_len)];
    let source = builder.add(Kind::Broadcast(arithmetic, row, group), &reads, len);
    builder.define_rounded(output, Value::at(shape, rows, source));
    Some(())
}

/// Joins values along an axis: images in NHWC along their channels, others row-major.
fn concat(builder: &mut Builder<'_>, node: &Node, axis: i64) -> Option<()> {
    let output = node.output(0)?;
    let (shape, dims) = (builder.shape(output)?, builder.reals(output)?);
    let axis = usize::try_from(if axis < 0 { axis + dims.len() as i64 } else { axis }).ok()?;
    let names: Vec<&str> = node.inputs.iter().map(String::as_str).collect();
    let shapes = names.iter().map(|name| builder.reals(name)).collect::<Option<Vec<_>>>()?;
    let fits =
        |shape: &Vec<usize>| shape.len() == dims.len() && (0..dims.len()).all(|i| i == axis || shape[i] == dims[i]);
    if axis >= dims.len()
        || !shapes.iter().all(fits)
        || shapes.iter().map(|shape| shape[axis]).sum::<usize>() != dims[axis]
    {
        return None;
    }
    let nhwc = dims.len() == 4
        && axis == 1
        && names.iter().any(|name| builder.value(name).is_some_and(|value| value.rows.is_none()));
    let mut reads = Vec::new();
    for (name, shape) in names.iter().zip(&shapes) {
        let source = if nhwc { builder.nhwc(name)? } else { builder.rows(name)? };
        reads.push((source, shape.iter().product()));
    }
    let rows = shapes.iter().map(|shape| if nhwc { shape[1] } else { shape[axis..].iter().product() }).collect();
    let source = builder.add(Kind::Concat(rows), &reads, dims.iter().product());
    builder.define(output, Value::at(shape, !nhwc, source));
    Some(())
}

/// Between float32 and float16.
fn cast(builder: &mut Builder<'_>, node: &Node) -> Option<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let (from, shape) = (builder.shape(input)?.0, builder.shape(output)?);
    let known = matches!((from, shape.0), (DataType::Float, DataType::Float16) | (DataType::Float16, DataType::Float));
    let (rows, source) = if known { builder.either(input)? } else { return None };
    builder.define_rounded(output, Value::at(shape, rows, source));
    Some(())
}

/// Of two values of the same shape.
fn binary(builder: &mut Builder<'_>, node: &Node, arithmetic: Arithmetic) -> Option<()> {
    let (left, right, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let shape = builder.reals(output)?;
    if builder.reals(left)? != shape || builder.reals(right)? != shape {
        return None;
    }
    let len = shape.iter().product();
    let shape = builder.shape(output)?;
    let in_rows = [left, right].iter().all(|name| builder.value(name).is_some_and(|value| value.rows.is_some()));
    let computed = if in_rows {
        let reads = [(builder.rows(left)?, len), (builder.rows(right)?, len)];
        Value::rows(Some(shape), builder.add(Kind::Binary(arithmetic), &reads, len))
    } else {
        let reads = [(builder.nhwc(left)?, len), (builder.nhwc(right)?, len)];
        Value::nhwc(shape, builder.add(Kind::Binary(arithmetic), &reads, len))
    };
    builder.define_rounded(output, computed);
    Some(())
}
