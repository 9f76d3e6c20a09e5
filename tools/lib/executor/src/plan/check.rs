//! Whether inputs fit the graph.

use crate::{Error, View};
use onnx::{Dim, Graph, Problem};

/// # Errors
/// When there are too many inputs or too few, or one has another shape than the graph declares.
pub(crate) fn check_inputs(graph: &Graph, inputs: &[View<'_>]) -> Result<(), Error> {
    if inputs.len() != graph.inputs.len() {
        let (found, expected) = (inputs.len(), graph.inputs.len());
        return Err(Problem::graph(format!("{found} inputs, expected {expected}")).into());
    }
    for (value, input) in graph.inputs.iter().zip(inputs) {
        let Some(expected) = value.tensor_type().and_then(|ty| ty.shape) else { continue };
        let fits = |(dim, size): (&Dim, &usize)| !matches!(dim, Dim::Known(known) if known != size);
        if expected.len() != input.shape.len() || !expected.iter().zip(input.shape).all(fits) {
            let reason = format!("shape {:?}, expected [{}]", input.shape, describe(&expected));
            return Err(Problem::tensor(&value.name, reason).into());
        }
    }
    Ok(())
}

fn describe(shape: &[Dim]) -> String {
    let dim = |dim: &Dim| match dim {
        Dim::Known(size) => size.to_string(),
        Dim::Symbol(name) => name.escape_debug().to_string(),
        Dim::Unknown => "?".into(),
    };
    shape.iter().map(dim).collect::<Vec<_>>().join(", ")
}
