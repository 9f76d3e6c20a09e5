//! Reductions over axes.

use super::super::{
    call::{Call, Outcome, shaped, unknown},
    expression::{known, number},
};
use rten_shape_inference::{SymExpr, SymTensor};

/// `Reduce*`: the axes are an attribute, since operator set 18 (13 for sums) an input.
pub fn reduce(call: &Call) -> Outcome {
    let keep_dims = call.node.int("keepdims", 1)? != 0;
    let Some(dims) = call.dims(0)? else { return Ok(vec![unknown()]) };
    let axes = if call.has(1) { call.values(1) } else { Some(call.node.ints("axes")?.unwrap_or_default().to_vec()) };
    let Some(axes) = axes else {
        return Ok(vec![if keep_dims { call.of_rank(dims.len()) } else { unknown() }]);
    };
    if axes.is_empty() && call.node.int("noop_with_empty_axes", 0)? != 0 {
        return shaped(dims);
    }
    let axes = call.axes(&axes, dims.len())?;
    // No axes are all axes.
    let is_reduced = |axis: usize| axes.is_empty() || axes.contains(&axis);
    let reduce = |(axis, size)| match (is_reduced(axis), keep_dims) {
        (false, _) => Some(size),
        (true, true) => Some(SymExpr::Value(1)),
        (true, false) => None,
    };
    shaped(dims.into_iter().enumerate().filter_map(reduce).collect())
}

/// `ArgMax`, `ArgMin`.
pub fn arg(call: &Call) -> Outcome {
    let Some(mut dims) = call.dims(0)? else { return Ok(vec![unknown()]) };
    let axis = call.axis(call.node.int("axis", 0)?, dims.len())?;
    if call.node.int("keepdims", 1)? != 0 {
        dims[axis] = SymExpr::Value(1);
    } else {
        dims.remove(axis);
    }
    shaped(dims)
}

/// The k largest along an axis, and their indices.
pub fn top_k(call: &Call) -> Outcome {
    let Some(mut dims) = call.dims(0)? else { return Ok(vec![unknown(), unknown()]) };
    let axis = call.axis(call.node.int("axis", -1)?, dims.len())?;
    let k = match call.inputs.get(1) {
        Some(Some(k)) => k.tensor.values().and_then(|values| values.first().cloned()),
        _ => Some(number(call.node.int("k", -1)?.into())),
    };
    if let (Some(k), Some(size)) = (k.as_ref().and_then(known), known(&dims[axis]))
        && !(0..=size).contains(&k)
    {
        return Err(call.fault(format!("the largest {k} of {size}")));
    }
    dims[axis] = k.unwrap_or_else(|| call.symbols.unknown());
    let shape = SymTensor::from_shape(dims);
    Ok(vec![shape.clone(), shape])
}
