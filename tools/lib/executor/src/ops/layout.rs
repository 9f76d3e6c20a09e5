//! The same elements under another shape or in another order of axes.

use super::{Call, Operator, Outcome};
use crate::{Tensor, element::Element, ops::compare::same_type, tensor::each};
use ndarray::{ArrayD, Axis};
use onnx::{Node, Problem};

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "Identity" => |call| Ok(vec![call.input(0)?.clone()]),
        "Dropout" if node.int("training_mode", 0).ok()? == 0 => dropout,
        "Flatten" => flatten,
        "Reshape" => reshape,
        "Squeeze" => squeeze,
        "Unsqueeze" => unsqueeze,
        "Expand" => |call| each!(call.input(0)?, x => expand(call, x)),
        "Transpose" => transpose,
        "Concat" => |call| each!(same_type(call)?, x => concat(call, x)),
        "DepthToSpace" => match node.string("mode") {
            Ok(None | Some("DCR")) => |call| depth_to_space(call, [0, 3, 4, 1, 5, 2]),
            Ok(Some("CRD")) => |call| depth_to_space(call, [0, 1, 4, 2, 5, 3]),
            _ => return None,
        },
        "SpaceToDepth" => match node.string("mode") {
            Ok(None | Some("DCR")) => |call| space_to_depth(call, [0, 3, 5, 1, 2, 4]),
            Ok(Some("CRD")) => |call| space_to_depth(call, [0, 1, 3, 5, 2, 4]),
            _ => return None,
        },
        _ => return None,
    })
}

/// Of inference: everything is kept.
fn dropout(call: &Call<'_>) -> Outcome {
    if call.condition(2)? {
        return Err(call.problem("training mode, which is not supported"));
    }
    let input = call.input(0)?;
    let mut outputs = vec![input.clone()];
    if call.node.output(1).is_some() {
        outputs.push(call.array(input.shape(), call.filled(input.shape(), true)?)?.into());
    }
    Ok(outputs)
}

/// To a matrix, whose rows are the axes before `axis`.
fn flatten(call: &Call<'_>) -> Outcome {
    let input = call.input(0)?;
    let (rows, columns) = input.shape().split_at(split(call, 1, input.shape().len())?);
    call.reshaped(input, &[rows.iter().product(), columns.iter().product()])
}

/// The attribute `axis` where it is between two axes: it may be their number.
fn split(call: &Call<'_>, default: i64, rank: usize) -> Result<usize, Problem> {
    let axis = call.node.int("axis", default)?;
    if usize::try_from(axis) == Ok(rank) { Ok(rank) } else { call.axis(axis, rank) }
}

/// 0 keeps a size unless `allowzero` is set; -1 is what is left.
fn reshape(call: &Call<'_>) -> Outcome {
    let (input, keep_zero) = (call.input(0)?, call.flag("allowzero", false)?);
    let wanted = call.ints(1)?.ok_or_else(|| call.problem("no shape"))?;
    let mut shape = Vec::with_capacity(wanted.len());
    let mut free = None;
    for (axis, &size) in wanted.iter().enumerate() {
        shape.push(match size {
            0 if !keep_zero => {
                *input.shape().get(axis).ok_or_else(|| call.problem(format!("no axis {axis} to keep")))?
            }
            -1 if free.replace(axis).is_none() => 1,
            size => call.size(size)?,
        });
    }
    if let Some(free) = free {
        let (all, others) = (call.elements::<u8>(input.shape())?, call.elements::<u8>(&shape)?);
        match all.checked_rem(others) {
            Some(0) => shape[free] = all / others,
            _ => return Err(call.problem(format!("shape {:?} does not fit {wanted:?}", input.shape()))),
        }
    }
    call.reshaped(input, &shape)
}

/// Without axes of size 1: those named, or all.
fn squeeze(call: &Call<'_>) -> Outcome {
    let input = call.input(0)?;
    let shape = input.shape();
    let axes = match call.ints_or_attribute(1, "axes")? {
        Some(axes) => call.axes(&axes, shape.len())?,
        None => (0..shape.len()).filter(|&axis| shape[axis] == 1).collect(),
    };
    if let Some(axis) = axes.iter().find(|&&axis| shape[axis] != 1) {
        return Err(call.problem(format!("axis {axis} of shape {shape:?} is not of size 1")));
    }
    let kept: Vec<_> = (0..shape.len()).filter(|axis| !axes.contains(axis)).map(|axis| shape[axis]).collect();
    call.reshaped(input, &kept)
}

/// With axes of size 1, as the output counts them.
fn unsqueeze(call: &Call<'_>) -> Outcome {
    let input = call.input(0)?;
    let axes = call.required_ints(1, "axes")?;
    let rank = input.shape().len() + axes.len();
    let axes = call.axes(&axes, rank)?;
    let mut sizes = input.shape().iter().copied();
    let shape: Vec<_> =
        (0..rank).map(|axis| if axes.contains(&axis) { 1 } else { sizes.next().unwrap_or(1) }).collect();
    call.reshaped(input, &shape)
}

