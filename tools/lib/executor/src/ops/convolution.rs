//! Convolutions.

use super::{Call, Operator, real, window::Window};
use crate::element::Number;
use ndarray::{ArrayD, ArrayViewD};
use onnx::{Node, Problem};

/// Elements of an output plane whose windows are gathered at once: the matrix of a kernel of 3 × 3 over 64 channels then has 2 MiB.
const BLOCK: usize = 1024;

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "Conv" => |call| {
            real!(call, call.input(0)?, T => {
                let (x, weight, bias) = (call.numbers::<T>(0)?, call.numbers::<T>(1)?, call.optional_numbers::<T>(2)?);
                convolve(call, &x.view(), &weight.view(), bias.as_ref().map(|bias| bias.view()))
            })
        },
        "ConvTranspose" => |call| real!(call, call.input(0)?, T => transposed::<T>(call)),
        _ => return None,
    })
}

/// The convolution of `[N, C, spatial…]` with weights `[M, C / group, kernel…]`, and a bias `[M]`.
pub(super) fn convolve<T: Number>(
    call: &Call<'_>,
    x: &ArrayViewD<'_, T>,
    weight: &ArrayViewD<'_, T>,
    bias: Option<ArrayViewD<'_, T>>,
) -> Result<ArrayD<T>, Problem> {
    let [outputs, group_inputs, kernel @ ..] = weight.shape() else {
        return Err(call.problem(format!("weights of shape {:?}", weight.shape())));
    };
    let window = Window::new(call, x.shape(), kernel)?;
    let (images, inputs) = (x.shape()[0], x.shape()[1]);
    let groups = groups(call, inputs, *outputs)?;
    if groups * group_inputs != inputs {
        return Err(
            call.problem(format!("weights of shape {:?} for {inputs} channels in {groups} groups", weight.shape()))
        );
    }
    if call
        .node
        .ints("kernel_shape")?
        .is_some_and(|sizes| !sizes.iter().copied().eq(kernel.iter().map(|&size| size as i64)))
    {
        return Err(call.problem(format!("a kernel_shape other than that of the weights, {kernel:?}")));
    }
    let shape = window.output_shape([images, *outputs]);
    let mut out = call.filled(&shape, T::ZERO)?;
    let (Some(x), Some(weight)) = (x.as_slice(), weight.as_slice()) else {
        return Err(call.problem("operands that are not contiguous"));
    };
    let (input_len, output_len) = (group_inputs * window.input_len(), outputs / groups * window.output_len());
    let weight_len = weight.len() / groups;
    for index in 0..images * groups {
        let weight = &weight[index % groups * weight_len..][..weight_len];
        let input = &x[index * input_len..][..input_len];
        convolve_group(call, &window, input, weight, &mut out[index * output_len..][..output_len])?;
    }
    let mut out = call.array(&shape, out)?;
    if let Some(bias) = bias {
        add_bias(call, &mut out, &bias)?;
    }
    Ok(out)
}

/// The attribute `group`, which divides both numbers of channels.
fn groups(call: &Call<'_>, inputs: usize, outputs: usize) -> Result<usize, Problem> {
    let groups = call.size(call.node.int("group", 1)?)?;
    if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
        return Err(call.problem(format!("{groups} groups of {inputs} and {outputs} channels")));
    }
    Ok(groups)
}

/// Adds a value to each channel of `[N, M, …]`.
fn add_bias<T: Number>(call: &Call<'_>, out: &mut ArrayD<T>, bias: &ArrayViewD<'_, T>) -> Result<(), Problem> {
    if bias.shape() != &out.shape()[1..2] {
        return Err(call.problem(format!("a bias of shape {:?} for {} channels", bias.shape(), out.shape()[1])));
    }
    for mut image in out.outer_iter_mut() {
        for (mut plane, &bias) in image.outer_iter_mut().zip(bias) {
            plane.mapv_inplace(|x| x.add(bias));
        }
    }
    Ok(())
}

