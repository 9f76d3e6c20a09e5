//! Products and convolutions of quantized operands, accumulated in int32.

use super::{
    Call, Operator, Outcome,
    convolution::convolve,
    matmul::product,
    quantize::{per_axis, saturated},
};
use crate::element::Element;
use ndarray::{ArrayD, ArrayViewD};
use onnx::{Node, Problem};

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "MatMulInteger" => |call| Ok(vec![matmul(call, [0, 2], [1, 3])?.into()]),
        "ConvInteger" => |call| Ok(vec![convolution(call, [0, 2], [1, 3])?.into()]),
        "QLinearMatMul" => qlinear_matmul,
        "QLinearConv" => qlinear_conv,
        _ => return None,
    })
}

/// Which way a zero point or scale of one axis lies in an operand.
#[derive(Clone, Copy, PartialEq)]
enum Along {
    /// The first axis: output channels of weights.
    First,
    /// The last but one: rows of a matrix.
    Rows,
    /// The last: columns of a matrix.
    Columns,
}

/// A zero point or scale as if it had the shape `to`.
fn spread<T: Element>(
    call: &Call<'_>,
    parameter: &ArrayD<T>,
    along: Along,
    to: &[usize],
) -> Result<ArrayD<T>, Problem> {
    let mut shape = parameter.shape().to_vec();
    match (shape.as_slice(), along) {
        ([1], _) => shape.clear(),
        ([_], Along::First) => shape.resize(to.len(), 1),
        ([_], Along::Rows) => shape.push(1),
        _ => {}
    }
    let parameter = call.reshape(parameter.into(), &shape)?;
    Ok(call.broadcast(&parameter.view(), to)?.as_standard_layout().into_owned())
}

/// An operand without its zero point; `[operand, zero point]` are indices of inputs.
fn centered(call: &Call<'_>, [index, zero_index]: [usize; 2], along: Along) -> Result<ArrayD<i32>, Problem> {
    let operand = call.to_i32(index)?;
    match call.optional(zero_index) {
        None => Ok(operand),
        Some(_) => Ok(&operand - &spread(call, &call.to_i32(zero_index)?, along, operand.shape())?),
    }
}

fn matmul(call: &Call<'_>, a: [usize; 2], b: [usize; 2]) -> Result<ArrayD<i32>, Problem> {
    product(call, centered(call, a, Along::Rows)?.into(), centered(call, b, Along::Columns)?.into())
}

fn convolution(call: &Call<'_>, x: [usize; 2], weight: [usize; 2]) -> Result<ArrayD<i32>, Problem> {
    let (x, weight) = (centered(call, x, Along::First)?, centered(call, weight, Along::First)?);
    convolve(call, &x.view(), &weight.view(), None)
}

/// `round(sum · scale) + zero point` in the type of the zero point; `scale` is that of both operands over the output's.
fn requantized(call: &Call<'_>, sums: &ArrayD<i32>, scale: &ArrayViewD<'_, f32>, zero_index: usize) -> Outcome {
    let zero = call.input(zero_index)?;
    let offset = call.to_f64(zero_index)?.first().copied();
    let offset = offset.ok_or_else(|| call.problem("a zero point without elements"))?;
    let scale = call.broadcast(scale, sums.shape())?;
    let rounded = |(&sum, &scale): (&i32, &f32)| f64::from((sum as f32 * scale).round_ties_even()) + offset;
    let values = call.collect(sums.shape(), sums.iter().zip(scale).map(rounded))?;
    Ok(vec![saturated(call, &values, zero.dtype())?])
}

fn qlinear_matmul(call: &Call<'_>) -> Outcome {
    let sums = matmul(call, [0, 2], [3, 5])?;
    let scale = |index| call.numbers::<f32>(index).map(|scale| scale.into_owned());
    let (a, b) =
        (spread(call, &scale(1)?, Along::Rows, sums.shape())?, spread(call, &scale(4)?, Along::Columns, sums.shape())?);
    let y = per_axis(call, call.numbers::<f32>(6)?, sums.shape())?;
    requantized(call, &sums, &(a * b / y).view(), 7)
}

fn qlinear_conv(call: &Call<'_>) -> Outcome {
    let mut sums = convolution(call, [0, 2], [3, 5])?;
    let channels = sums.shape()[1];
    // A value of each channel, as if it had the shape of the sums.
    let mut along_channels = vec![1; sums.ndim()];
    along_channels[1] = channels;
    if call.optional(8).is_some() {
        let bias = call.reshape(call.typed::<i32>(8)?.into(), &along_channels)?;
        sums.zip_mut_with(&bias, |sum, &bias| *sum = sum.wrapping_add(bias));
    }
    let weight = spread(call, &call.numbers::<f32>(4)?.into_owned(), Along::First, &[channels])?;
    let scalar = |index| call.scalar::<f32>(index)?.ok_or_else(|| call.problem(format!("input {index} is missing")));
    let (x, y) = (scalar(1)?, scalar(6)?);
    let scale = call.reshape(weight.mapv(|weight| x * weight / y).into(), &along_channels)?;
    requantized(call, &sums, &scale.view(), 7)
}
