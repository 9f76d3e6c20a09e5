//! Integers that follow from shapes: `Shape` of a value of known sizes, and arithmetic on it.

use crate::{DataType, Graph, Tensor, shape::Types};

/// Makes initializers of integer scalars and vectors whose elements shape inference knows; returns how many nodes computed
/// them.
pub(super) fn fold(graph: &mut Graph, types: &Types) -> usize {
    let before = graph.nodes.len();
    for node in std::mem::take(&mut graph.nodes) {
        let known = match node.outputs.as_slice() {
            // A node that an evaluator must not run in the place of the graph is none that computes shapes.
            [output] if node.domain.is_empty() && !graph.is_output(output) => value(types, output),
            _ => None,
        };
        match known {
            Some(tensor) => {
                graph.initializers.insert(node.outputs[0].clone(), tensor);
            }
            None => graph.nodes.push(node),
        }
    }
    before - graph.nodes.len()
}

/// The value as a tensor, if all is known of it.
fn value(types: &Types, name: &str) -> Option<Tensor> {
    let (ty, values) = (types.get(name)?, types.values(name)?);
    let bytes = match ty.dtype {
        DataType::Int64 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DataType::Int32 => {
            let narrow = values.iter().map(|&value| i32::try_from(value).ok()).collect::<Option<Vec<_>>>()?;
            narrow.iter().flat_map(|value| value.to_le_bytes()).collect()
        }
        _ => return None,
    };
    Tensor::new(ty.dtype, &ty.dims()?, bytes)
}
