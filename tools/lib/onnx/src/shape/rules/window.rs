//! Windows that slide over spatial axes: convolutions and pools of any number of dimensions.

use super::super::{
    call::{Call, Outcome, shaped, unknown},
    expression::{known, number},
};
use crate::Problem;
use rten_shape_inference::{SymExpr, SymTensor};

/// Stride, dilation and padding of one spatial axis.
struct Axis {
    stride: SymExpr,
    dilation: SymExpr,
    /// Before and after; None for `SAME_UPPER` and `SAME_LOWER`.
    pads: Option<(SymExpr, SymExpr)>,
}

/// Strides, dilations and padding of `count` spatial axes.
fn axes(call: &Call, count: usize) -> Result<Vec<Axis>, Problem> {
    let strides = call.sizes("strides", count, 1, 1)?;
    let dilations = call.sizes("dilations", count, 1, 1)?;
    let pads = call.sizes("pads", 2 * count, i64::MIN, 0)?;
    let same = match call.node.string("auto_pad")?.unwrap_or("NOTSET") {
        "NOTSET" => false,
        "VALID" if pads.iter().any(|&pad| pad != 0) => return Err(call.fault("auto_pad VALID contradicts pads")),
        "VALID" => false,
        "SAME_UPPER" | "SAME_LOWER" => true,
        other => return Err(call.fault(format!("auto_pad {other:?} is unknown"))),
    };
    let of = |value: i64| number(value.into());
    let axis = |i: usize| Axis {
        stride: of(strides[i]),
        dilation: of(dilations[i]),
        pads: (!same).then(|| (of(pads[i]), of(pads[count + i]))),
    };
    Ok((0..count).map(axis).collect())
}

/// Number of windows: ⌊(size + pads − dilation·(kernel − 1) − 1) / stride⌋ + 1, or ⌈size / stride⌉ for `SAME_*`.
fn windows(call: &Call, size: &SymExpr, kernel: &SymExpr, axis: &Axis, ceil: bool) -> Result<SymExpr, Problem> {
    let stride = &axis.stride;
    let Some((before, after)) = &axis.pads else { return Ok(call.settle(&size.div_ceil(stride))) };
    let one = SymExpr::Value(1);
    let reach = axis.dilation.clone() * (kernel.clone() - one.clone());
    let padded = size.clone() + before.clone() + after.clone();
    let positions = call.symbols.settle(&(padded - reach - one.clone()));
    if known(&positions).is_some_and(|last| last < 0) {
        return Err(call.fault("the kernel is larger than the padded input"));
    }
    if !ceil {
        return Ok(call.settle(&(positions / stride.clone() + one)));
    }
    // Rounded up, the last window may start in the padding behind the input; such a one is not taken.
    let inside = (size.clone() + before.clone() - one.clone()) / stride.clone() + one.clone();
    Ok(call.settle(&(positions.div_ceil(stride) + one).min(&inside)))
}

/// Convolution of input 0 `[batch, channels, …]` with a weight `[out_channels, channels / group, …]` at `weight`.
pub fn conv(call: &Call, weight: usize) -> Outcome {
    let (Some(input), Some(weight)) = (call.dims(0)?, call.dims(weight)?) else { return Ok(vec![unknown()]) };
    let spatial = check_ranks(call, &input, &weight)?;
    let group = groups(call)?;
    let channels = call.settle(&(weight[1].clone() * number(group)));
    call.same(&input[1], &channels, "the channels of input and weight × group")?;
    if let Some(out) = known(&weight[0]).filter(|out| out % group != 0) {
        return Err(call.fault(format!("{out} output channels do not divide into {group} groups")));
    }
    check_kernel(call, &weight[2..])?;
    let mut output = vec![input[0].clone(), weight[0].clone()];
    for (i, axis) in axes(call, spatial)?.iter().enumerate() {
        output.push(windows(call, &input[2 + i], &weight[2 + i], axis, false)?);
    }
    shaped(output)
}

fn groups(call: &Call) -> Result<i128, Problem> {
    match call.node.int("group", 1)? {
        group if group >= 1 => Ok(group.into()),
        group => Err(call.fault(format!("attribute group is {group}"))),
    }
}

