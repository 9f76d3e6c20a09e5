//! Functions of elements.

use super::{
    build::Builder,
    linear::floats,
    step::{Arithmetic, Kind},
    values::Value,
};
use kernels::Activation;
use onnx::{Node, Problem};

/// The activation that a node of float32 values is.
///
/// # Errors
/// When an attribute has the wrong type.
pub(super) fn activation(builder: &Builder<'_>, node: &Node) -> Result<Option<Activation>, Problem> {
    let is_float = |name: Option<&str>| name.and_then(|name| builder.floats(name)).is_some();
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
            Some(name) => match floats(builder.graph.initializers.get(name)?)?.as_slice() {
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
    let arithmetic = match node.op_type.as_str() {
        "Add" => Arithmetic::Add,
        "Sub" => Arithmetic::Sub,
        "Mul" => Arithmetic::Mul,
        "Div" => Arithmetic::Div,
        _ => return Ok(false),
    };
    Ok(binary(builder, node, arithmetic).is_some())
}

fn unary(builder: &mut Builder<'_>, node: &Node, activation: Activation) -> Option<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    let shape = builder.shape(output)?;
    let value = builder.value(input)?;
    let len = shape.1.iter().product();
    let read = |source| [(source, len)];
    let computed = match (value.rows, value.nhwc) {
        (Some(source), _) => Value::rows(Some(shape), builder.add(Kind::Unary(activation), &read(source), len)),
        (None, source) => Value::nhwc(shape, builder.add(Kind::Unary(activation), &read(source?), len)),
    };
    builder.define(output, computed);
    Some(())
}

/// Of two values of the same shape.
fn binary(builder: &mut Builder<'_>, node: &Node, arithmetic: Arithmetic) -> Option<()> {
    let (left, right, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let shape = builder.floats(output)?;
    if builder.floats(left)? != shape || builder.floats(right)? != shape {
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
    builder.define(output, computed);
    Some(())
}
