//! Elements found and put by index: TopK, NonZero, OneHot, Compress, the scatters.

use super::{Call, Operator, Outcome, number};
use crate::{
    element::{Element, Number},
    tensor::each,
};
use ndarray::{ArrayD, Axis};
use onnx::{Node, Problem};
use std::cmp::Ordering;

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "TopK" => |call| each!(call.input(0)?, x => top_k(call, x)),
        "NonZero" => |call| each!(call.input(0)?, x => non_zero(call, x)),
        "OneHot" => |call| each!(call.input(2)?, values => one_hot(call, values)),
        "ScatterElements" if reduction(node).is_some() => |call| scatter(call, true),
        "ScatterND" if reduction(node).is_some() => |call| scatter(call, false),
        _ => return None,
    })
}

/// The largest or smallest elements along an axis, and their indices; of equal ones the first.
fn top_k<T: Element>(call: &Call<'_>, x: &ArrayD<T>) -> Outcome {
    let axis = call.axis_attribute(-1, x.ndim())?;
    let count = match call.node.attribute("k") {
        Some(_) => call.node.int("k", 0)?,
        None => *call.ints(1)?.unwrap_or_default().first().ok_or_else(|| call.problem("no k"))?,
    };
    let (count, largest) = (call.size(count)?, call.flag("largest", true)?);
    if count > x.shape()[axis] {
        return Err(call.problem(format!("{count} of {} elements", x.shape()[axis])));
    }
    let mut shape = x.shape().to_vec();
    shape[axis] = count;
    let mut values = call.array(&shape, call.filled(&shape, T::default())?)?;
    let mut indices = call.array(&shape, call.filled(&shape, 0i64)?)?;
    let outputs = values.lanes_mut(Axis(axis)).into_iter().zip(indices.lanes_mut(Axis(axis)));
    for (lane, (mut values, mut indices)) in x.lanes(Axis(axis)).into_iter().zip(outputs) {
        let mut order: Vec<_> = (0..lane.len()).collect();
        order.sort_by(|&a, &b| if largest { compare(lane[b], lane[a]) } else { compare(lane[a], lane[b]) });
        for (position, index) in order.into_iter().take(count).enumerate() {
            values[position] = lane[index];
            indices[position] = index as i64;
        }
    }
    Ok(vec![values.into(), indices.into()])
}

/// NaN is greater than all, as in NumPy.
fn compare<T: PartialOrd>(a: T, b: T) -> Ordering {
    let nan = |x: &T| x.partial_cmp(x).is_none();
    a.partial_cmp(&b).unwrap_or_else(|| nan(&a).cmp(&nan(&b)))
}

/// Coordinates of the elements that are not 0: `[axes, elements]`.
fn non_zero<T: Element>(call: &Call<'_>, x: &ArrayD<T>) -> Outcome {
    use ndarray::Dimension;
    let found: Vec<_> = x.indexed_iter().filter(|(_, x)| x.to_bool()).map(|(position, _)| position).collect();
    let coordinates =
        (0..x.ndim()).flat_map(|axis| found.iter().map(move |position| position.as_array_view()[axis] as i64));
    Ok(vec![call.collect(&[x.ndim(), found.len()], coordinates)?.into()])
}

/// `values[1]` at the index along a new axis, `values[0]` elsewhere; nothing for an index out of range.
fn one_hot<T: Element>(call: &Call<'_>, values: &ArrayD<T>) -> Outcome {
    let (Some([off, on]), 2) = (values.as_slice(), values.len()) else {
        return Err(call.problem("expected two values: off and on"));
    };
    let depth = *call.to_f64(1)?.first().ok_or_else(|| call.problem("no depth"))?;
    let (depth, shape) = (call.size(depth as i64)?, call.input(0)?.shape());
    let axis = call.axis_attribute(-1, shape.len() + 1)?;
    let out_shape = [&shape[..axis], &[depth], &shape[axis..]].concat();
    let mut out = call.filled(&out_shape, *off)?;
    let inner = shape[axis..].iter().product::<usize>();
    for (position, index) in call.to_f64(0)?.into_iter().enumerate() {
        if let Ok(index) = call.index(index as i64, depth) {
            out[(position / inner * depth + index) * inner + position % inner] = *on;
        }
    }
    Ok(vec![call.array(&out_shape, out)?.into()])
}

