//! Matrix products.

use super::super::call::{Call, Outcome, shaped, unknown};
use rten_shape_inference::ops;

/// α·A·B + β·C of matrices.
pub fn gemm(call: &Call) -> Outcome {
    let (Some(mut a), Some(mut b)) = (call.dims(0)?, call.dims(1)?) else { return Ok(vec![call.of_rank(2)]) };
    if call.node.int("transA", 0)? != 0 {
        a.reverse();
    }
    if call.node.int("transB", 0)? != 0 {
        b.reverse();
    }
    let ([m, k], [rows, n]) = (a.as_slice(), b.as_slice()) else { return Err(call.fault("A and B are no matrices")) };
    call.same(k, rows, "the inner dimensions")?;
    shaped(vec![m.clone(), n.clone()])
}

/// A product of stacks of matrices, as NumPy's `matmul`: a vector is a row before, a column behind.
pub fn matmul(call: &Call, left: usize, right: usize) -> Outcome {
    let (Some(mut a), Some(mut b)) = (call.dims(left)?, call.dims(right)?) else { return Ok(vec![unknown()]) };
    let (Some(columns), Some(last)) = (a.pop(), b.pop()) else { return Err(call.fault("an operand is a scalar")) };
    // A vector on the right is its own inner dimension.
    let (inner, width) = match b.pop() {
        Some(rows) => (rows, Some(last)),
        None => (last, None),
    };
    call.same(&columns, &inner, "the inner dimensions")?;
    let height = a.pop();
    let mut dims = call.broadcast(&a, &b)?;
    dims.extend(height.into_iter().chain(width));
    shaped(dims)
}

/// Einstein summation.
pub fn einsum(call: &Call) -> Outcome {
    match call.node.string("equation")? {
        // The crate pairs each input with each letter: long equations are no networks.
        Some(equation) if equation.len() <= 256 => call.rten(&ops::Einsum { equation }),
        Some(_) => Ok(vec![unknown()]),
        None => Err(call.fault("attribute equation is missing")),
    }
}

/// Determinants of a stack of matrices.
pub fn determinant(call: &Call) -> Outcome {
    let Some(mut dims) = call.dims(0)? else { return Ok(vec![unknown()]) };
    if dims.len() < 2 {
        return Err(call.fault("the input is no matrix"));
    }
    dims.truncate(dims.len() - 2);
    shaped(dims)
}
