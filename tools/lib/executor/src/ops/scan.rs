//! Running sums and products, and triangles of matrices.

use super::{Call, Operator, Outcome, number};
use crate::{
    element::{Element, Number},
    tensor::each,
};
use ndarray::{ArrayD, Axis};
use onnx::{Node, Problem};

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "CumSum" => |call| number!(call, call.input(0)?, T => running::<T>(call, T::ZERO, T::add)),
        "CumProd" => |call| number!(call, call.input(0)?, T => running::<T>(call, T::ONE, T::mul)),
        "Trilu" => |call| each!(call.input(0)?, x => triangle(call, x)),
        _ => return None,
    })
}

/// The fold of the elements up to each along an axis: without itself if `exclusive`, from the end if `reverse` is set.
fn running<T: Number>(call: &Call<'_>, start: T, f: fn(T, T) -> T) -> Result<ArrayD<T>, Problem> {
    let mut out = call.numbers::<T>(0)?.into_owned();
    let axis = *call.ints(1)?.unwrap_or_default().first().ok_or_else(|| call.problem("no axis"))?;
    let axis = Axis(call.axis(axis, out.ndim())?);
    let (exclusive, reverse) = (call.flag("exclusive", false)?, call.flag("reverse", false)?);
    if reverse {
        out.invert_axis(axis);
    }
    for lane in out.lanes_mut(axis) {
        let mut so_far = start;
        for x in lane {
            let after = f(so_far, *x);
            *x = if exclusive { so_far } else { after };
            so_far = after;
        }
    }
    if reverse {
        out.invert_axis(axis);
    }
    Ok(out)
}

/// The elements on and above the `k`-th diagonal of each matrix, or with `upper = 0` on and below it; 0 elsewhere.
fn triangle<T: Element>(call: &Call<'_>, x: &ArrayD<T>) -> Outcome {
    let upper = call.flag("upper", true)?;
    let diagonal = call.ints(1)?.unwrap_or_default().first().copied().unwrap_or(0);
    let &[.., rows, columns] = x.shape() else { return Err(call.problem("an input that is no matrix")) };
    let element = |(index, &x): (usize, &T)| {
        let (row, column) = ((index / columns % rows) as i64, (index % columns) as i64);
        let above = column - row;
        if if upper { above >= diagonal } else { above <= diagonal } { x } else { T::default() }
    };
    Ok(vec![call.collect(x.shape(), x.iter().enumerate().map(element))?.into()])
}
