//! Einstein summation.

use super::{Call, Operator, compare::same_type, number};
use crate::element::Number;
use ndarray::{ArrayD, CowArray, IxDyn};
use onnx::{Node, Problem};

/// What stands for axes that have no letter.
const ELLIPSIS: &str = "...";

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "Einsum" => |call| number!(call, same_type(call)?, T => einsum::<T>(call)),
        _ => return None,
    })
}

/// The name of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    /// Of an ellipsis, counted from its last axis: ellipses broadcast.
    Unnamed(usize),
    Letter(char),
}

/// The labels of a term such as `b...ij`, whose ellipsis has `unnamed` axes; None if it is no term.
fn labels(term: &str, unnamed: usize) -> Option<Vec<Label>> {
    let letters = |text: &str| {
        text.chars().map(|c| c.is_ascii_alphabetic().then_some(Label::Letter(c))).collect::<Option<Vec<_>>>()
    };
    match term.split_once(ELLIPSIS) {
        None => letters(term),
        Some((before, after)) => {
            Some([letters(before)?, (0..unnamed).rev().map(Label::Unnamed).collect(), letters(after)?].concat())
        }
    }
}

/// An axis of the sum: its size, and how far apart its elements are in each operand.
struct Axis {
    label: Label,
    size: usize,
    strides: Vec<usize>,
}

/// For each output index, the sum over all other labels of the products of the operands' elements.
fn einsum<T: Number>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let equation = call.node.string("equation")?.unwrap_or_default().replace(' ', "");
    let operands = (0..call.inputs.len()).map(|index| call.numbers::<T>(index)).collect::<Result<Vec<_>, _>>()?;
    let (left, right) =
        equation.split_once("->").map_or((equation.as_str(), None), |(left, right)| (left, Some(right)));
    let terms: Vec<_> = left.split(',').collect();
    let wrong = || call.problem(format!("an equation {equation:?} that does not fit the inputs"));
    if terms.len() != operands.len() {
        return Err(wrong());
    }
    let mut axes = Vec::new();
    for (index, (term, operand)) in terms.iter().zip(&operands).enumerate() {
        let letters = term.replace(ELLIPSIS, "").len();
        let unnamed = if term.contains(ELLIPSIS) { operand.ndim().checked_sub(letters).ok_or_else(wrong)? } else { 0 };
        let labels = labels(term, unnamed).filter(|labels| labels.len() == operand.ndim()).ok_or_else(wrong)?;
        add_axes(&mut axes, &labels, operand, index, operands.len()).ok_or_else(wrong)?;
    }
    let output = match right {
        Some(term) => {
            let unnamed = axes.iter().filter(|axis| matches!(axis.label, Label::Unnamed(_))).count();
            labels(term, unnamed).ok_or_else(wrong)?
        }
        None => implicit_output(left, &axes),
    };
    let mut outer = Vec::new();
    for label in output {
        let position = axes.iter().position(|axis| axis.label == label).ok_or_else(wrong)?;
        outer.push(axes.remove(position));
    }
    sums(call, &operands, &outer, &axes)
}

/// Without an arrow: the ellipsis, then the letters that stand once, in alphabetical order.
fn implicit_output(left: &str, axes: &[Axis]) -> Vec<Label> {
    let once = |label: &Label| match label {
        Label::Unnamed(_) => true,
        Label::Letter(letter) => left.matches(*letter).count() == 1,
    };
    let mut output: Vec<_> = axes.iter().map(|axis| axis.label).filter(once).collect();
    output.sort_by_key(|label| match label {
        Label::Unnamed(index) => (None, std::cmp::Reverse(*index)),
        letter => (Some(*letter), std::cmp::Reverse(0)),
    });
    output
}

/// Adds an operand's axes to those of the sum; None if sizes under a label differ.
fn add_axes<T: Number>(
    axes: &mut Vec<Axis>,
    labels: &[Label],
    operand: &CowArray<'_, T, IxDyn>,
    index: usize,
    operands: usize,
) -> Option<()> {
    let mut stride = 1;
    for (&label, &size) in labels.iter().zip(operand.shape()).rev() {
        let position = axes.iter().position(|axis| axis.label == label).unwrap_or_else(|| {
            axes.push(Axis { label, size: 1, strides: vec![0; operands] });
            axes.len() - 1
        });
        let axis = &mut axes[position];
        match (axis.size, size) {
            (a, b) if a == b => {}
            (1, size) => axis.size = size,
            (_, 1) => {}
            _ => return None,
        }
        // Of a label that stands twice, the diagonal.
        axis.strides[index] += if size == 1 { 0 } else { stride };
        stride *= size;
    }
    Some(())
}

/// Offsets in an operand of all indices of `axes`, row-major.
fn offsets(call: &Call<'_>, axes: &[Axis], operand: usize) -> Result<Vec<usize>, Problem> {
    let shape: Vec<_> = axes.iter().map(|axis| axis.size).collect();
    let mut offsets = call.reserve(&shape)?;
    let offset = |mut index: usize| {
        let coordinate = |axis: &Axis| {
            let coordinate = index % axis.size;
            index /= axis.size;
            coordinate * axis.strides[operand]
        };
        axes.iter().rev().map(coordinate).sum::<usize>()
    };
    offsets.extend((0..call.elements::<usize>(&shape)?).map(offset));
    Ok(offsets)
}

fn sums<T: Number>(
    call: &Call<'_>,
    operands: &[CowArray<'_, T, IxDyn>],
    outer: &[Axis],
    summed: &[Axis],
) -> Result<ArrayD<T>, Problem> {
    let all =
        |axes: &[Axis]| (0..operands.len()).map(|index| offsets(call, axes, index)).collect::<Result<Vec<_>, _>>();
    let (outer_offsets, summed_offsets) = (all(outer)?, all(summed)?);
    let values: Vec<_> = operands.iter().map(|operand| operand.as_slice().unwrap_or_default()).collect();
    let terms = summed_offsets.first().map_or(0, Vec::len);
    let sum = |output: usize| {
        let factor = |operand: usize, term: usize| {
            values[operand][outer_offsets[operand][output] + summed_offsets[operand][term]]
        };
        T::sum(
            (0..terms)
                .map(|term| (0..values.len()).fold(T::ONE, |product, operand| product.mul(factor(operand, term)))),
        )
    };
    let shape: Vec<_> = outer.iter().map(|axis| axis.size).collect();
    call.collect(&shape, (0..call.elements::<T>(&shape)?).map(sum))
}