/// What a scatter does to an element that is there.
#[derive(Clone, Copy)]
enum Reduction {
    None,
    Add,
    Mul,
    Max,
    Min,
}

fn reduction(node: &Node) -> Option<Reduction> {
    match node.string("reduction").ok()? {
        None | Some("none") => Some(Reduction::None),
        Some("add") => Some(Reduction::Add),
        Some("mul") => Some(Reduction::Mul),
        Some("max") => Some(Reduction::Max),
        Some("min") => Some(Reduction::Min),
        _ => None,
    }
}

/// The first input with the elements of the third where the second says: one by one, or slices.
fn scatter(call: &Call<'_>, one_by_one: bool) -> Outcome {
    let data = call.input(0)?;
    let targets = if one_by_one { element_targets(call, data.shape())? } else { slice_targets(call, data.shape())? };
    let reduction = reduction(call.node).unwrap_or(Reduction::None);
    if let Reduction::None = reduction {
        return each!(data, x => put(call, x, &targets, |_, update| update));
    }
    number!(call, data, T => {
        let (data, updates) = (call.numbers::<T>(0)?.into_owned(), call.numbers::<T>(2)?);
        let f = match reduction {
            Reduction::None => |_, update| update,
            Reduction::Add => T::add,
            Reduction::Mul => T::mul,
            Reduction::Max => T::max_or_nan,
            Reduction::Min => T::min_or_nan,
        };
        updated(call, data, &updates.into_owned(), &targets, f)
    })
}

fn put<T: Element>(call: &Call<'_>, x: &ArrayD<T>, targets: &[usize], f: fn(T, T) -> T) -> Outcome {
    Ok(vec![updated(call, x.clone(), call.typed::<T>(2)?, targets, f)?.into()])
}

/// `targets` are the offsets of the updates in `data`.
fn updated<T: Element>(
    call: &Call<'_>,
    mut data: ArrayD<T>,
    updates: &ArrayD<T>,
    targets: &[usize],
    f: fn(T, T) -> T,
) -> Result<ArrayD<T>, Problem> {
    if updates.len() != targets.len() {
        return Err(call.problem(format!("{} updates for {} indices", updates.len(), targets.len())));
    }
    if let Some(values) = data.as_slice_mut() {
        targets.iter().zip(updates).for_each(|(&target, &update)| values[target] = f(values[target], update));
    }
    Ok(data)
}

/// Offsets of elements, whose coordinate along the attribute `axis` is the index.
fn element_targets(call: &Call<'_>, shape: &[usize]) -> Result<Vec<usize>, Problem> {
    let axis = call.axis_attribute(0, shape.len())?;
    let indices = call.ints(1)?.ok_or_else(|| call.problem("no indices"))?;
    let index_shape = call.input(1)?.shape();
    let fits = |other: usize| other == axis || index_shape[other] <= shape[other];
    if index_shape.len() != shape.len() || !(0..shape.len()).all(fits) {
        return Err(call.problem(format!("indices of shape {index_shape:?} for {shape:?}")));
    }
    let targets = ndarray::indices(index_shape).into_iter().zip(indices).map(|(mut position, index)| {
        position[axis] = call.index(index, shape[axis])?;
        Ok((0..shape.len()).fold(0, |offset, axis| offset * shape[axis] + position[axis]))
    });
    targets.collect()
}

/// Offsets of the elements of slices at coordinates, which are the last axis of the indices.
fn slice_targets(call: &Call<'_>, shape: &[usize]) -> Result<Vec<usize>, Problem> {
    let indices = call.ints(1)?.ok_or_else(|| call.problem("no indices"))?;
    let width = *call.input(1)?.shape().last().ok_or_else(|| call.problem("indices without axes"))?;
    if width > shape.len() || width == 0 {
        return Err(call.problem(format!("coordinates of {width} axes for {}", shape.len())));
    }
    let block = shape[width..].iter().product::<usize>();
    let mut targets = Vec::new();
    for row in indices.chunks_exact(width) {
        let mut offset = 0;
        for (&index, &size) in row.iter().zip(shape) {
            offset = offset * size + call.index(index, size)?;
        }
        targets.extend(offset * block..(offset + 1) * block);
    }
    Ok(targets)
}
