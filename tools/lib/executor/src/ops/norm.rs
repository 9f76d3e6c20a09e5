//! Normalizations. Means and variances are computed in float64, in two passes.

use super::{Call, Operator, Outcome, real};
use crate::element::Real;
use ndarray::{ArrayD, ArrayViewD, Axis};
use onnx::{Node, Problem};

/// From this operator set on GroupNormalization scales channels; before, groups.
const SCALE_OF_CHANNELS: i64 = 21;
/// Default of every `epsilon`.
const EPSILON: f32 = 1e-5;

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    let inference = node.int("training_mode", 0).ok()? == 0 && node.outputs.len() == 1;
    Some(match node.op_type.as_str() {
        "BatchNormalization" if inference && node.int("spatial", 1).ok()? == 1 => {
            |call| real!(call, call.input(0)?, T => batch::<T>(call))
        }
        "LayerNormalization" => layer,
        "RMSNormalization" => |call| real!(call, call.input(0)?, T => root_mean_square::<T>(call)),
        "InstanceNormalization" => |call| real!(call, call.input(0)?, T => instance::<T>(call)),
        "GroupNormalization" => |call| real!(call, call.input(0)?, T => group::<T>(call)),
        "LRN" => |call| real!(call, call.input(0)?, T => local_response::<T>(call)),
        _ => return None,
    })
}

fn epsilon(call: &Call<'_>) -> Result<f64, Problem> {
    call.node.float("epsilon", EPSILON).map(Into::into)
}

/// An input of one element a channel (or a group).
fn vector<T: Real>(call: &Call<'_>, index: usize, len: usize) -> Result<Vec<T>, Problem> {
    let values = call.numbers::<T>(index)?;
    if values.len() != len {
        return Err(call.problem(format!("input {index} has {} elements, expected {len}", values.len())));
    }
    Ok(values.iter().copied().collect())
}

/// Images and channels of an input `[N, C, …]`.
fn outer<T>(call: &Call<'_>, x: &ArrayViewD<'_, T>) -> Result<[usize; 2], Problem> {
    match x.shape() {
        [images, channels, ..] => Ok([*images, *channels]),
        shape => Err(call.problem(format!("an input of shape {shape:?}, expected [N, C, …]"))),
    }
}

/// `(x - mean) / sqrt(variance + epsilon) · scale + bias`, by channel.
fn batch<T: Real>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let mut out = call.numbers::<T>(0)?.into_owned();
    // A batch without channels has one.
    let channels = out.shape().get(1).copied().unwrap_or(1);
    let (scale, bias) = (vector::<T>(call, 1, channels)?, vector::<T>(call, 2, channels)?);
    let (mean, variance) = (vector::<T>(call, 3, channels)?, vector::<T>(call, 4, channels)?);
    let epsilon = T::from_f64(epsilon(call)?);
    let axis = Axis(1.min(out.ndim().saturating_sub(1)));
    let normalize = |channel: usize| {
        let factor = scale[channel].div(variance[channel].add(epsilon).sqrt());
        let (mean, bias) = (mean[channel], bias[channel]);
        move |x: T| x.sub(mean).mul(factor).add(bias)
    };
    if out.ndim() < 2 {
        out.mapv_inplace(normalize(0));
        return Ok(out);
    }
    for (channel, mut plane) in out.axis_iter_mut(axis).enumerate() {
        plane.mapv_inplace(normalize(channel));
    }
    Ok(out)
}

/// Mean, and variance of the population.
fn moments<T: Real>(row: &[T]) -> (f64, f64) {
    let len = row.len() as f64;
    let mean = row.iter().fold(0.0, |sum, x| sum + x.to_f64()) / len;
    let squares = row.iter().map(|x| x.to_f64() - mean).fold(0.0, |sum, x| x.mul_add(x, sum));
    (mean, squares / len)
}

/// `(x - mean) / sqrt(variance + epsilon)` of each row of `width` values.
fn normalize_rows<T: Real>(out: &mut ArrayD<T>, width: usize, epsilon: f64) {
    if let (Some(values), true) = (out.as_slice_mut(), width > 0) {
        for row in values.chunks_exact_mut(width) {
            let (mean, variance) = moments(row);
            let factor = 1.0 / (variance + epsilon).sqrt();
            row.iter_mut().for_each(|x| *x = T::from_f64((x.to_f64() - mean) * factor));
        }
    }
}

/// Multiplies and adds inputs that broadcast: 1, and 2 if there is one.
fn scale_and_shift<T: Real>(call: &Call<'_>, out: &mut ArrayD<T>) -> Result<(), Problem> {
    let (scale, shape) = (call.numbers::<T>(1)?, out.shape().to_vec());
    out.zip_mut_with(&call.broadcast(&scale.view(), &shape)?, |x, &scale| *x = x.mul(scale));
    if let Some(bias) = call.optional_numbers::<T>(2)? {
        out.zip_mut_with(&call.broadcast(&bias.view(), &shape)?, |x, &bias| *x = x.add(bias));
    }
    Ok(())
}

