//! Multiply-accumulates: convolutions, matrix products, recurrent layers, attention.

use super::{
    Unknown, Work,
    call::{Call, plus, product, times},
};
use std::collections::BTreeMap;

/// A convolution with its weight `[outputs, inputs / group, kernel...]` at input `weight`, and its bias at `bias`.
///
/// Each output element is the product of a window with a filter: `outputs × pixels × (inputs / group × kernel)` MACs an
/// image. The bias is one addition an output element.
pub(super) fn conv(call: &Call, weight: usize, bias: Option<usize>) -> Result<Work, Unknown> {
    let outputs = call.output_elements()?;
    let weight = call.input(weight)?;
    let filter = product(weight.dims.get(1..).ok_or(Unknown::Malformed)?.iter().copied())?;
    let has_bias = bias.is_some_and(|index| call.node.input(index).is_some());
    Work::of_products(outputs, filter, has_bias)
}

/// A transposed convolution, weight `[inputs, outputs / group, kernel...]`: each input element is multiplied by a filter and
/// added to a window of the output.
pub(super) fn conv_transpose(call: &Call) -> Result<Work, Unknown> {
    let weight = call.input(1)?;
    let filter = product(weight.dims.get(1..).ok_or(Unknown::Malformed)?.iter().copied())?;
    let bias = if call.node.input(2).is_some() { call.output_elements()? } else { 0 };
    Work::new(times(call.input(0)?.elements()?, filter)?, bias)
}

/// `alpha · A[m, k] · B[k, n] + beta · C`: m·n·k MACs; m·n additions of C.
pub(super) fn gemm(call: &Call, transposed: bool, alpha: f32, beta: f32) -> Result<Work, Unknown> {
    let outputs = call.output_elements()?;
    let inner = call.input(0)?.dim(if transposed { 0 } else { 1 })?;
    let c = call.optional_input(2)?;
    let factors = plus(
        if alpha == 1.0 { 0 } else { outputs },
        c.as_ref().filter(|_| beta != 1.0).map_or(Ok(0), |c| c.elements())?,
    )?;
    Work::of_products(outputs, inner, c.is_some())?.plus(Work::of_flops(factors))
}

/// `A[..., m, k] · B[..., k, n]`, batch axes broadcast.
pub(super) fn matmul(call: &Call) -> Result<Work, Unknown> {
    Work::of_products(call.output_elements()?, call.input(0)?.dim(-1)?, false)
}

/// A contraction: for two operands, the product of the sizes of all indices, in MACs. More operands are taken one after the
/// other without a better order: one product more for each. One operand is a sum.
pub(super) fn einsum(call: &Call, equation: &str) -> Result<Work, Unknown> {
    let terms = equation.split("->").next().unwrap_or_default();
    let mut sizes: BTreeMap<(char, usize), usize> = BTreeMap::new();
    let terms: Vec<&str> = terms.split(',').map(str::trim).collect();
    if terms.len() != call.node.inputs.len() {
        return Err(Unknown::Malformed);
    }
    for (index, term) in terms.iter().enumerate() {
        let dims = call.input(index)?.dims;
        for (label, size) in labels(term, dims.len()).ok_or(Unknown::Malformed)?.into_iter().zip(dims) {
            let entry = sizes.entry(label).or_insert(size);
            *entry = (*entry).max(size);
        }
    }
    let all = product(sizes.into_values())?;
    match terms.len() {
        1 => Ok(Work::of_flops(all)),
        operands => Work::new(times(all, operands as u64 - 1)?, 0),
    }
}

/// The index of each axis; those of an ellipsis are numbered from the last, as they broadcast.
fn labels(term: &str, rank: usize) -> Option<Vec<(char, usize)>> {
    let letters = term.chars().filter(|c| c.is_ascii_alphabetic()).count();
    let hidden = rank.checked_sub(letters)?;
    let mut labels = Vec::new();
    let mut rest = term;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("...") {
            labels.extend((0..hidden).rev().map(|axis| ('.', axis)));
            rest = after;
            continue;
        }
        rest = &rest[first.len_utf8()..];
        labels.extend(first.is_ascii_alphabetic().then_some((first, 0)));
    }
    (labels.len() == rank).then_some(labels)
}

/// A recurrent layer of `gates` gates, X `[sequence, batch, input]`, W `[directions, gates × hidden, input]`, R
/// `[directions, gates × hidden, hidden]`; `each` operations for each hidden unit beside products and bias.
pub(super) fn recurrent(call: &Call, gates: u64, each: u64) -> Result<Work, Unknown> {
    let (x, w, r) = (call.input(0)?, call.input(1)?, call.input(2)?);
    // Both layouts have sequence and batch before the input.
    let steps = times(x.dim(0)?, x.dim(1)?)?;
    let macs = times(steps, plus(w.elements()?, r.elements()?)?)?;
    let rows = times(w.dim(0)?, w.dim(1)?)?;
    // The two products are added, and two biases.
    let sums = if call.node.input(3).is_some() { 3 } else { 1 };
    let others = plus(times(rows, sums)?, times(rows / gates, each)?)?;
    Work::new(macs, times(steps, others)?)
}

/// Scaled dot-product attention of ONNX: Q `[batch, heads, queries, d]` or `[batch, queries, heads × d]`.
///
/// Q·Kᵀ and the product with V are MACs; scale, mask and soft-max (5) are operations of each score.
pub(super) fn attention(call: &Call, heads: i64) -> Result<Work, Unknown> {
    let (q, k, output) = (call.input(0)?, call.input(1)?, call.output()?);
    let past = call.optional_input(4)?.map_or(Ok(0), |past| past.dim(2))?;
    let keys = plus(k.dim(-2)?, past)?;
    let queries = match q.dims.as_slice() {
        [batch, heads, queries, _] => product([*batch, *heads, *queries])?,
        [batch, queries, _] => product([*batch, usize::try_from(heads).unwrap_or(0), *queries])?,
        _ => return Err(Unknown::Malformed),
    };
    let macs = times(plus(q.elements()?, output.elements()?)?, keys)?;
    let each = 5 + 1 + u64::from(call.node.input(3).is_some());
    Work::new(macs, times(times(queries, keys)?, each)?)
}