/// Both shapes broadcast: a size of the wanted one may be 1 where the input's is larger.
fn expand<T: Element>(call: &Call<'_>, x: &ArrayD<T>) -> Outcome {
    let wanted = call.ints(1)?.ok_or_else(|| call.problem("no shape"))?;
    let wanted = wanted.into_iter().map(|size| call.size(size)).collect::<Result<Vec<_>, _>>()?;
    let shape = call.broadcast_shape(&[x.shape(), &wanted])?;
    let view = x.view();
    let elements = call.broadcast(&view, &shape)?;
    Ok(vec![call.collect(&shape, elements.iter().copied())?.into()])
}

/// Reverses the axes if there is no attribute `perm`.
fn transpose(call: &Call<'_>) -> Outcome {
    let input = call.input(0)?;
    let rank = input.shape().len();
    let order = match call.node.ints("perm")? {
        Some(order) => call.axes(order, rank)?,
        None => (0..rank).rev().collect(),
    };
    if order.len() != rank {
        return Err(call.problem(format!("an order of {} axes for {rank}", order.len())));
    }
    each!(input, x => Ok(vec![permute(x, &order).into()]))
}

fn permute<T: Element>(x: &ArrayD<T>, order: &[usize]) -> ArrayD<T> {
    x.view().permuted_axes(order).as_standard_layout().into_owned()
}

fn concat<T: Element>(call: &Call<'_>, first: &ArrayD<T>) -> Outcome {
    let arrays = (0..call.inputs.len()).map(|index| call.typed::<T>(index)).collect::<Result<Vec<_>, _>>()?;
    let axis = call.axis_attribute(0, first.ndim())?;
    let mut shape = first.shape().to_vec();
    shape[axis] = 0;
    for array in &arrays {
        let fits = array.ndim() == shape.len() && (0..shape.len()).all(|i| i == axis || array.shape()[i] == shape[i]);
        if !fits {
            return Err(call.problem(format!("shapes {:?} and {:?} along axis {axis}", first.shape(), array.shape())));
        }
        let size = shape[axis].checked_add(array.shape()[axis]);
        shape[axis] = size.ok_or_else(|| call.problem("an axis that is too large"))?;
    }
    call.elements::<T>(&shape)?;
    let views: Vec<_> = arrays.iter().map(|array| array.view()).collect();
    let joined = ndarray::concatenate(Axis(axis), &views).map_err(|error| call.problem(error.to_string()))?;
    Ok(vec![joined.into()])
}

/// The sizes of an image batch `[N, C, H, W]` and the attribute `blocksize`.
fn blocks(call: &Call<'_>, input: &Tensor) -> Result<([usize; 4], usize), Problem> {
    let shape = <[usize; 4]>::try_from(input.shape()).map_err(|_| call.problem("an input that has not four axes"))?;
    match call.size(call.node.int("blocksize", 0)?)? {
        0 => Err(call.problem("a blocksize of zero")),
        block => Ok((shape, block)),
    }
}

/// Reshapes to `inner`, permutes, and reshapes to `outer`.
fn rearrange(call: &Call<'_>, inner: &[usize], order: &[usize], outer: &[usize]) -> Outcome {
    each!(call.input(0)?, x => {
        let inner = call.reshape(x.into(), inner)?;
        Ok(vec![call.reshape(permute(&inner, order).into(), outer)?.into()])
    })
}

fn depth_to_space(call: &Call<'_>, order: [usize; 6]) -> Outcome {
    let ([n, c, h, w], b) = blocks(call, call.input(0)?)?;
    let depth = b.checked_mul(b).filter(|square| c.is_multiple_of(*square)).map(|square| c / square);
    let depth = depth.ok_or_else(|| call.problem(format!("{c} channels for blocks of {b}")))?;
    // Where a block's axes come before the channels, order[1] is that of the channels behind them.
    let inner = if order[1] == 3 { [n, b, b, depth, h, w] } else { [n, depth, b, b, h, w] };
    rearrange(call, &inner, &order, &[n, depth, h * b, w * b])
}

fn space_to_depth(call: &Call<'_>, order: [usize; 6]) -> Outcome {
    let ([n, c, h, w], b) = blocks(call, call.input(0)?)?;
    if !(h.is_multiple_of(b) && w.is_multiple_of(b)) {
        return Err(call.problem(format!("images of {h} × {w} for blocks of {b}")));
    }
    rearrange(call, &[n, c, h / b, b, w / b, b], &order, &[n, c * b * b, h / b, w / b])
}
