//! What each operator computes.

use super::{Unknown, Work, call::Call, call::product, call::times, contraction, elementwise};
use crate::{
    Problem,
    operators::{self, Kind},
};

/// The work of a node that is not constant.
///
/// # Errors
/// When an attribute has another type than its operator says.
pub(super) fn work(call: &Call) -> Result<Result<Work, Unknown>, Problem> {
    let node = call.node;
    if !node.domain.is_empty() {
        return Ok(Err(Unknown::Operator(format!("{}.{}", node.domain, node.op_type))));
    }
    Ok(match node.op_type.as_str() {
        "Conv" => contraction::conv(call, 1, Some(2)),
        "ConvInteger" => contraction::conv(call, 1, None),
        "QLinearConv" => contraction::conv(call, 3, Some(8)).and_then(|work| requantized(call, work)),
        "ConvTranspose" => contraction::conv_transpose(call),
        "Gemm" => {
            contraction::gemm(call, node.int("transA", 0)? != 0, node.float("alpha", 1.0)?, node.float("beta", 1.0)?)
        }
        "MatMul" | "MatMulInteger" => contraction::matmul(call),
        "QLinearMatMul" => contraction::matmul(call).and_then(|work| requantized(call, work)),
        "Einsum" => contraction::einsum(call, node.string("equation")?.unwrap_or_default()),
        "RNN" => contraction::recurrent(call, 1, 1),
        // Two sigmoids and tanh; reset · state; (1 - update) · new + update · state.
        "GRU" => contraction::recurrent(call, 3, 2 * 4 + 1 + 1 + 4),
        // Three sigmoids and two tanh; forget · cell + input · new; output · tanh(cell).
        "LSTM" => contraction::recurrent(call, 4, 3 * 4 + 2 + 3 + 1),
        "Attention" => contraction::attention(call, node.int("q_num_heads", 0)?),
        "MaxPool" | "AveragePool" => pool(call, node.ints("kernel_shape")?.unwrap_or_default(), 1),
        "LpPool" => pool(call, node.ints("kernel_shape")?.unwrap_or_default(), 2),
        "Sum" | "Max" | "Min" => of_several(call, 0),
        "Mean" => of_several(call, 1),
        // Square, sum over `size` channels, scale and shift, power, quotient.
        "LRN" => of_elements(call.input(0).and_then(|x| x.elements()), 5 + node.int("size", 1)?.unsigned_abs()),
        "Resize" | "Upsample" => resize(call, node.string("mode")?.unwrap_or("nearest")),
        "GridSample" => grid_sample(call, node.string("mode")?.unwrap_or("linear")),
        op_type => by_element(call, op_type),
    })
}

/// Operators that treat all elements alike.
fn by_element(call: &Call, op_type: &str) -> Result<Work, Unknown> {
    if matches!(operators::kind(op_type), Kind::View | Kind::Known | Kind::Rearranges | Kind::Moves) {
        return Ok(Work::default());
    }
    let of_output = elementwise::of_output(op_type).is_some();
    Work::of_elements(op_type, if of_output { call.output_elements()? } else { call.input(0)?.elements()? })
}

fn of_elements(elements: Result<u64, Unknown>, each: u64) -> Result<Work, Unknown> {
    Ok(Work::of_flops(times(elements?, each)?))
}

/// With the accumulator's scaling to the output: product, rounding, zero point, two comparisons.
fn requantized(call: &Call, work: Work) -> Result<Work, Unknown> {
    work.plus(of_elements(call.output_elements(), 5)?)
}

/// One operation for each element of a window.
fn pool(call: &Call, kernel: &[i64], each: u64) -> Result<Work, Unknown> {
    let window = product(kernel.iter().map(|&size| usize::try_from(size).unwrap_or(0)))?;
    Work::of_windows(call.output_elements()?, times(window, each)?)
}

/// Sums and the like of any number of inputs, and `more` operations for each element.
fn of_several(call: &Call, more: u64) -> Result<Work, Unknown> {
    let inputs = call.node.inputs.len() as u64;
    of_elements(call.output_elements(), inputs.saturating_sub(1) + more)
}

/// A product and a sum for each tap: 2 or 4 along each axis that is resized.
fn resize(call: &Call, mode: &str) -> Result<Work, Unknown> {
    let (input, output) = (call.input(0)?, call.output()?);
    let resized = input.dims.iter().zip(&output.dims).filter(|(from, to)| from != to).count();
    let taps = match mode {
        "nearest" => return Ok(Work::default()),
        "linear" | "bilinear" => 2usize,
        "cubic" => 4,
        _ => return Err(Unknown::Malformed),
    };
    let each = if resized == 0 { 0 } else { 2 * product(std::iter::repeat_n(taps, resized))? };
    of_elements(output.elements(), each)
}

/// As [`resize`], along all spatial axes.
fn grid_sample(call: &Call, mode: &str) -> Result<Work, Unknown> {
    let output = call.output()?;
    let axes = output.dims.len().saturating_sub(2);
    let taps = match mode {
        "nearest" => return Ok(Work::default()),
        "linear" | "bilinear" => 2usize,
        "cubic" | "bicubic" => 4,
        _ => return Err(Unknown::Malformed),
    };
    of_elements(output.elements(), 2 * product(std::iter::repeat_n(taps, axes))?)
}
