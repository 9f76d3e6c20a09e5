//! Operators that pick elements by indices.

use super::super::{
    call::{Call, Outcome, shaped, unknown},
    expression::{known, number},
};
use rten_shape_inference::{SymTensor, ops};

/// Slices of an axis, by indices of any shape.
pub fn gather(call: &Call) -> Outcome {
    if let Some(dims) = call.dims(0)?
        && dims.is_empty()
    {
        return Err(call.fault("the data is a scalar"));
    }
    call.rten(&ops::Gather { axis: call.int("axis", 0)? })
}

/// Elements by indices of the output's shape.
pub fn gather_elements(call: &Call) -> Outcome {
    call.rten(&ops::GatherElements)
}

/// Slices by tuples of indices.
pub fn gather_nd(call: &Call) -> Outcome {
    let batch_dims = call.int("batch_dims", 0)?;
    match usize::try_from(batch_dims) {
        Ok(batch_dims) => call.rten(&ops::GatherND { batch_dims }),
        Err(_) => Err(call.fault(format!("attribute batch_dims is {batch_dims}"))),
    }
}

/// Those slices of an axis, or elements of the whole, for which a condition holds.
pub fn compress(call: &Call) -> Outcome {
    if call.node.attribute("axis").is_none() {
        return Ok(vec![call.of_rank(1)]);
    }
    let Some(mut dims) = call.dims(0)? else { return Ok(vec![unknown()]) };
    let axis = call.axis(call.node.int("axis", 0)?, dims.len())?;
    dims[axis] = call.symbols.unknown();
    shaped(dims)
}

/// One more axis, of the size `depth`.
pub fn one_hot(call: &Call) -> Outcome {
    if let Some([depth]) = call.tensor(1)?.values()
        && let Some(depth) = known(depth).filter(|&depth| depth < 0)
    {
        return Err(call.fault(format!("the depth is {depth}")));
    }
    call.rten(&ops::OneHot { axis: call.int("axis", -1)? })
}

/// Distinct elements, or slices of an axis; then indices, inverse indices and counts, each a vector.
pub fn unique(call: &Call) -> Outcome {
    let vector = || call.of_rank(1);
    let values = match (call.node.attribute("axis"), call.dims(0)?) {
        (None, _) => vector(),
        (Some(_), Some(mut dims)) => {
            let axis = call.axis(call.node.int("axis", 0)?, dims.len())?;
            dims[axis] = call.symbols.unknown();
            SymTensor::from_shape(dims)
        }
        (Some(_), None) => unknown(),
    };
    Ok(vec![values, vector(), vector(), vector()])
}

/// Regions of `[batch, channels, height, width]`: `[regions, channels, output height, output width]`.
pub fn regions(call: &Call) -> Outcome {
    let size = |name| call.node.int(name, 1).map(|size| number(size.into()));
    let (height, width) = match call.node.ints("pooled_shape")? {
        Some(&[height, width]) => (number(height.into()), number(width.into())),
        Some(other) => return Err(call.fault(format!("attribute pooled_shape is {other:?}"))),
        None => (size("output_height")?, size("output_width")?),
    };
    let dim = |input: usize, axis: usize| {
        let dims = call.dims(input)?;
        match dims {
            Some(dims) => dims.get(axis).cloned().ok_or_else(|| call.fault(format!("input {input} has too few axes"))),
            None => Ok(call.symbols.unknown()),
        }
    };
    shaped(vec![dim(1, 0)?, dim(0, 1)?, height, width])
}