/// Number of spatial axes of an input and a weight of the same rank.
fn check_ranks(call: &Call, input: &[SymExpr], weight: &[SymExpr]) -> Result<usize, Problem> {
    if input.len() < 3 || weight.len() != input.len() {
        return Err(call.fault("input and weight need the same rank, at least 3"));
    }
    Ok(input.len() - 2)
}

/// The `kernel_shape` that a node may repeat is that of its weight.
fn check_kernel(call: &Call, kernel: &[SymExpr]) -> Result<(), Problem> {
    let Some(given) = call.node.ints("kernel_shape")? else { return Ok(()) };
    let differs = |(size, &given): (&SymExpr, &i64)| known(size).is_some_and(|size| size != given.into());
    if given.len() != kernel.len() || kernel.iter().zip(given).any(differs) {
        return Err(call.fault(format!("attribute kernel_shape {given:?} is not that of the weight")));
    }
    Ok(())
}

/// Transposed convolution of input 0 `[batch, channels, …]` with a weight `[channels, out_channels / group, …]`.
pub fn conv_transpose(call: &Call) -> Outcome {
    let (Some(input), Some(weight)) = (call.dims(0)?, call.dims(1)?) else { return Ok(vec![unknown()]) };
    let spatial = check_ranks(call, &input, &weight)?;
    call.same(&input[1], &weight[0], "the channels of input and weight")?;
    check_kernel(call, &weight[2..])?;
    let channels = call.settle(&(weight[1].clone() * number(groups(call)?)));
    let mut output = vec![input[0].clone(), channels];
    if let Some(shape) = call.node.ints("output_shape")?
        && !shape.is_empty()
    {
        // Some exporters write batch and channels too.
        let sizes = shape.get(shape.len().saturating_sub(spatial)..).unwrap_or_default();
        output.extend(sizes.iter().map(|&size| number(size.into())));
        return if sizes.len() == spatial { shaped(output) } else { Err(call.fault("output_shape is too short")) };
    }
    let output_padding = call.sizes("output_padding", spatial, 0, 0)?;
    for (i, axis) in axes(call, spatial)?.iter().enumerate() {
        output.push(spread(call, &input[2 + i], &weight[2 + i], axis, number(output_padding[i].into())));
    }
    shaped(output)
}

/// stride·(size − 1) + output padding + dilation·(kernel − 1) + 1 − pads, or size·stride for `SAME_*`.
fn spread(call: &Call, size: &SymExpr, kernel: &SymExpr, axis: &Axis, output_padding: SymExpr) -> SymExpr {
    let (stride, one) = (axis.stride.clone(), SymExpr::Value(1));
    let Some((before, after)) = axis.pads.clone() else { return call.settle(&(size.clone() * stride)) };
    let reach = axis.dilation.clone() * (kernel.clone() - one.clone()) + one.clone();
    call.settle(&((size.clone() - one) * stride + output_padding + reach - (before + after)))
}

/// A pool over `[batch, channels, …]`; the indices of `MaxPool` have the shape of its values.
pub fn pool(call: &Call) -> Outcome {
    let Some(input) = call.dims(0)? else { return Ok(vec![unknown(), unknown()]) };
    if input.len() < 3 {
        return Err(call.fault("the input needs a rank of at least 3"));
    }
    let spatial = input.len() - 2;
    if call.node.ints("kernel_shape")?.is_none() {
        return Err(call.fault("attribute kernel_shape is missing"));
    }
    let kernel = call.sizes("kernel_shape", spatial, 1, 1)?;
    let ceil = call.node.int("ceil_mode", 0)? != 0;
    let mut output = input[..2].to_vec();
    for (i, axis) in axes(call, spatial)?.iter().enumerate() {
        output.push(windows(call, &input[2 + i], &number(kernel[i].into()), axis, ceil)?);
    }
    let output = SymTensor::from_shape(output);
    Ok(vec![output.clone(), output])
}

/// A pool over all spatial axes, each of which becomes 1.
pub fn global_pool(call: &Call) -> Outcome {
    let Some(mut dims) = call.dims(0)? else { return Ok(vec![unknown()]) };
    if dims.len() < 2 {
        return Err(call.fault("the input needs a rank of at least 2"));
    }
    dims[2..].fill(SymExpr::Value(1));
    shaped(dims)
}
