//! Elements chosen by index: slices, gathers, padding.

use super::{Call, Operator, Outcome};
use crate::{Tensor, element::Element, tensor::each};
use ndarray::ArrayD;
use onnx::{Node, Problem};
use std::ops::Range;

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "Slice" => slice,
        "Split" => split,
        "Tile" => tile,
        "Pad" => match node.string("mode") {
            Ok(None | Some("constant" | "reflect" | "edge" | "wrap")) => pad,
            _ => return None,
        },
        "Gather" => |call| each!(call.input(0)?, x => gather(call, x)),
        "GatherElements" => |call| each!(call.input(0)?, x => gather_elements(call, x)),
        "GatherND" => |call| each!(call.input(0)?, x => gather_nd(call, x)),
        _ => return None,
    })
}

/// Indices along an axis of an input, in the order of the output.
pub(super) enum Along {
    /// All of an axis of this size.
    All(usize),
    /// `len` of them, `step` apart.
    Step { start: usize, step: isize, len: usize },
    /// Any; None for a fill value.
    At(Vec<Option<usize>>),
}

impl Along {
    fn len(&self) -> usize {
        match self {
            Self::All(len) | Self::Step { len, .. } => *len,
            Self::At(indices) => indices.len(),
        }
    }

    fn get(&self, position: usize) -> Option<usize> {
        match self {
            Self::All(_) => Some(position),
            Self::Step { start, step, .. } => {
                start.checked_add_signed(step.checked_mul(isize::try_from(position).ok()?)?)
            }
            Self::At(indices) => indices.get(position).copied().flatten(),
        }
    }
}

/// Every index of a shape.
fn identity(shape: &[usize]) -> Vec<Along> {
    shape.iter().map(|&size| Along::All(size)).collect()
}

/// The elements of `x` at indices along each of its axes, which are in range.
pub(super) fn pick<T: Element>(
    call: &Call<'_>,
    x: &ArrayD<T>,
    indices: &[Along],
    fill: T,
) -> Result<ArrayD<T>, Problem> {
    let shape: Vec<_> = indices.iter().map(Along::len).collect();
    let mut out = call.reserve(&shape)?;
    if !shape.contains(&0) {
        Picker { values: x.as_slice().unwrap_or_default(), fill }.pick(x.shape(), indices, Some(0), &mut out);
    }
    call.array(&shape, out)
}

struct Picker<'a, T> {
    values: &'a [T],
    fill: T,
}

impl<T: Element> Picker<'_, T> {
    /// Appends the elements of the axes of `shape`, from the `offset`-th block of that shape on; fill values for None.
    fn pick(&self, shape: &[usize], indices: &[Along], offset: Option<usize>, out: &mut Vec<T>) {
        let ([size, shape @ ..], [along, rest @ ..]) = (shape, indices) else {
            return out.push(offset.map_or(self.fill, |offset| self.values[offset]));
        };
        if indices.iter().all(|along| matches!(along, Along::All(_))) {
            let len = size * shape.iter().product::<usize>();
            return match offset {
                Some(offset) => out.extend_from_slice(&self.values[offset * len..][..len]),
                None => out.resize(out.len() + len, self.fill),
            };
        }
        for position in 0..along.len() {
            let index = offset.zip(along.get(position)).map(|(offset, index)| offset * size + index);
            self.pick(shape, rest, index, out);
        }
    }
}

fn picked(call: &Call<'_>, input: &Tensor, indices: &[Along]) -> Outcome {
    each!(input, x => Ok(vec![pick(call, x, indices, Default::default())?.into()]))
}

