//! Operators that move elements: axes permuted, tensors joined, cut, padded and repeated.

use super::super::{
    call::{Call, Outcome, length, shaped, unknown},
    expression::{MAX_RANK, MAX_VALUES, known, number},
    fact::describe,
};
use crate::Problem;
use rten_shape_inference::{SymExpr, SymTensor, ops};

/// Axes in another order; reversed by default.
pub fn transpose(call: &Call) -> Outcome {
    let Some(perm) = call.node.ints("perm")? else { return call.rten(&ops::Transpose { perm: None }) };
    if perm.len() > MAX_RANK {
        return Ok(vec![unknown()]);
    }
    let axes = call.axes(perm, perm.len())?;
    if call.dims(0)?.is_some_and(|dims| dims.len() != axes.len()) {
        return Err(call.fault(format!("attribute perm {perm:?} has another rank")));
    }
    call.rten(&ops::Transpose { perm: Some(&axes) })
}

/// Tensors joined along an axis; the other axes agree.
pub fn concat(call: &Call) -> Outcome {
    let axis = call.node.int("axis", if call.opset < 4 { 1 } else { 0 })?;
    if let Some(values) = joined_values(call)? {
        return Ok(vec![values]);
    }
    let mut output: Option<Vec<SymExpr>> = None;
    let mut whole = true;
    for index in 0..call.inputs.len() {
        let Some(dims) = call.dims(index)? else {
            whole = false;
            continue;
        };
        output = Some(match output {
            None => {
                call.axis(axis, dims.len())?;
                dims
            }
            Some(before) => join(call, before, &dims, axis)?,
        });
    }
    let Some(mut dims) = output else { return Ok(vec![unknown()]) };
    if !whole {
        let axis = call.axis(axis, dims.len())?;
        dims[axis] = call.symbols.unknown();
    }
    shaped(dims)
}

/// The elements of integer vectors, one behind the other.
fn joined_values(call: &Call) -> Result<Option<SymTensor>, Problem> {
    let mut values = Vec::new();
    for index in 0..call.inputs.len() {
        match call.tensor(index)?.as_vector() {
            Some(more) if values.len() + more.len() <= MAX_VALUES => values.extend_from_slice(more),
            _ => return Ok(None),
        }
    }
    Ok(Some(SymTensor::from_vec(values)))
}

/// The shape of two tensors joined.
fn join(call: &Call, mut before: Vec<SymExpr>, dims: &[SymExpr], axis: i64) -> Result<Vec<SymExpr>, Problem> {
    if before.len() != dims.len() {
        return Err(call.fault("the ranks differ"));
    }
    let axis = call.axis(axis, dims.len())?;
    for (index, (before, dim)) in before.iter_mut().zip(dims).enumerate() {
        *before = if index == axis {
            call.settle(&(before.clone() + dim.clone()))
        } else {
            call.same(before, dim, &format!("the sizes of axis {index}"))?
        };
    }
    Ok(before)
}

/// A tensor cut along an axis: into sizes that are given, or into as many parts as there are outputs.
pub fn split(call: &Call) -> Outcome {
    let parts = call.node.outputs.len();
    let Some(dims) = call.dims(0)? else { return Ok(Vec::new()) };
    let axis = call.axis(call.node.int("axis", 0)?, dims.len())?;
    let given = match call.node.ints("split")? {
        Some(sizes) => Some(sizes.iter().map(|&size| number(size.into())).collect()),
        None => call
            .inputs
            .get(1)
            .and_then(Option::as_ref)
            .map(|fact| fact.tensor.values().map(<[_]>::to_vec))
            .unwrap_or_else(|| Some(Vec::new())),
    };
    let part = |size: SymExpr| {
        let mut dims = dims.clone();
        dims[axis] = size;
        SymTensor::from_shape(dims)
    };
    let Some(given) = given else { return Ok((0..parts).map(|_| part(call.symbols.unknown())).collect()) };
    let sizes = if given.is_empty() { equal_parts(call, &dims[axis], parts)? } else { given };
    check_sizes(call, &dims[axis], &sizes, parts)?;
    Ok(split_values(call, &sizes).unwrap_or_else(|| sizes.into_iter().map(part).collect()))
}

/// The elements of a vector, cut.
fn split_values(call: &Call, sizes: &[SymExpr]) -> Option<Vec<SymTensor>> {
    let mut rest = call.tensor(0).ok()?.as_vector()?;
    let mut cut = |size: &SymExpr| {
        let (part, others) = rest.split_at_checked(usize::try_from(known(size)?).ok()?)?;
        rest = others;
        Some(SymTensor::from_vec(part.to_vec()))
    };
    sizes.iter().map(&mut cut).collect()
}

/// Sizes of `parts` equal parts; since operator set 18 the last may be smaller.
fn equal_parts(call: &Call, size: &SymExpr, parts: usize) -> Result<Vec<SymExpr>, Problem> {
    let wanted = call.node.int("num_outputs", parts as i64)?;
    if parts == 0 || usize::try_from(wanted) != Ok(parts) {
        return Err(call.fault(format!("attribute num_outputs is {wanted}, the outputs are {parts}")));
    }
    let Some(total) = known(size) else {
        let even = call.settle(&(size.clone() / number(parts as i128)));
        // Of a symbolic size it is not known whether the parts are equal.
        return Ok(if call.opset < 18 {
            vec![even; parts]
        } else {
            (0..parts).map(|_| call.symbols.unknown()).collect()
        });
    };
    let parts = parts as i128;
    if total % parts != 0 && call.opset < 18 {
        return Err(call.fault(format!("{total} does not divide into {parts} equal parts")));
    }
    let part = total / parts + i128::from(total % parts != 0);
    // Size and number of parts are within 64 bits.
    Ok((0..parts).map(|index| number((total - index * part).min(part).max(0))).collect())
}

