//! Operators that broadcast, and norms.

use super::super::{
    call::{Call, Outcome, shape_of, shaped, unknown},
    expression::{known, number},
};
use crate::DataType;
use rten_shape_inference::{SymExpr, SymTensor};

/// An operator over broadcast inputs; integer vectors are followed through arithmetic.
pub fn infer(call: &Call) -> Outcome {
    let expected = match call.node.op_type.as_str() {
        "Max" | "Mean" | "Min" | "Sum" => call.inputs.len().max(1),
        "Where" => 3,
        _ => 2,
    };
    if call.inputs.len() != expected {
        return Err(call.fault(format!("{} inputs, expected {expected}", call.inputs.len())));
    }
    if let Some(values) = values(call) {
        return Ok(vec![values]);
    }
    let all: Vec<_> = (0..call.inputs.len()).collect();
    broadcast_of(call, &all)
}

/// One output with the broadcast shape of some inputs.
pub fn broadcast_of(call: &Call, inputs: &[usize]) -> Outcome {
    let mut shape = Vec::new();
    for &index in inputs {
        let Some(dims) = call.dims(index)? else { return Ok(vec![unknown()]) };
        shape = call.broadcast(&shape, &dims)?;
    }
    shaped(shape)
}

/// The elements of the output, where those of the inputs are known.
fn values(call: &Call) -> Option<SymTensor> {
    let operands = call.inputs.iter().map(|input| input.as_ref().map(|fact| &fact.tensor));
    let operands = operands.collect::<Option<Vec<_>>>()?;
    let len = common_length(&operands)?;
    let element = |tensor: &SymTensor, index: usize| {
        let values = tensor.values()?;
        values.get(if values.len() == 1 { 0 } else { index }).cloned()
    };
    let compute = |index| {
        let operands = operands.iter().map(|tensor| element(tensor, index)).collect::<Option<Vec<_>>>()?;
        scalar(call, &operands)
    };
    let elements = (0..len).map(compute).collect::<Option<Vec<_>>>()?;
    if operands.iter().any(|operand| operand.ndim() == Some(1)) {
        return Some(SymTensor::from_vec(elements));
    }
    elements.into_iter().next().map(SymTensor::from_scalar)
}

/// Number of elements of scalars and vectors that broadcast to each other.
fn common_length(operands: &[&SymTensor]) -> Option<usize> {
    let mut common = 1;
    for operand in operands {
        match operand.values()?.len() {
            1 => {}
            len if common == 1 || common == len => common = len,
            _ => return None,
        }
    }
    Some(common)
}

/// One element of the output; None where the operator's result is not an expression.
fn scalar(call: &Call, operands: &[SymExpr]) -> Option<SymExpr> {
    let result = match (call.node.op_type.as_str(), operands) {
        ("Add", [a, b]) => a.clone() + b.clone(),
        ("Sub", [a, b]) => a.clone() - b.clone(),
        ("Mul", [a, b]) => a.clone() * b.clone(),
        ("Div", [a, b]) => quotient(a, b)?,
        ("Max", [a, b]) => a.max(b),
        ("Min", [a, b]) => a.min(b),
        ("Where", [condition, yes, no]) => if known(condition)? == 0 { no } else { yes }.clone(),
        ("Equal", [a, b]) if a == b => SymExpr::Value(1),
        // A size is no -1, which marks the rest in shapes.
        ("Equal", [a, b] | [b, a]) if a.is_positive() && known(b).is_some_and(|b| b < 0) => SymExpr::Value(0),
        (op, [a, b]) => SymExpr::Value(compare(op, known(a)?, known(b)?)?.into()),
        _ => return None,
    };
    Some(call.symbols.settle(&result))
}

/// A quotient where rounding down and towards zero are the same.
fn quotient(a: &SymExpr, b: &SymExpr) -> Option<SymExpr> {
    match (known(a), known(b)) {
        (Some(a), Some(b)) => a.checked_div(b).map(number),
        (_, Some(b)) if b <= 0 => None,
        _ if a.is_positive() && b.is_positive() => Some(a.clone() / b.clone()),
        _ => None,
    }
}

fn compare(op: &str, a: i128, b: i128) -> Option<bool> {
    Some(match op {
        "Equal" => a == b,
        "Greater" => a > b,
        "GreaterOrEqual" => a >= b,
        "Less" => a < b,
        "LessOrEqual" => a <= b,
        "And" => a != 0 && b != 0,
        "Or" => a != 0 || b != 0,
        "Xor" => (a != 0) != (b != 0),
        _ => return None,
    })
}

/// `[batch, channels, …]` with scale, shift, mean and variance `[channels]`; further outputs are running statistics.
pub fn batch_norm(call: &Call) -> Outcome {
    let Some(mut dims) = call.dims(0)? else {
        return Ok(vec![unknown()]);
    };
    let mut statistics = unknown();
    if dims.len() > 1 {
        for index in 1..call.inputs.len().min(5) {
            match call.dims(index)?.as_deref() {
                Some([channels]) => dims[1] = call.same(&dims[1], channels, "the numbers of channels")?,
                Some(_) => return Err(call.fault(format!("input {index} is no vector"))),
                None => {}
            }
        }
        statistics = SymTensor::from_shape(vec![dims[1].clone()]);
    }
    let mut outputs = vec![SymTensor::from_shape(dims)];
    outputs.extend((1..call.node.outputs.len()).map(|_| statistics.clone()));
    Ok(outputs)
}

/// The input's shape; mean and inverse deviation have 1 in each normalized axis.
pub fn layer_norm(call: &Call) -> Outcome {
    let shape = shape_of(call.tensor(0)?);
    let Some(mut dims) = call.dims(0)? else { return Ok(vec![shape]) };
    let axis = call.axis(call.node.int("axis", -1)?, dims.len())?;
    dims[axis..].fill(SymExpr::Value(1));
    let statistics = SymTensor::from_shape(dims);
    Ok(vec![shape, statistics.clone(), statistics])
}

/// Another element type; integers of a narrower one may wrap and are not followed.
pub fn cast(call: &Call) -> Outcome {
    let to = if call.node.is("Cast") { call.node.int("to", 0)? } else { i32::from(call.dtype(1)).into() };
    let wide = [DataType::Int32, DataType::Int64].map(|dtype| i64::from(i32::from(dtype))).contains(&to);
    let tensor = call.tensor(0)?;
    Ok(vec![if wide { tensor.clone() } else { shape_of(tensor) }])
}
