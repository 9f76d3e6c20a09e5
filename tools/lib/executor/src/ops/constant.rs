//! Values that depend on no element: constants, shapes, ranges.

use super::{Call, Operator, Outcome, number};
use crate::{
    Tensor,
    element::{Element, Number},
    ops::compare::same_type,
    tensor::each,
};
use ndarray::{ArrayD, arr0, arr1};
use onnx::{Node, Problem};

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "Constant" if value(node).is_some() => constant,
        "ConstantOfShape" => constant_of_shape,
        "Shape" => shape,
        "Size" => |call| {
            let len = call.input(0)?.shape().iter().product::<usize>();
            Ok(vec![arr0(len as i64).into_dyn().into()])
        },
        "Range" => |call| number!(call, same_type(call)?, T => range::<T>(call)),
        _ => return None,
    })
}

/// The value of a `Constant`; None if it is faulty or of a type that is not supported.
fn value(node: &Node) -> Option<Tensor> {
    Tensor::from_onnx(&node.constant_value().ok()??)
}

fn constant(call: &Call<'_>) -> Outcome {
    Ok(vec![value(call.node).ok_or_else(|| call.problem("a value that is not supported"))?])
}

/// float32 zeros if the node has no value.
fn constant_of_shape(call: &Call<'_>) -> Outcome {
    fn filled<T: Element>(call: &Call<'_>, value: &ArrayD<T>) -> Outcome {
        let (1, Some(&value)) = (value.len(), value.first()) else {
            return Err(call.problem("a value that has not one element"));
        };
        let sizes = call.ints(0)?.unwrap_or_default();
        let shape = sizes.into_iter().map(|size| call.size(size)).collect::<Result<Vec<_>, _>>()?;
        Ok(vec![call.array(&shape, call.filled(&shape, value)?)?.into()])
    }
    let value = match call.node.tensor("value")? {
        Some(value) => {
            Tensor::from_onnx(&value).ok_or_else(|| call.problem("a value of a type that is not supported"))?
        }
        None => arr1(&[0f32]).into_dyn().into(),
    };
    each!(&value, value => filled(call, value))
}

/// The sizes of the axes `start` … `end`, which are clamped.
fn shape(call: &Call<'_>) -> Outcome {
    let shape = call.input(0)?.shape();
    let rank = shape.len() as i64;
    let clamp = |axis: i64| if axis < 0 { axis.saturating_add(rank) } else { axis }.clamp(0, rank) as usize;
    let (start, end) = (clamp(call.node.int("start", 0)?), clamp(call.node.int("end", rank)?));
    let sizes: Vec<_> = shape[start..end.max(start)].iter().map(|&size| size as i64).collect();
    Ok(vec![arr1(&sizes).into_dyn().into()])
}

/// `start`, `start + delta`, … up to `limit`, without it.
fn range<T: Number>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let bound = |index| call.scalar::<T>(index)?.ok_or_else(|| call.problem(format!("input {index} is missing")));
    let (start, limit, delta) = (bound(0)?, bound(1)?, bound(2)?);
    if delta == T::ZERO {
        return Err(call.problem("a range of step zero"));
    }
    let count = ((limit.to_f64() - start.to_f64()) / delta.to_f64()).ceil().max(0.0) as usize;
    call.collect(&[count], (0..count).map(|index| T::from_f64(index as f64).mul_add(delta, start)))
}
