//! Reductions along axes.

use super::{Call, Operator, Outcome, number, real};
use crate::{
    Tensor,
    element::{Element, Number, Real},
    tensor::each,
};
use ndarray::{ArrayD, ArrayViewD, Axis};
use onnx::{Node, Problem};
use std::cmp::Ordering;

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "ReduceSum" => |call| number!(call, call.input(0)?, T => reduce::<T>(call, &sum)),
        "ReduceMean" => |call| number!(call, call.input(0)?, T => mean::<T>(call)),
        "ReduceProd" => |call| number!(call, call.input(0)?, T => reduce::<T>(call, &product)),
        "ReduceMax" => |call| extreme(call, true),
        "ReduceMin" => |call| extreme(call, false),
        "ReduceL1" => {
            |call| number!(call, call.input(0)?, T => reduce::<T>(call, &|row| T::sum(row.iter().map(|x| x.abs()))))
        }
        "ReduceL2" => |call| number!(call, call.input(0)?, T => reduce::<T>(call, &norm)),
        "ReduceSumSquare" => |call| {
            number!(call, call.input(0)?, T => reduce::<T>(call, &|row| {
                T::sum(row.iter().map(|x| x.mul(*x)))
            }))
        },
        "ReduceLogSum" => |call| real!(call, call.input(0)?, T => reduce::<T>(call, &log_sum)),
        "ReduceLogSumExp" => |call| real!(call, call.input(0)?, T => reduce::<T>(call, &log_sum_exp)),
        "ArgMax" => |call| each!(call.input(0)?, x => argument(call, x, Ordering::Greater)),
        "ArgMin" => |call| each!(call.input(0)?, x => argument(call, x, Ordering::Less)),
        _ => return None,
    })
}

/// Axes, reduced shape, and the elements of each result.
struct Rows<T> {
    /// Of the output.
    shape: Vec<usize>,
    /// The elements, those of a result together.
    values: Vec<T>,
    /// Elements of a result.
    width: usize,
}

/// Gathers what is reduced together; None if nothing is to be reduced.
fn rows<T: Element>(call: &Call<'_>, x: &ArrayViewD<'_, T>) -> Result<Option<Rows<T>>, Problem> {
    let axes = match call.ints_or_attribute(1, "axes")? {
        Some(axes) if !axes.is_empty() => call.axes(&axes, x.ndim())?,
        _ if call.flag("noop_with_empty_axes", false)? => return Ok(None),
        _ => (0..x.ndim()).collect(),
    };
    let (reduced, kept): (Vec<_>, Vec<_>) = (0..x.ndim()).partition(|axis| axes.contains(axis));
    let size = |axis: usize| x.shape()[axis];
    let shape = match call.flag("keepdims", true)? {
        true => (0..x.ndim()).map(|axis| if axes.contains(&axis) { 1 } else { size(axis) }).collect(),
        false => kept.iter().map(|&axis| size(axis)).collect(),
    };
    let width = reduced.iter().map(|&axis| size(axis)).product();
    let order = [kept, reduced].concat();
    Ok(Some(Rows { shape, values: x.view().permuted_axes(order).iter().copied().collect(), width }))
}

/// The results of `f` on what is reduced together, in row-major order.
fn reduce<T: Number>(call: &Call<'_>, f: &dyn Fn(&[T]) -> T) -> Result<ArrayD<T>, Problem> {
    let x = call.numbers::<T>(0)?;
    let Some(Rows { shape, values, width }) = rows(call, &x.view())? else {
        // As the specification says: each element is reduced by itself.
        return call.collect(x.shape(), x.iter().map(|x| f(&[*x])));
    };
    let count = call.elements::<T>(&shape)?;
    call.collect(&shape, (0..count).map(|index| f(&values[index * width..][..width])))
}

fn sum<T: Number>(row: &[T]) -> T {
    T::sum(row.iter().copied())
}

fn log_sum<T: Real>(row: &[T]) -> T {
    sum(row).ln()
}

fn product<T: Number>(row: &[T]) -> T {
    row.iter().fold(T::ONE, |product, &x| product.mul(x))
}

/// NaN for no elements; an error for integers.
fn mean<T: Number>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let out = reduce::<T>(call, &|row| if T::INTEGER { integer_mean(row) } else { real_mean(row) })?;
    if T::INTEGER && !out.is_empty() && call.input(0)?.shape().contains(&0) {
        return Err(call.problem("the mean of no integers"));
    }
    Ok(out)
}

fn real_mean<T: Number>(row: &[T]) -> T {
    T::from_f64(row.iter().fold(0.0, |sum, x| sum + x.to_f64()) / row.len() as f64)
}

/// Truncated towards 0.
fn integer_mean<T: Number>(row: &[T]) -> T {
    T::from_f64(
        (row.iter().fold(0i128, |sum, x| sum + i128::from(x.to_i64())) as f64 / row.len().max(1) as f64).trunc(),
    )
}

fn norm<T: Number>(row: &[T]) -> T {
    T::from_f64(row.iter().fold(0.0, |sum, x| x.to_f64().mul_add(x.to_f64(), sum)).sqrt())
}

/// -∞ for no elements.
fn log_sum_exp<T: Real>(row: &[T]) -> T {
    let maximum = row.iter().fold(T::LOWEST, |maximum, &x| maximum.max_or_nan(x));
    if maximum.abs() == T::HIGHEST {
        return maximum;
    }
    maximum.add(T::sum(row.iter().map(|x| x.sub(maximum).exp())).ln())
}

/// The lowest or highest value of the type for no elements. Booleans are ordered as 0 and 1.
fn extreme(call: &Call<'_>, highest: bool) -> Outcome {
    if let Tensor::Bool(x) = call.input(0)? {
        let Some(Rows { shape, values, width }) = rows(call, &x.view())? else { return Ok(vec![x.clone().into()]) };
        let count = call.elements::<bool>(&shape)?;
        let of = |index: usize| {
            let row = &values[index * width..][..width];
            if highest { row.contains(&true) } else { !row.contains(&false) }
        };
        return Ok(vec![call.collect(&shape, (0..count).map(of))?.into()]);
    }
    number!(call, call.input(0)?, T => match highest {
        true => reduce::<T>(call, &|row| row.iter().fold(T::LOWEST, |best, &x| best.max_or_nan(x))),
        false => reduce::<T>(call, &|row| row.iter().fold(T::HIGHEST, |best, &x| best.min_or_nan(x))),
    })
}

/// The index along an axis of the element that is `better` than all others: the first, or the last if the attribute says so.
fn argument<T: Element>(call: &Call<'_>, x: &ArrayD<T>, better: Ordering) -> Outcome {
    let axis = call.axis_attribute(0, x.ndim())?;
    let (keep, last) = (call.flag("keepdims", true)?, call.flag("select_last_index", false)?);
    if x.shape()[axis] == 0 {
        return Err(call.problem("an axis without elements"));
    }
    let index = |lane: ndarray::ArrayView1<'_, T>| {
        let mut best = 0;
        for index in 1..lane.len() {
            if lane[index].partial_cmp(&lane[best]) == Some(better) || last && lane[best] == lane[index] {
                best = index;
            }
        }
        best as i64
    };
    let out = x.map_axis(Axis(axis), index);
    Ok(vec![if keep { out.insert_axis(Axis(axis)) } else { out }.into()])
}