/// Bounds are attributes until operator set 9.
fn slice(call: &Call<'_>) -> Outcome {
    let input = call.input(0)?;
    let rank = input.shape().len();
    let (starts, ends) = (call.required_ints(1, "starts")?, call.required_ints(2, "ends")?);
    let axes = call.ints_or_attribute(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let axes = call.axes(&axes, rank)?;
    let steps = call.ints(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(call.problem("starts, ends, axes and steps of different lengths"));
    }
    if steps.contains(&0) {
        return Err(call.problem("a step of zero"));
    }
    let mut indices = identity(input.shape());
    for (position, &axis) in axes.iter().enumerate() {
        indices[axis] = sliced(starts[position], ends[position], steps[position], input.shape()[axis]);
    }
    picked(call, input, &indices)
}

/// Indices `start`, `start + step`, … before `end`, as Python slices.
fn sliced(start: i64, end: i64, step: i64, size: usize) -> Along {
    let size = size as i64;
    // Going down, the bounds are between the elements before them.
    let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
    let clamp = |bound: i64| if bound < 0 { bound.saturating_add(size) } else { bound }.clamp(low, high);
    let (start, end) = (clamp(start), clamp(end));
    let distance = if step > 0 { end - start } else { start - end };
    let len = u64::try_from(distance).unwrap_or_default().div_ceil(step.unsigned_abs()) as usize;
    Along::Step { start: start.max(0) as usize, step: step as isize, len }
}

/// Sizes are an attribute until operator set 11; without any, the parts are equal, and the last may be smaller.
fn split(call: &Call<'_>) -> Outcome {
    let input = call.input(0)?;
    let axis = call.axis_attribute(0, input.shape().len())?;
    let size = input.shape()[axis];
    let mut start = 0;
    let parts = split_sizes(call, size)?.into_iter().map(|part| {
        let mut indices = identity(input.shape());
        indices[axis] = Along::Step { start, step: 1, len: part };
        start += part;
        picked(call, input, &indices)
    });
    parts.collect::<Result<Vec<_>, _>>().map(|parts| parts.concat())
}

fn split_sizes(call: &Call<'_>, size: usize) -> Result<Vec<usize>, Problem> {
    if let Some(sizes) = call.ints_or_attribute(1, "split")? {
        let sizes = sizes.into_iter().map(|size| call.size(size)).collect::<Result<Vec<_>, _>>()?;
        let sum = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
        return if sum == Some(size) {
            Ok(sizes)
        } else {
            Err(call.problem(format!("sizes {sizes:?} of an axis of {size}")))
        };
    }
    let count = call.node.int("num_outputs", call.node.outputs.len() as i64)?;
    let count = call.size(count)?;
    if count != call.node.outputs.len() || count == 0 {
        return Err(call.problem(format!("{count} parts for {} outputs", call.node.outputs.len())));
    }
    let part = size.div_ceil(count);
    Ok((0..count).map(|index| part.min(size.saturating_sub(index * part))).collect())
}

fn tile(call: &Call<'_>) -> Outcome {
    let input = call.input(0)?;
    let repeats = call.ints(1)?.ok_or_else(|| call.problem("no repeats"))?;
    if repeats.len() != input.shape().len() {
        return Err(call.problem(format!("{} repeats for {} axes", repeats.len(), input.shape().len())));
    }
    let mut shape = Vec::with_capacity(repeats.len());
    for (&size, &repeats) in input.shape().iter().zip(&repeats) {
        let size = call.size(repeats)?.checked_mul(size);
        shape.push(size.ok_or_else(|| call.problem("an axis that is too large"))?);
    }
    // An index is kept for each of an axis.
    shape.iter().try_for_each(|&size| call.elements::<Option<usize>>(&[size]).map(drop))?;
    if shape.contains(&0) {
        return empty(call, input, &shape);
    }
    let along = |(&out, &size): (&usize, &usize)| match out == size {
        true => Along::All(size),
        false => Along::At((0..out).map(|index| Some(index % size)).collect()),
    };
    picked(call, input, &shape.iter().zip(input.shape()).map(along).collect::<Vec<_>>())
}

/// A tensor without elements, of the input's type.
fn empty(call: &Call<'_>, like: &Tensor, shape: &[usize]) -> Outcome {
    let tensor = Tensor::from_bytes(like.dtype(), shape, &[]);
    Ok(vec![tensor.ok_or_else(|| call.problem(format!("a value of shape {shape:?}")))?])
}

/// Pads are attributes until operator set 10; negative ones crop.
fn pad(call: &Call<'_>) -> Outcome {
    let input = call.input(0)?;
    let rank = input.shape().len();
    let pads = call.required_ints(1, "pads")?;
    let axes = match call.ints(3)? {
        Some(axes) => call.axes(&axes, rank)?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(call.problem(format!("{} pads for {} axes", pads.len(), axes.len())));
    }
    let mode = call.node.string("mode")?.unwrap_or("constant");
    let mut ranges: Vec<Range<i64>> = input.shape().iter().map(|&size| 0..size as i64).collect();
    for (position, &axis) in axes.iter().enumerate() {
        let (start, end) = (pads[position].checked_neg(), ranges[axis].end.checked_add(pads[axes.len() + position]));
        ranges[axis] =
            start.zip(end).map(|(start, end)| start..end).ok_or_else(|| call.problem("pads that are too large"))?;
    }
    let sizes = ranges.iter().map(|range| range.end.checked_sub(range.start).map(|size| size.max(0)));
    let shape = sizes.map(|size| call.size(size.unwrap_or(-1))).collect::<Result<Vec<_>, _>>()?;
    // An index is kept for each of an axis.
    shape.iter().try_for_each(|&size| call.elements::<Option<usize>>(&[size]).map(drop))?;
    if shape.contains(&0) {
        return empty(call, input, &shape);
    }
    let indices = ranges.into_iter().zip(input.shape()).map(|(range, &size)| padded(call, mode, range, size));
    let indices = indices.collect::<Result<Vec<_>, _>>()?;
    each!(input, x => Ok(vec![pick(call, x, &indices, fill_value(call, x)?)?.into()]))
}

/// The element that each index of a padded axis has.
fn padded(call: &Call<'_>, mode: &str, range: Range<i64>, size: usize) -> Result<Along, Problem> {
    let length = size as i64;
    if mode != "constant" && size == 0 {
        return Err(call.problem("an axis without elements to pad with"));
    }
    let source = |index: i64| match mode {
        "edge" => index.clamp(0, length - 1),
        "wrap" => index.rem_euclid(length),
        // Back and forth between the first and the last, which are not repeated.
        "reflect" => match index.rem_euclid((2 * (length - 1)).max(1)) {
            forth if forth < length => forth,
            back => 2 * (length - 1) - back,
        },
        _ => index,
    };
    if range == (0..length) {
        return Ok(Along::All(size));
    }
    Ok(Along::At(range.map(|index| usize::try_from(source(index)).ok().filter(|&index| index < size)).collect()))
}

/// What padding is filled with: input 2, until operator set 10 the attribute `value`, 0.
fn fill_value<T: Element>(call: &Call<'_>, _like: &ArrayD<T>) -> Result<T, Problem> {
    match call.optional(2) {
        Some(_) => call.typed::<T>(2)?.first().copied().ok_or_else(|| call.problem("a fill value without elements")),
        None => {
            let value = ndarray::arr0(call.node.float("value", 0.0)?).into_dyn().into();
            let cast = super::cast::cast(&value, T::tensor(ArrayD::default(vec![0])).dtype());
            Ok(T::array(&cast).and_then(|array| array.first().copied()).unwrap_or_default())
        }
    }
}

/// `x`'s slices along an axis, at every index of the second input.
fn gather<T: Element>(call: &Call<'_>, x: &ArrayD<T>) -> Outcome {
    let axis = call.axis_attribute(0, x.ndim())?;
    let size = x.shape()[axis];
    let indices = call.ints(1)?.ok_or_else(|| call.problem("no indices"))?;
    let indices = indices.into_iter().map(|index| call.index(index, size).map(Some)).collect::<Result<_, _>>()?;
    let mut all = identity(x.shape());
    all[axis] = Along::At(indices);
    let shape = [&x.shape()[..axis], call.input(1)?.shape(), &x.shape()[axis + 1..]].concat();
    let picked = pick(call, x, &all, T::default())?;
    Ok(vec![call.reshape(picked.into(), &shape)?.into()])
}

/// The element at each position of the indices, whose coordinate along an axis is the index.
fn gather_elements<T: Element>(call: &Call<'_>, x: &ArrayD<T>) -> Outcome {
    let axis = call.axis_attribute(0, x.ndim())?;
    let indices = call.ints(1)?.ok_or_else(|| call.problem("no indices"))?;
    let shape = call.input(1)?.shape();
    let within = |other: usize| other == axis || shape[other] <= x.shape()[other];
    if shape.len() != x.ndim() || !(0..shape.len()).all(within) {
        return Err(call.problem(format!("indices of shape {shape:?} for {:?}", x.shape())));
    }
    let mut out = call.reserve(shape)?;
    for (position, index) in ndarray::indices(shape).into_iter().zip(indices) {
        let mut position = position;
        position[axis] = call.index(index, x.shape()[axis])?;
        out.push(x[position]);
    }
    Ok(vec![call.array(shape, out)?.into()])
}

/// Slices of `x` at coordinates, which are the last axis of the indices; the first `batch_dims` axes of both go together.
fn gather_nd<T: Element>(call: &Call<'_>, x: &ArrayD<T>) -> Outcome {
    let indices = call.ints(1)?.ok_or_else(|| call.problem("no indices"))?;
    let batch_axes = call.size(call.node.int("batch_dims", 0)?)?;
    let shape = call.input(1)?.shape();
    let Some((&width, rows)) = shape.split_last() else { return Err(call.problem("indices without axes")) };
    let fits =
        batch_axes <= rows.len() && batch_axes + width <= x.ndim() && rows[..batch_axes] == x.shape()[..batch_axes];
    if !fits {
        return Err(call.problem(format!("indices of shape {shape:?} for {:?}", x.shape())));
    }
    let inner = &x.shape()[batch_axes + width..];
    let block = inner.iter().product::<usize>();
    let out_shape = [rows, inner].concat();
    let mut out = call.reserve(&out_shape)?;
    let values = x.as_slice().unwrap_or_default();
    let batches = rows[..batch_axes].iter().product::<usize>();
    let rows_each = rows[batch_axes..].iter().product::<usize>();
    for row in 0..batches * rows_each {
        let mut offset = row / rows_each;
        for (position, &size) in x.shape()[batch_axes..batch_axes + width].iter().enumerate() {
            offset = offset * size + call.index(indices[row * width + position], size)?;
        }
        out.extend_from_slice(&values[offset * block..][..block]);
    }
    Ok(vec![call.array(&out_shape, out)?.into()])
}
