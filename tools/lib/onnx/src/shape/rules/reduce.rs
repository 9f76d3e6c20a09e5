//! Reductions over axes.

use super::super::call::{Call, Outcome, shaped, unknown};
use rten_shape_inference::{ReductionOp, SymExpr, SymTensor};

/// `Reduce*`: the axes are an attribute, since operator set 18 (13 for sums) an input.
pub fn reduce(call: &Call) -> Outcome {
    let keep_dims = call.node.int("keepdims", 1)? != 0;
    let Some(dims) = call.dims(0)? else { return Ok(vec![unknown()]) };
    let axes = if call.has(1) { call.values(1) } else { Some(call.node.ints("axes")?.unwrap_or_default().to_vec()) };
    let Some(axes) = axes else {
        let unknown_axes = vec![Some(SymTensor::from_shape(dims)), Some(unknown())];
        return call.rten_with(&ReductionOp { axes: None, keep_dims }, unknown_axes);
    };
    if axes.is_empty() && call.node.int("noop_with_empty_axes", 0)? != 0 {
        return shaped(dims);
    }
    // No axes are all axes.
    let axes = call.axes(&axes, dims.len())?;
    let axes: Vec<i32> =
        if axes.is_empty() { (0..dims.len() as i32).collect() } else { axes.iter().map(|&a| a as i32).collect() };
    call.rten_with(&ReductionOp { axes: Some(&axes), keep_dims }, vec![Some(SymTensor::from_shape(dims))])
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
        _ => Some(call.symbols.value(call.node.int("k", -1)?)),
    };
    if let (Some(SymExpr::Value(k)), SymExpr::Value(size)) = (&k, &dims[axis])
        && (*k < 0 || k > size)
    {
        return Err(call.fault(format!("the largest {k} of {size}")));
    }
    dims[axis] = k.unwrap_or_else(|| call.symbols.unknown());
    let shape = SymTensor::from_shape(dims);
    Ok(vec![shape.clone(), shape])
}
