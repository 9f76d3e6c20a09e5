//! Quantization: integers with a scale and a zero point.

use super::{
    Call, Operator, Outcome, real,
    select::{Along, pick},
};
use crate::{
    Tensor,
    element::{Number, Real},
    ops::cast::cast,
};
use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};
use onnx::{DataType, Node, Problem};

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    let dtype = output_dtype(node)?;
    Some(match node.op_type.as_str() {
        "QuantizeLinear" if dtype == DataType::Undefined || range(dtype).is_some() => quantize,
        "DequantizeLinear" if dtype == DataType::Undefined || super::cast::supported(dtype) => dequantize,
        "DynamicQuantizeLinear" => dynamic_quantize,
        _ => return None,
    })
}

/// The attribute `output_dtype`, if any.
fn output_dtype(node: &Node) -> Option<DataType> {
    DataType::try_from(i32::try_from(node.int("output_dtype", 0).ok()?).ok()?).ok()
}

/// Minimum and maximum of an integer type that is quantized to.
fn range(dtype: DataType) -> Option<(f64, f64)> {
    Some(match dtype {
        DataType::Uint8 => (0.0, u8::MAX.into()),
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Uint16 => (0.0, u16::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        _ => return None,
    })
}

/// A scale or zero point of one element, of one an index of the attribute `axis`, or of one a block along it, as if it had
/// the shape `to`.
pub(super) fn per_axis<T: Number>(
    call: &Call<'_>,
    parameter: CowArray<'_, T, IxDyn>,
    to: &[usize],
) -> Result<ArrayD<T>, Problem> {
    let wrong = |shape: &[usize]| call.problem(format!("a scale or zero point of shape {shape:?} for {to:?}"));
    if let (1, Some(&value)) = (parameter.len(), parameter.first()) {
        return call.array(to, call.filled(to, value)?);
    }
    let axis = call.axis_attribute(1, to.len())?;
    let block = call.size(call.node.int("block_size", 0)?)?;
    if parameter.ndim() == 1 && block == 0 {
        let mut shape = vec![1; to.len()];
        shape[axis] = parameter.len();
        let column = call.reshape(parameter, &shape)?;
        return Ok(call.broadcast(&column.view(), to)?.as_standard_layout().into_owned());
    }
    let blocks = |other: usize| if other == axis { to[other].div_ceil(block) } else { to[other] };
    if block == 0 || parameter.ndim() != to.len() || !(0..to.len()).all(|axis| parameter.shape()[axis] == blocks(axis))
    {
        return Err(wrong(parameter.shape()));
    }
    let along = |other: usize| match other == axis {
        true => Along::At((0..to[axis]).map(|index| Some(index / block)).collect()),
        false => Along::All(to[other]),
    };
    pick(call, &parameter.into_owned(), &(0..to.len()).map(along).collect::<Vec<_>>(), T::ZERO)
}

/// A zero point in float64, as if it had the shape `to`; zeros if the input is left out.
fn zero_point(call: &Call<'_>, index: usize, to: &[usize]) -> Result<ArrayD<f64>, Problem> {
    match call.optional(index) {
        None => call.array(to, call.filled(to, 0.0)?),
        Some(_) => per_axis(call, call.to_f64(index)?.into(), to),
    }
}

/// Rounds halves to even and saturates.
pub(super) fn saturated(call: &Call<'_>, values: &ArrayD<f64>, dtype: DataType) -> Result<Tensor, Problem> {
    let (low, high) = range(dtype).ok_or_else(|| call.problem("a zero point of a type that is not supported"))?;
    Ok(cast(&values.mapv(|x| if x.is_nan() { 0.0 } else { x.clamp(low, high) }).into(), dtype))
}

/// `round(x / scale) + zero point`, in the type of the zero point.
fn quantize(call: &Call<'_>) -> Outcome {
    fn steps<T: Real>(call: &Call<'_>) -> Result<ArrayD<f64>, Problem> {
        let x = call.numbers::<T>(0)?;
        let scale = per_axis(call, call.numbers::<T>(1)?, x.shape())?;
        call.collect(x.shape(), x.iter().zip(&scale).map(|(&x, &scale)| x.div(scale).round().to_f64()))
    }
    let dtype = match (call.optional(2), output_dtype(call.node)) {
        (Some(zero), _) => zero.dtype(),
        (None, None | Some(DataType::Undefined)) => DataType::Uint8,
        (None, Some(dtype)) => dtype,
    };
    let mut values = match call.input(0)? {
        Tensor::F64(_) => steps::<f64>(call)?,
        // Of an int32, as operator sets before 19 have it, the quotient is that of float32.
        Tensor::I32(x) => {
            let scale = per_axis(call, call.numbers::<f32>(1)?, x.shape())?;
            call.collect(
                x.shape(),
                x.iter().zip(&scale).map(|(&x, &scale)| f64::from((x as f32 / scale).round_ties_even())),
            )?
        }
        _ => steps::<f32>(call)?,
    };
    values += &zero_point(call, 2, values.shape())?;
    Ok(vec![saturated(call, &values, dtype)?])
}

/// `(x - zero point) · scale`, in the type of the scale.
fn dequantize(call: &Call<'_>) -> Outcome {
    fn product<T: Real>(call: &Call<'_>, difference: &ArrayViewD<'_, f64>) -> Result<ArrayD<T>, Problem> {
        let scale = per_axis(call, call.numbers::<T>(1)?, difference.shape())?;
        call.collect(difference.shape(), difference.iter().zip(&scale).map(|(&x, &scale)| T::from_f64(x).mul(scale)))
    }
    let mut difference = call.to_f64(0)?;
    difference -= &zero_point(call, 2, difference.shape())?;
    let outputs = real!(call, call.input(1)?, T => product::<T>(call, &difference.view()))?;
    Ok(match output_dtype(call.node) {
        None | Some(DataType::Undefined) => outputs,
        Some(dtype) => outputs.iter().map(|output| cast(output, dtype)).collect(),
    })
}

/// To uint8, with the scale and zero point of the input's own range, which includes 0.
fn dynamic_quantize(call: &Call<'_>) -> Outcome {
    let x = call.typed::<f32>(0)?;
    let (low, high) = x.iter().fold((0f32, 0f32), |(low, high), &x| (low.min_or_nan(x), high.max_or_nan(x)));
    let steps = f32::from(u8::MAX);
    // A scale of 0 would divide by it.
    let scale = if high > low { (high - low) / steps } else { 1.0 };
    let zero = (-low / scale).clamp(0.0, steps).round_ties_even();
    let values = x.mapv(|x| f64::from((x / scale).round_ties_even()) + f64::from(zero));
    let scalar = |value: f32| ndarray::arr0(value).into_dyn().into();
    Ok(vec![saturated(call, &values, DataType::Uint8)?, scalar(scale), cast(&scalar(zero), DataType::Uint8)])
}