/// Over the axes from `axis` on. The further outputs are mean and 1 / standard deviation.
fn layer(call: &Call<'_>) -> Outcome {
    fn normalized<T: Real>(call: &Call<'_>, axis: usize) -> Result<ArrayD<T>, Problem> {
        let mut out = call.numbers::<T>(0)?.into_owned();
        let width = out.shape()[axis..].iter().product();
        normalize_rows(&mut out, width, epsilon(call)?);
        scale_and_shift(call, &mut out)?;
        Ok(out)
    }
    /// A statistic of each row.
    fn statistic<T: Real>(call: &Call<'_>, axis: usize, f: impl Fn((f64, f64)) -> f64) -> Result<ArrayD<T>, Problem> {
        let x = call.numbers::<T>(0)?;
        let (rows, width) = x.shape().split_at(axis);
        let width = width.iter().product::<usize>();
        let shape = [rows, &vec![1; x.ndim() - axis]].concat();
        let values = x.as_slice().unwrap_or_default();
        let rows = 0..rows.iter().product();
        call.collect(&shape, rows.map(|row: usize| T::from_f64(f(moments(&values[row * width..][..width])))))
    }
    let input = call.input(0)?;
    let (axis, epsilon) = (call.axis_attribute(-1, input.shape().len())?, epsilon(call)?);
    let mut outputs = real!(call, input, T => normalized::<T>(call, axis))?;
    if call.node.outputs.len() > 1 {
        outputs.extend(real!(call, input, T => statistic::<T>(call, axis, |(mean, _)| mean))?);
        outputs.extend(
            real!(call, input, T => statistic::<T>(call, axis, |(_, variance)| 1.0 / (variance + epsilon).sqrt()))?,
        );
    }
    Ok(outputs)
}

/// `x / sqrt(mean(x²) + epsilon) · scale` over the axes from `axis` on.
fn root_mean_square<T: Real>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let mut out = call.numbers::<T>(0)?.into_owned();
    let (axis, epsilon) = (call.axis_attribute(-1, out.ndim())?, epsilon(call)?);
    let width = out.shape()[axis..].iter().product::<usize>();
    if let (Some(values), true) = (out.as_slice_mut(), width > 0) {
        for row in values.chunks_exact_mut(width) {
            let squares = row.iter().map(|x| x.to_f64()).fold(0.0, |sum, x| x.mul_add(x, sum));
            let factor = 1.0 / (squares / width as f64 + epsilon).sqrt();
            row.iter_mut().for_each(|x| *x = T::from_f64(x.to_f64() * factor));
        }
    }
    scale_and_shift(call, &mut out)?;
    Ok(out)
}

/// Multiplies and adds inputs 1 and 2, which have an element for every `planes` channels in turn.
fn scale_channels<T: Real>(call: &Call<'_>, out: &mut ArrayD<T>, len: usize, planes: usize) -> Result<(), Problem> {
    let (scale, bias) = (vector::<T>(call, 1, len)?, vector::<T>(call, 2, len)?);
    for mut image in out.outer_iter_mut() {
        for (channel, mut plane) in image.outer_iter_mut().enumerate() {
            plane.mapv_inplace(|x| x.mul(scale[channel / planes]).add(bias[channel / planes]));
        }
    }
    Ok(())
}

fn instance<T: Real>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let mut out = call.numbers::<T>(0)?.into_owned();
    let [_, channels] = outer(call, &out.view())?;
    let plane = out.shape()[2..].iter().product();
    normalize_rows(&mut out, plane, epsilon(call)?);
    scale_channels(call, &mut out, channels, 1)?;
    Ok(out)
}

fn group<T: Real>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let mut out = call.numbers::<T>(0)?.into_owned();
    let [_, channels] = outer(call, &out.view())?;
    let groups = call.size(call.node.int("num_groups", 0)?)?;
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(call.problem(format!("{groups} groups of {channels} channels")));
    }
    let (channels_each, plane) = (channels / groups, out.shape()[2..].iter().product::<usize>());
    normalize_rows(&mut out, channels_each * plane, epsilon(call)?);
    match call.opset < SCALE_OF_CHANNELS {
        true => scale_channels(call, &mut out, groups, channels_each.max(1))?,
        false => scale_channels(call, &mut out, channels, 1)?,
    }
    Ok(out)
}

/// Local response normalization over `size` neighbouring channels (Krizhevsky et al.).
fn local_response<T: Real>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let x = call.numbers::<T>(0)?;
    let [images, channels] = outer(call, &x.view())?;
    let size = call.size(call.node.int("size", 0)?)?;
    if size == 0 {
        return Err(call.problem("a size of zero"));
    }
    let (alpha, beta) = (f64::from(call.node.float("alpha", 1e-4)?), f64::from(call.node.float("beta", 0.75)?));
    let bias = f64::from(call.node.float("bias", 1.0)?);
    let plane = x.shape()[2..].iter().product::<usize>();
    let values = x.as_slice().unwrap_or_default();
    let element = |index: usize| {
        let (image, channel, pixel) = (index / (channels * plane), index / plane % channels, index % plane);
        let neighbours = channel.saturating_sub((size - 1) / 2)..channels.min(channel.saturating_add(size / 2 + 1));
        let neighbours = neighbours.map(|channel| values[(image * channels + channel) * plane + pixel].to_f64());
        let sum = neighbours.fold(0.0, |sum: f64, x| x.mul_add(x, sum));
        T::from_f64(values[index].to_f64() / libm::pow(bias + alpha / size as f64 * sum, beta))
    };
    call.collect(x.shape(), (0..images * channels * plane).map(element))
}
