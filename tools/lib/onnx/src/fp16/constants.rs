//! Constants in float16.

use super::{Form, Report, operators, values::Values};
use crate::{DataType, Graph, Node, Problem, Tensor};
use half::f16;

/// Smallest magnitude that is taken for a mask where it is added to scores or multiplied into them: such values say "minus
/// infinity". A smaller one beyond float16's range can be a number that is meant.
const MASK: f32 = 1e9;

/// Stores the constants that nodes read in float16; counts them and their clamped and flushed elements.
///
/// # Errors
/// When elements are beyond float16's range, and not a bound or a mask.
pub(super) fn convert(graph: &mut Graph, forms: &[Option<Form>], values: &Values) -> Result<Report, Problem> {
    let mut report = Report::default();
    let names: Vec<String> = graph.initializers.keys().cloned().collect();
    for name in names {
        let Some(value) = values.get(&name).filter(|value| value.is_read(Form::Half)) else { continue };
        let Some(rounded) = graph.initializers.get(&name).and_then(Rounded::of) else { continue };
        if rounded.overflowed > 0 {
            check_readers(graph, forms, &name, &rounded)?;
        }
        report.constants += 1;
        report.clamped += rounded.overflowed + rounded.raised;
        report.flushed += rounded.flushed;
        if value.is_read(Form::Full)
            && value.name(Form::Full) != name
            && let Some(full) = graph.initializers.get(&name).cloned()
        {
            graph.initializers.insert(value.name(Form::Full).to_owned(), full);
        }
        graph.initializers.insert(value.name(Form::Half).to_owned(), rounded.tensor);
    }
    Ok(report)
}

/// A tensor rounded to float16.
pub(super) struct Rounded {
    pub tensor: Tensor,
    /// Finite elements beyond the range, which became ±65504.
    overflowed: usize,
    /// Those of least magnitude among them.
    least_overflow: f32,
    /// Of a tensor of one element: 1 if it became ±2⁻²⁴ in the place of zero.
    raised: usize,
    /// Elements that became zero.
    flushed: usize,
}

impl Rounded {
    /// Rounds a float32 tensor to nearest, ties to even; None of another type.
    ///
    /// A single element that would become zero gets the smallest magnitude instead: it is mostly an epsilon that keeps a
    /// quotient finite.
    pub fn of(tensor: &Tensor) -> Option<Self> {
        let values = if tensor.dtype() == DataType::Float { tensor.to_f32()? } else { return None };
        let single = values.len() == 1;
        let (mut overflowed, mut least_overflow, mut raised, mut flushed) = (0, f32::INFINITY, 0, 0);
        let round = |value: f32| {
            let rounded = f16::from_f32(value);
            if rounded.is_infinite() && value.is_finite() {
                overflowed += 1;
                least_overflow = least_overflow.min(value.abs());
                return if value > 0.0 { f16::MAX } else { f16::MIN };
            }
            if rounded.to_f32() == 0.0 && value != 0.0 {
                if single {
                    raised = 1;
                    return f16::from_bits(rounded.to_bits() | 1);
                }
                flushed += 1;
            }
            rounded
        };
        let bytes = values.into_iter().map(round).flat_map(f16::to_le_bytes).collect();
        let tensor = Tensor::new(DataType::Float16, tensor.dims(), bytes)?;
        Some(Self { tensor, overflowed, least_overflow, raised, flushed })
    }
}

/// Whether all that reads a constant with elements beyond the range means the same by ±65504.
fn check_readers(graph: &Graph, forms: &[Option<Form>], name: &str, rounded: &Rounded) -> Result<(), Problem> {
    for (node, form) in graph.nodes.iter().zip(forms) {
        let reads = |(index, input): (usize, &String)| {
            input == name && form.is_some_and(|form| operators::input_form(node, form, index) == Some(Form::Half))
        };
        for (index, _) in node.inputs.iter().enumerate().filter(|it| reads(*it)) {
            let mask = operators::can_be_mask(node) && rounded.least_overflow >= MASK;
            if !mask && !operators::saturates(node, index) {
                return Err(overflow(node, name, rounded));
            }
        }
    }
    Ok(())
}

fn overflow(node: &Node, name: &str, rounded: &Rounded) -> Problem {
    let count = rounded.overflowed;
    let reason = format!("{count} of the values of {name:?} exceed float16's 65504: list the node in keep_nodes");
    Problem::node(node, reason)
}