/// One group of one image: the product of the weights with a matrix that has a window in each column.
fn convolve_group<T: Number>(
    call: &Call<'_>,
    window: &Window,
    input: &[T],
    weight: &[T],
    out: &mut [T],
) -> Result<(), Problem> {
    let (plane_len, positions) = (window.input_len(), window.output_len());
    let depth = input.len().checked_div(plane_len).unwrap_or_default() * window.kernel_len();
    if out.is_empty() || depth == 0 {
        return Ok(());
    }
    let outputs = out.len() / positions;
    let width = BLOCK.min(positions);
    let (mut columns, mut product) = (call.filled(&[depth, width], T::ZERO)?, call.filled(&[outputs, width], T::ZERO)?);
    for start in (0..positions).step_by(BLOCK) {
        let width = BLOCK.min(positions - start);
        columns.fill(T::ZERO);
        for column in 0..width {
            for (tap, offset) in window.taps(start + column) {
                for (channel, plane) in input.chunks_exact(plane_len).enumerate() {
                    columns[(channel * window.kernel_len() + tap) * width + column] = plane[offset];
                }
            }
        }
        let product = &mut product[..outputs * width];
        T::matmul(weight, &columns[..depth * width], [outputs, depth, width], product);
        for (out, product) in out.chunks_exact_mut(positions).zip(product.chunks_exact(width)) {
            out[start..start + width].copy_from_slice(product);
        }
    }
    Ok(())
}

/// The transposed convolution of `[N, C, spatial…]` with weights `[C, M / group, kernel…]`, and a bias `[M]`: the gradient of
/// the convolution that goes the other way.
fn transposed<T: Number>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let (x, weight) = (call.numbers::<T>(0)?, call.numbers::<T>(1)?);
    let [inputs, group_outputs, kernel @ ..] = weight.shape() else {
        return Err(call.problem(format!("weights of shape {:?}", weight.shape())));
    };
    let window = Window::transposed(call, x.shape(), kernel)?;
    let groups = groups(call, *inputs, *inputs)?;
    if x.shape()[1] != *inputs {
        return Err(call.problem(format!("weights of shape {:?} for {} channels", weight.shape(), x.shape()[1])));
    }
    let outputs = group_outputs.checked_mul(groups).ok_or_else(|| call.problem("too many channels"))?;
    let shape = window.input_shape([x.shape()[0], outputs]);
    let mut out = call.filled(&shape, T::ZERO)?;
    // The roles are those of the convolution that goes the other way: its output is our input.
    let (positions, plane, rows) = (window.output_len(), window.input_len(), group_outputs * window.kernel_len());
    let group_inputs = inputs / groups;
    let mut columns = call.filled(&[rows, positions], T::ZERO)?;
    let weight = call.reshape(weight.view().into(), &[groups, group_inputs, rows])?;
    let weight = weight.view().permuted_axes(vec![0, 2, 1]).as_standard_layout().into_owned();
    let (x, weight) = (x.as_slice().unwrap_or_default(), weight.as_slice().unwrap_or_default());
    for index in 0..shape[0] * groups {
        let input = &x[index * group_inputs * positions..][..group_inputs * positions];
        let weight = &weight[index % groups * rows * group_inputs..][..rows * group_inputs];
        T::matmul(weight, input, [rows, group_inputs, positions], &mut columns);
        scatter(&window, &columns, &mut out[index * group_outputs * plane..][..group_outputs * plane]);
    }
    let mut out = call.array(&shape, out)?;
    if let Some(bias) = call.optional_numbers::<T>(2)? {
        add_bias(call, &mut out, &bias.view())?;
    }
    Ok(out)
}

/// Adds each column, a window of every channel, where its elements lie.
fn scatter<T: Number>(window: &Window, columns: &[T], out: &mut [T]) {
    let (positions, plane, kernel) = (window.output_len(), window.input_len(), window.kernel_len());
    for position in 0..positions {
        for (tap, offset) in window.taps(position) {
            for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
                out[offset] = out[offset].add(columns[(channel * kernel + tap) * positions + position]);
            }
        }
    }
}