/// The sizes are as many as the outputs, and sum to the axis.
fn check_sizes(call: &Call, size: &SymExpr, sizes: &[SymExpr], parts: usize) -> Result<(), Problem> {
    if sizes.len() != parts {
        return Err(call.fault(format!("{} sizes for {parts} outputs", sizes.len())));
    }
    let sum = sizes.iter().map(known).sum::<Option<i128>>();
    match (known(size), sum) {
        (Some(total), Some(sum)) if total != sum => Err(call.fault(format!("the sizes sum to {sum}, not {total}"))),
        _ => Ok(()),
    }
}

/// A border: begins of all axes, then ends; an attribute until operator set 10.
pub fn pad(call: &Call) -> Outcome {
    let (Some(mut dims), rank) = (call.dims(0)?, call.tensor(0)?.ndim().unwrap_or(0)) else {
        return Ok(vec![unknown()]);
    };
    let axes = match (call.has(3), call.values(3)) {
        (true, Some(axes)) => call.axes(&axes, rank)?,
        (true, None) => return Ok(vec![call.of_rank(rank)]),
        (false, _) => (0..rank).collect(),
    };
    let pads: Option<Vec<SymExpr>> = match call.node.ints("pads")?.or(call.node.ints("paddings")?) {
        Some(pads) => Some(pads.iter().map(|&pad| number(pad.into())).collect()),
        None => call.tensor(1)?.values().map(<[_]>::to_vec),
    };
    let Some(pads) = pads else {
        axes.into_iter().for_each(|axis| dims[axis] = call.symbols.unknown());
        return shaped(dims);
    };
    if pads.len() != 2 * axes.len() {
        return Err(call.fault(format!("{} pads for {} axes", pads.len(), axes.len())));
    }
    for (index, &axis) in axes.iter().enumerate() {
        let (before, after) = (pads[index].clone(), pads[axes.len() + index].clone());
        dims[axis] = call.settle(&(dims[axis].clone() + before + after));
    }
    shaped(dims)
}

/// Broadcast to a shape that is an input.
pub fn expand(call: &Call) -> Outcome {
    let shape = call.tensor(1)?;
    let Some(dims) = call.dims(0)? else { return Ok(vec![unknown()]) };
    if let Some(sizes) = shape.values() {
        return if sizes.len() > MAX_RANK { Ok(vec![unknown()]) } else { shaped(call.broadcast(&dims, sizes)?) };
    }
    let Some(len) = length(shape) else { return Ok(vec![unknown()]) };
    let rank = dims.len().max(len);
    if rank > MAX_RANK {
        return Ok(vec![unknown()]);
    }
    let mut output: Vec<_> = (0..rank).map(|_| call.symbols.unknown()).collect();
    for (output, dim) in output.iter_mut().rev().zip(dims.into_iter().rev()) {
        if known(&dim).is_some_and(|size| size > 1) {
            *output = dim;
        }
    }
    shaped(output)
}

/// Repeated along each axis.
pub fn tile(call: &Call) -> Outcome {
    call.rten(&ops::Tile)
}

/// Blocks of channels moved to `[batch, channels / block², height · block, width · block]`.
pub fn depth_to_space(call: &Call) -> Outcome {
    let block = block_size(call)?;
    let Some(dims) = image(call)? else { return Ok(vec![unknown()]) };
    if let Some(channels) = known(&dims[1]).filter(|channels| channels % (block * block) != 0) {
        return Err(call.fault(format!("{channels} channels do not divide by {block}²")));
    }
    let block = number(block);
    let channels = call.settle(&(dims[1].clone() / (block.clone() * block.clone())));
    shaped(vec![dims[0].clone(), channels, dims[2].clone() * block.clone(), dims[3].clone() * block])
}

/// The other way: `[batch, channels · block², height / block, width / block]`.
pub fn space_to_depth(call: &Call) -> Outcome {
    let block = number(block_size(call)?);
    let Some(dims) = image(call)? else { return Ok(vec![unknown()]) };
    let channels = dims[1].clone() * block.clone() * block.clone();
    shaped(vec![dims[0].clone(), channels, dims[2].clone() / block.clone(), dims[3].clone() / block])
}

fn block_size(call: &Call) -> Result<i128, Problem> {
    match call.node.int("blocksize", 0)? {
        size if size > 0 => Ok(size.into()),
        size => Err(call.fault(format!("attribute blocksize is {size}"))),
    }
}

/// The dimensions `[batch, channels, height, width]` of the input.
fn image(call: &Call) -> Result<Option<Vec<SymExpr>>, Problem> {
    match call.dims(0)? {
        Some(dims) if dims.len() != 4 => {
            Err(call.fault(format!("the input [{}] is no image", describe(call.tensor(0)?))))
        }
        dims => Ok(dims),
    }
}
