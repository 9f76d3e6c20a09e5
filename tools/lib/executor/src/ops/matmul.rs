//! Matrix products.

use super::{Call, Operator, number};
use crate::element::Number;
use ndarray::{Array2, ArrayD, ArrayViewD, CowArray, Ix2, IxDyn};
use onnx::{Node, Problem};

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "MatMul" => |call| {
            number!(call, super::compare::same_type(call)?, T => {
                product(call, call.numbers::<T>(0)?, call.numbers::<T>(1)?)
            })
        },
        "Gemm" => |call| number!(call, super::compare::same_type(call)?, T => gemm::<T>(call)),
        _ => return None,
    })
}

/// `numpy.matmul`: the last two axes are matrices, and the others broadcast; an axis is added to a vector, and its result loses it.
pub(super) fn product<T: Number>(
    call: &Call<'_>,
    a: CowArray<'_, T, IxDyn>,
    b: CowArray<'_, T, IxDyn>,
) -> Result<ArrayD<T>, Problem> {
    if a.ndim() == 0 || b.ndim() == 0 {
        return Err(call.problem("a product with a scalar"));
    }
    let (row, column) = (a.ndim() == 1, b.ndim() == 1);
    let a = if row { a.insert_axis(ndarray::Axis(0)) } else { a };
    let b = if column { b.insert_axis(ndarray::Axis(1)) } else { b };
    let ((a_batch, a_matrix), (b_batch, b_matrix)) =
        (a.shape().split_at(a.ndim() - 2), b.shape().split_at(b.ndim() - 2));
    let (&[m, k], &[other, n]) = (a_matrix, b_matrix) else { return Err(call.problem("a product of no matrices")) };
    if k != other {
        return Err(call.problem(format!("a product of shapes {:?} and {:?}", a.shape(), b.shape())));
    }
    let batch = call.broadcast_shape(&[a_batch, b_batch])?;
    let (left, right) = (matrices(call, &a.view(), &batch, [m, k])?, matrices(call, &b.view(), &batch, [k, n])?);
    let mut out = call.filled(&[&batch[..], &[m, n]].concat(), T::ZERO)?;
    for index in 0..batch.iter().product() {
        let matrix = |all: &ArrayD<T>, len: usize| index * len..(index * len + len).min(all.len());
        let (left_range, right_range) = (matrix(&left, m * k), matrix(&right, k * n));
        let (left, right) = (left.as_slice().unwrap_or_default(), right.as_slice().unwrap_or_default());
        T::matmul(&left[left_range], &right[right_range], [m, k, n], &mut out[index * m * n..][..m * n]);
    }
    let matrix = [(!row).then_some(m), (!column).then_some(n)];
    call.array(&[&batch[..], &matrix.into_iter().flatten().collect::<Vec<_>>()].concat(), out)
}

/// The matrices of all batch axes, row-major.
fn matrices<T: Number>(
    call: &Call<'_>,
    x: &ArrayViewD<'_, T>,
    batch: &[usize],
    matrix: [usize; 2],
) -> Result<ArrayD<T>, Problem> {
    let shape = [batch, &matrix].concat();
    call.elements::<T>(&shape)?;
    Ok(call.broadcast(x, &shape)?.as_standard_layout().into_owned())
}

/// `alpha · A · B + beta · C`, A and B transposed by attributes.
fn gemm<T: Number>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let a = matrix::<T>(call, 0, call.flag("transA", false)?)?;
    let b = matrix::<T>(call, 1, call.flag("transB", false)?)?;
    let mut out = product(call, a.into_dyn().into(), b.into_dyn().into())?;
    let alpha = call.node.float("alpha", 1.0)?;
    if alpha != 1.0 {
        out.mapv_inplace(|x| x.mul(T::from_f64(alpha.into())));
    }
    if let Some(c) = call.optional_numbers::<T>(2)? {
        let (c, beta) = (c.view(), T::from_f64(call.node.float("beta", 1.0)?.into()));
        let c = call.broadcast(&c, out.shape())?;
        out.zip_mut_with(&c, |x, &c| *x = x.add(beta.mul(c)));
    }
    Ok(out)
}

fn matrix<T: Number>(call: &Call<'_>, index: usize, transposed: bool) -> Result<Array2<T>, Problem> {
    let values = call.numbers::<T>(index)?;
    let wrong = |_| call.problem(format!("input {index} is no matrix"));
    let matrix = values.view().into_dimensionality::<Ix2>().map_err(wrong)?;
    let matrix = if transposed { matrix.reversed_axes() } else { matrix };
    Ok(matrix.as_standard_layout().into_owned())
}
