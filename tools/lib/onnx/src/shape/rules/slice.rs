//! Slices.

use super::super::{
    call::{Call, Outcome, length, shaped, unknown},
    expression::{known, number},
};
use crate::Problem;
use rten_shape_inference::{SymExpr, SymTensor};

/// Where a slice of one axis begins, ends and steps, as far as that is known.
struct Cut {
    axis: usize,
    start: Option<i64>,
    end: Option<i64>,
    step: Option<i64>,
}

/// Parts of axes. Starts, ends and axes are attributes until operator set 9, then inputs.
pub fn slice(call: &Call) -> Outcome {
    let Some(mut dims) = call.dims(0)? else { return Ok(vec![unknown()]) };
    let Some(cuts) = cuts(call, dims.len())? else { return Ok(vec![call.of_rank(dims.len())]) };
    if let (Some(values), [cut]) = (call.tensor(0)?.as_vector(), cuts.as_slice())
        && let Some(indices) = indices(cut, values.len() as i64)
    {
        return Ok(vec![SymTensor::from_vec(indices.map(|index| values[index as usize].clone()).collect())]);
    }
    for cut in &cuts {
        dims[cut.axis] = size(call, &dims[cut.axis], cut);
    }
    shaped(dims)
}

/// The cuts; None if not even the axes are known.
fn cuts(call: &Call, rank: usize) -> Result<Option<Vec<Cut>>, Problem> {
    let attribute = |name| call.node.ints(name).map(|it| it.map(<[i64]>::to_vec));
    let (starts, ends, axes) = if call.opset < 10 {
        (attribute("starts")?, attribute("ends")?, attribute("axes")?)
    } else {
        (call.values(1), call.values(2), call.values(3))
    };
    let axes = match axes {
        Some(axes) => axes,
        None if call.opset >= 10 && call.has(3) => return Ok(None),
        None => match count_of(call, &starts, 1).or_else(|| count_of(call, &ends, 2)) {
            Some(count) if count <= rank => (0..count as i64).collect(),
            Some(count) => return Err(call.fault(format!("{count} starts for the rank {rank}"))),
            None => return Ok(None),
        },
    };
    for (what, values) in [("starts", &starts), ("ends", &ends)] {
        if values.as_ref().is_some_and(|values| values.len() != axes.len()) {
            return Err(call.fault(format!("{what} and axes differ in length")));
        }
    }
    let steps = if call.opset >= 10 && call.has(4) { call.values(4) } else { Some(vec![1; axes.len()]) };
    if steps.as_ref().is_some_and(|steps| steps.len() != axes.len() || steps.contains(&0)) {
        return Err(call.fault("steps and axes differ in length, or a step is 0"));
    }
    let at = |values: &Option<Vec<i64>>, index: usize| values.as_ref().and_then(|values| values.get(index).copied());
    let cut = |(index, axis)| Cut { axis, start: at(&starts, index), end: at(&ends, index), step: at(&steps, index) };
    Ok(Some(call.axes(&axes, rank)?.into_iter().enumerate().map(cut).collect()))
}

/// Number of elements of starts or ends: of the values, or of an input whose values are not known.
fn count_of(call: &Call, values: &Option<Vec<i64>>, input: usize) -> Option<usize> {
    match values {
        Some(values) => Some(values.len()),
        None => length(&call.inputs.get(input)?.as_ref()?.tensor),
    }
}

/// First, bound and step of a cut within `size` elements, as NumPy clamps them.
fn clamped(cut: &Cut, size: i64) -> Option<(i64, i64, i64)> {
    let (start, end, step) = (cut.start?, cut.end?, cut.step?);
    let from_front = |index: i64| if index < 0 { index.saturating_add(size) } else { index };
    Some(if step > 0 {
        (from_front(start).clamp(0, size), from_front(end).clamp(0, size), step)
    } else {
        (from_front(start).clamp(-1, size - 1), from_front(end).clamp(-1, size - 1), step)
    })
}

fn count((start, end, step): (i64, i64, i64)) -> i64 {
    let span = if step > 0 { end - start } else { start - end };
    // Both are within an axis, so neither their difference nor the sum overflows.
    if span <= 0 { 0 } else { (span - 1) / step.saturating_abs() + 1 }
}

/// Indices of the elements that a cut takes out of `size`.
fn indices(cut: &Cut, size: i64) -> Option<impl Iterator<Item = i64>> {
    let bounds = clamped(cut, size)?;
    let (start, _, step) = bounds;
    Some((0..count(bounds)).map(move |index| start + index * step))
}

/// The size of an axis that was cut.
fn size(call: &Call, size: &SymExpr, cut: &Cut) -> SymExpr {
    let total = known(size).and_then(|total| i64::try_from(total).ok());
    if let Some(bounds) = total.and_then(|total| clamped(cut, total)) {
        return number(count(bounds).into());
    }
    let (Some(start), Some(end), Some(1)) = (cut.start, cut.end, cut.step) else { return call.symbols.unknown() };
    // Exporters write the largest int32 or int64 for an end that is the axis's.
    let to_end = end >= i32::MAX.into();
    let bound = |bound: i64| number(bound.into());
    let rest = |size: SymExpr| call.settle(&size.max(&SymExpr::Value(0)));
    match start {
        0 if to_end => size.clone(),
        0 if end < 0 => rest(size.clone() + bound(end)),
        0 => call.settle(&size.min(&bound(end))),
        1.. if to_end => rest(size.clone() - bound(start)),
        _ => call.symbols.unknown(),
    }
}
