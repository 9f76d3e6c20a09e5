//! `Constant` nodes as initializers.

use crate::{Graph, Problem};

/// Makes initializers of the `Constant` nodes; returns how many there were. One that computes an output of the graph stays,
/// and so does a sparse one.
///
/// # Errors
/// When the node's value is faulty.
pub(crate) fn lift(graph: &mut Graph) -> Result<usize, Problem> {
    let before = graph.nodes.len();
    for node in std::mem::take(&mut graph.nodes) {
        let value = if node.is("Constant") { node.constant_value()? } else { None };
        match (value, node.output(0)) {
            (Some(tensor), Some(output)) if !graph.is_output(output) => {
                graph.value_info.shift_remove(output);
                graph.initializers.insert(output.to_owned(), tensor);
            }
            _ => graph.nodes.push(node),
        }
    }
    Ok(before - graph.nodes.len())
}
