//! Operators whose output does not come from a tensor of its shape.

use super::super::{
    call::{Call, Outcome, shaped, unknown},
    expression::{MAX_RANK, MAX_VALUES, known, number},
};
use rten_shape_inference::{SymExpr, SymTensor, ops};

/// A `Constant` that is no dense tensor: strings, or sparse.
pub fn constant(call: &Call) -> Outcome {
    let strings = call.node.attribute("value_strings").map(|it| number(it.strings.len() as i128));
    match (strings, call.node.attribute("value_string")) {
        (Some(count), _) => shaped(vec![count]),
        (None, Some(_)) => shaped(Vec::new()),
        (None, None) => Ok(vec![unknown()]),
    }
}

/// A tensor of one value; its shape is an input.
pub fn constant_of_shape(call: &Call) -> Outcome {
    let shape = call.tensor(0)?;
    let Some(sizes) = shape.values() else { return Ok(vec![call.ranked_by(shape)]) };
    // Zero by default, a float32, of which elements are not followed.
    let value = call.node.tensor("value")?.and_then(|value| value.to_i64()).and_then(|values| values.first().copied());
    let value = value.map(|value| number(value.into()));
    let short = |size: &SymExpr| usize::try_from(known(size)?).ok().filter(|&len| len <= MAX_VALUES);
    match (value, sizes) {
        (_, sizes) if sizes.len() > MAX_RANK => Ok(vec![unknown()]),
        (Some(value), []) => Ok(vec![SymTensor::from_scalar(value)]),
        (Some(value), [size]) if short(size).is_some() => {
            Ok(vec![SymTensor::from_vec(vec![value; short(size).unwrap_or_default()])])
        }
        (_, sizes) => shaped(sizes.to_vec()),
    }
}

/// Equidistant values; of floating-point ones the number is computed from constants.
pub fn range(call: &Call) -> Outcome {
    let float = |index| call.constant(index).and_then(|it| it.to_f64()).and_then(|values| values.first().copied());
    if let (Some(start), Some(limit), Some(step)) = (float(0), float(1), float(2)) {
        let count = ((limit - start) / step).ceil();
        if step == 0.0 || !count.is_finite() {
            return Err(call.fault(format!("from {start} to {limit} by {step}")));
        }
        return shaped(vec![number(count.max(0.0) as i128)]);
    }
    let integer = |index| match call.tensor(index)?.values() {
        Some([value]) => Ok(known(value)),
        Some(_) => Err(call.fault(format!("input {index} is no scalar"))),
        None => Ok(None),
    };
    match (integer(0)?, integer(1)?, integer(2)?) {
        (Some(start), Some(limit), Some(step)) => integers(call, start, limit, step),
        _ => call.rten(&ops::Range),
    }
}

/// ⌈(limit − start) / step⌉ integers, all of 64 bits, if that is positive; else none.
fn integers(call: &Call, start: i128, limit: i128, step: i128) -> Outcome {
    let (span, stride) = if step > 0 { (limit - start, step) } else { (start - limit, -step) };
    if stride == 0 {
        return Err(call.fault("the step is 0"));
    }
    let count = if span > 0 { (span - 1) / stride + 1 } else { 0 };
    if count > MAX_VALUES as i128 {
        return shaped(vec![number(count)]);
    }
    Ok(vec![SymTensor::from_vec((0..count).map(|index| number(start + index * step)).collect())])
}

/// Random values of a shape that is an attribute.
pub fn random(call: &Call) -> Outcome {
    match call.node.ints("shape")? {
        Some(shape) => shaped(shape.iter().take(MAX_RANK + 1).map(|&size| number(size.into())).collect()),
        None => Err(call.fault("attribute shape is missing")),
    }
}

/// Samples of each row of `[batch, classes]`.
pub fn multinomial(call: &Call) -> Outcome {
    let samples = number(call.node.int("sample_size", 1)?.into());
    let batch = call.dims(0)?.and_then(|dims| dims.first().cloned()).unwrap_or_else(|| call.symbols.unknown());
    Ok(vec![SymTensor::from_shape(vec![batch, samples])])
}
