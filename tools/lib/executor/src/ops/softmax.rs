//! Softmax, its logarithm, and hardmax.

use super::{Call, Operator, real};
use crate::element::Real;
use ndarray::{ArrayD, Axis};
use onnx::{Node, Problem};

/// From this operator set on the values along one axis are normalized; before, those of all axes from it on.
const ONE_AXIS: i64 = 13;

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "Softmax" => |call| real!(call, call.input(0)?, T => rows::<T>(call, softmax)),
        "LogSoftmax" => |call| real!(call, call.input(0)?, T => rows::<T>(call, log_softmax)),
        "Hardmax" => |call| real!(call, call.input(0)?, T => rows::<T>(call, hardmax)),
        _ => return None,
    })
}

/// Applies a function to each row of values that are normalized together.
fn rows<T: Real>(call: &Call<'_>, f: fn(&mut [T])) -> Result<ArrayD<T>, Problem> {
    let mut x = call.numbers::<T>(0)?.into_owned();
    if call.opset < ONE_AXIS {
        let axis = call.axis_attribute(1, x.ndim())?;
        let width = x.shape()[axis..].iter().product::<usize>();
        if let (Some(values), true) = (x.as_slice_mut(), width > 0) {
            values.chunks_exact_mut(width).for_each(f);
        }
    } else {
        let axis = call.axis_attribute(-1, x.ndim())?;
        let mut row = Vec::new();
        for mut lane in x.lanes_mut(Axis(axis)) {
            row.clear();
            row.extend(lane.iter());
            f(&mut row);
            lane.iter_mut().zip(&row).for_each(|(x, &y)| *x = y);
        }
    }
    Ok(x)
}

fn maximum<T: Real>(row: &[T]) -> T {
    row.iter().fold(T::LOWEST, |maximum, &x| maximum.max_or_nan(x))
}

fn softmax<T: Real>(row: &mut [T]) {
    let maximum = maximum(row);
    row.iter_mut().for_each(|x| *x = x.sub(maximum).exp());
    let sum = T::sum(row.iter().copied());
    row.iter_mut().for_each(|x| *x = x.div(sum));
}

fn log_softmax<T: Real>(row: &mut [T]) {
    let maximum = maximum(row);
    let sum = T::sum(row.iter().map(|x| x.sub(maximum).exp())).ln();
    row.iter_mut().for_each(|x| *x = x.sub(maximum).sub(sum));
}

/// 1 for the first maximum, 0 elsewhere.
fn hardmax<T: Real>(row: &mut [T]) {
    let maximum = maximum(row);
    let first = row.iter().position(|&x| x == maximum);
    row.iter_mut().enumerate().for_each(|(index, x)| *x = if Some(index) == first { T::ONE } else { T::ZERO });
}
