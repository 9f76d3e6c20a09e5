//! Operators whose output does not come from a tensor of its shape.

use super::super::{
    call::{Call, Outcome, shaped, unknown},
    expression::{MAX_RANK, MAX_VALUES},
};
use rten_shape_inference::{SymExpr, SymTensor, ops};

/// A `Constant` that is no dense tensor: strings, or sparse.
pub fn constant(call: &Call) -> Outcome {
    let strings = call.node.attribute("value_strings").map(|it| call.symbols.value(it.strings.len() as i64));
    match (strings, call.node.attribute("value_string")) {
        (Some(count), _) => shaped(vec![count]),
        (None, Some(_)) => shaped(Vec::new()),
        (None, None) => Ok(vec![unknown()]),
    }
}

/// A tensor of one value; its shape is an input.
pub fn constant_of_shape(call: &Call) -> Outcome {
    let value = match call.node.tensor("value")? {
        Some(value) => {
            value.to_i64().and_then(|values| values.first().copied()).and_then(|value| i32::try_from(value).ok())
        }
        // Zero by default, a float32, of which elements are not followed.
        None => None,
    };
    match call.tensor(0)?.values() {
        Some(sizes) if sizes.len() > MAX_RANK => Ok(vec![unknown()]),
        Some([SymExpr::Value(len)]) if usize::try_from(*len).is_ok_and(|len| len <= MAX_VALUES) => {
            call.rten(&ops::ConstantOfShape { value })
        }
        Some(sizes) if !sizes.is_empty() => shaped(sizes.to_vec()),
        Some(_) => call.rten(&ops::ConstantOfShape { value }),
        None => Ok(vec![match call.tensor(0)?.size(0) {
            Some(SymExpr::Value(rank)) => usize::try_from(rank).map_or_else(|_| unknown(), |rank| call.of_rank(rank)),
            _ => unknown(),
        }]),
    }
}

/// Equidistant values; of floating-point ones the number is computed from constants.
pub fn range(call: &Call) -> Outcome {
    let float = |index| call.constant(index).and_then(|it| it.to_f64()).and_then(|values| values.first().copied());
    if let (Some(start), Some(limit), Some(step)) = (float(0), float(1), float(2)) {
        let count = ((limit - start) / step).ceil();
        return match count {
            count if count.is_nan() || step == 0.0 => Err(call.fault(format!("from {start} to {limit} by {step}"))),
            count if count <= f64::from(i32::MAX) => shaped(vec![SymExpr::Value(count.max(0.0) as i32)]),
            _ => Ok(vec![call.of_rank(1)]),
        };
    }
    let scalars = (0..3)
        .map(|index| Ok(matches!(call.tensor(index)?.values(), None | Some([_]))))
        .collect::<Result<Vec<_>, crate::Problem>>()?;
    if scalars.contains(&false) {
        return Err(call.fault("an input is no scalar"));
    }
    call.rten(&ops::Range)
}

/// Random values of a shape that is an attribute.
pub fn random(call: &Call) -> Outcome {
    match call.node.ints("shape")? {
        Some(shape) => shaped(shape.iter().take(MAX_RANK + 1).map(|&size| call.symbols.value(size)).collect()),
        None => Err(call.fault("attribute shape is missing")),
    }
}

/// Samples of each row of `[batch, classes]`.
pub fn multinomial(call: &Call) -> Outcome {
    let samples = SymExpr::Value(call.int("sample_size", 1)?);
    let batch = call.dims(0)?.and_then(|dims| dims.first().cloned()).unwrap_or_else(|| call.symbols.unknown());
    Ok(vec![SymTensor::from_shape(vec![batch, samples])])
}
