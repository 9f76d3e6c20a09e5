//! Pooling of images, in NHWC.

use super::{
    build::Builder,
    step::Kind,
    values::{Image, Value},
};
use kernels::pool::WindowPool;
use onnx::{Node, Problem};

/// A node that pools images.
pub(super) enum Pool {
    Max(WindowPool),
    /// And whether padding counts.
    Average(WindowPool, bool),
}

/// Adds the step of a node, if it pools images in a way that the kernels have; whether it does.
///
/// # Errors
/// When an attribute has the wrong type.
pub(super) fn add(builder: &mut Builder<'_>, node: &Node) -> Result<bool, Problem> {
    let Some(pool) = of(builder, node)? else { return Ok(false) };
    let kind = match pool {
        Pool::Max(pool) => Kind::MaxPool(pool),
        Pool::Average(pool, padding) => Kind::AveragePool(pool, padding),
    };
    let (Some(input), Some(output)) = (node.input(0), node.output(0)) else { return Ok(false) };
    let (Some(from), Some(to)) = (image(builder, input), image(builder, output)) else { return Ok(false) };
    let (Some(source), Some(shape)) = (builder.nhwc(input), builder.shape(output)) else { return Ok(false) };
    let buffer = builder.add(kind, &[(source, from.len())], to.len());
    builder.define_rounded(output, Value::nhwc(shape, buffer));
    Ok(true)
}

fn image(builder: &Builder<'_>, name: &str) -> Option<Image> {
    match builder.reals(name)?[..] {
        [images, channels, height, width] => Some(Image { images, channels, height, width }),
        _ => None,
    }
}

/// The pooling that a node is, if the kernels have it.
///
/// # Errors
/// When an attribute has the wrong type.
pub(super) fn of(builder: &Builder<'_>, node: &Node) -> Result<Option<Pool>, Problem> {
    let unused = |name: &String| name.is_empty() || builder.links.consumers(name).is_empty();
    if !node.domain.is_empty() || !node.outputs.iter().skip(1).all(unused) {
        return Ok(None);
    }
    let (Some(input), Some(output)) = (node.input(0), node.output(0)) else { return Ok(None) };
    let (Some(from), Some(to)) = (image(builder, input), image(builder, output)) else { return Ok(None) };
    let whole = WindowPool {
        input: [from.height, from.width],
        output: [1, 1],
        channels: from.channels,
        kernel: [from.height, from.width],
        stride: [1, 1],
        before: [0, 0],
    };
    Ok(match node.op_type.as_str() {
        "GlobalMaxPool" => Some(Pool::Max(whole)),
        "GlobalAveragePool" => Some(Pool::Average(whole, false)),
        "ReduceMean" if is_spatial(builder, node)? => Some(Pool::Average(whole, false)),
        "MaxPool" => window(node, whole, to)?.map(Pool::Max),
        "AveragePool" if node.int("ceil_mode", 0)? == 0 => {
            let padding = node.int("count_include_pad", 0)? != 0;
            window(node, whole, to)?.map(|pool| Pool::Average(pool, padding))
        }
        _ => None,
    })
}

/// Whether the axes of a reduction are height and width, which stay with size 1.
fn is_spatial(builder: &Builder<'_>, node: &Node) -> Result<bool, Problem> {
    let axes = match node.input(1) {
        Some(name) => builder.types.values(name),
        None => node.ints("axes")?,
    };
    let mut axes: Vec<i64> =
        axes.unwrap_or_default().iter().map(|&axis| if axis < 0 { axis + 4 } else { axis }).collect();
    axes.sort_unstable();
    Ok(axes == [2, 3] && node.int("keepdims", 1)? != 0)
}

/// The windows of a node; none if they are dilated, or a part of them may lie in padding alone.
fn window(node: &Node, whole: WindowPool, to: Image) -> Result<Option<WindowPool>, Problem> {
    let pair = |values: Option<&[i64]>| match values {
        Some([y, x, ..]) => Some([usize::try_from(*y).ok()?, usize::try_from(*x).ok()?]),
        _ => None,
    };
    let (kernel, strides) = (pair(node.ints("kernel_shape")?), node.ints("strides")?);
    let stride = if strides.is_some() { pair(strides) } else { Some([1, 1]) };
    let auto = node.string("auto_pad")?.unwrap_or("NOTSET");
    let pads = node.ints("pads")?.filter(|_| auto == "NOTSET");
    let before = if pads.is_some() { pair(pads) } else { Some([0, 0]) };
    let dilated = node.ints("dilations")?.is_some_and(|dilations| dilations.iter().any(|&dilation| dilation != 1));
    let (Some(kernel), Some(stride), Some(before)) = (kernel, stride, before) else { return Ok(None) };
    let reaches = (0..2).all(|axis| before[axis] < kernel[axis]);
    let output = [to.height, to.width];
    let starts_inside = (0..2).all(|axis| (output[axis] - 1) * stride[axis] < whole.input[axis] + before[axis]);
    let fits = matches!(auto, "NOTSET" | "VALID") && !dilated && reaches && starts_inside;
    Ok(fits.then_some(WindowPool { output, kernel, stride, before, ..whole }))
}
