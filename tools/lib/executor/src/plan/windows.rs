//! Windows of convolutions, by the attributes of their nodes.

use super::build::Builder;
use kernels::Windows;
use onnx::{Node, Problem};

/// The windows of a `Conv` of one or two spatial axes whose input has so many `channels`; none if shapes do not fit.
///
/// # Errors
/// When an attribute has the wrong type.
pub(super) fn of(
    builder: &Builder<'_>,
    node: &Node,
    channels: usize,
    outputs: usize,
    kernel: [usize; 2],
) -> Result<Option<Windows>, Problem> {
    let shape = |name: Option<&str>| image(&builder.reals(name?)?);
    let (Some((images, found, input)), Some((batch, filters, output))) = (shape(node.input(0)), shape(node.output(0)))
    else {
        return Ok(None);
    };
    let rank = node.input(0).and_then(|name| builder.reals(name)).map_or(0, |shape| shape.len() - 2);
    let (Some(stride), Some(dilation)) = (pair(node.ints("strides")?, rank), pair(node.ints("dilations")?, rank))
    else {
        return Ok(None);
    };
    let mut windows = Windows { images, input, output, kernel, stride, dilation, before: [0; 2] };
    let before = match node.string("auto_pad")?.unwrap_or("NOTSET") {
        "NOTSET" => pads(node.ints("pads")?, rank),
        "VALID" => Some([0; 2]),
        "SAME_UPPER" => Some([0, 1].map(|axis| same(&windows, axis) / 2)),
        "SAME_LOWER" => Some([0, 1].map(|axis| same(&windows, axis).div_ceil(2))),
        _ => None,
    };
    let Some(before) = before else { return Ok(None) };
    windows.before = before;
    // Padding that no memory holds is left to the plain operator, which refuses it.
    let small = (0..2).all(|axis| before[axis] <= 4 * kernel[axis] * dilation[axis] && dilation[axis] < 1 << 16);
    let fits = found == channels && filters == outputs && batch == images && small;
    let positive = stride.iter().chain(&dilation).chain(&kernel).all(|&size| size > 0);
    Ok((fits && positive).then_some(windows))
}

/// Images, channels and spatial sizes; height 1 if there is one axis.
fn image(shape: &[usize]) -> Option<(usize, usize, [usize; 2])> {
    match *shape {
        [images, channels, width] => Some((images, channels, [1, width])),
        [images, channels, height, width] => Some((images, channels, [height, width])),
        _ => None,
    }
}

/// A value of each axis, 1 if they are left out.
fn pair(values: Option<&[i64]>, rank: usize) -> Option<[usize; 2]> {
    let size = |value: i64| usize::try_from(value).ok();
    match (values, rank) {
        (None, _) => Some([1; 2]),
        (Some(&[width]), 1) => Some([1, size(width)?]),
        (Some(&[height, width]), 2) => Some([size(height)?, size(width)?]),
        _ => None,
    }
}

/// Padding above and left.
fn pads(values: Option<&[i64]>, rank: usize) -> Option<[usize; 2]> {
    let size = |value: i64| usize::try_from(value).ok();
    match (values, rank) {
        (None, _) => Some([0; 2]),
        (Some(&[left, _]), 1) => Some([0, size(left)?]),
        (Some(&[above, left, _, _]), 2) => Some([size(above)?, size(left)?]),
        _ => None,
    }
}

/// Padding of an axis, both ends together, such that there is a window for each stride.
fn same(windows: &Windows, axis: usize) -> usize {
    windows.reach(axis, windows.output[axis]).saturating_sub(windows.input[axis])
}
