//! Values that are the same in every run.

use crate::{Graph, Node};
use std::collections::HashSet;

/// Operators whose output differs from run to run.
pub(crate) const RANDOM: [&str; 6] =
    ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"];

/// Names of the values that no input of the graph reaches: initializers, and what nodes compute from them alone. Runtimes
/// compute the latter once, when they load the model.
pub(crate) fn constant_values(graph: &Graph) -> HashSet<&str> {
    let mut constants: HashSet<&str> = graph.initializers.keys().map(String::as_str).collect();
    for node in &graph.nodes {
        if is_constant(node, &constants) {
            constants.extend(node.outputs.iter().map(String::as_str).filter(|name| !name.is_empty()));
        }
    }
    constants
}

/// Whether a node reads only constants, and gives the same values in every run.
fn is_constant(node: &Node, constants: &HashSet<&str>) -> bool {
    let known = |name: &String| name.is_empty() || constants.contains(name.as_str());
    node.domain.is_empty()
        && !RANDOM.contains(&node.op_type.as_str())
        && node.subgraphs().next().is_none()
        && node.inputs.iter().all(known)
}
