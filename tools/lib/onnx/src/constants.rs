//! Values that are the same in every run.

use crate::{
    Graph, Node,
    operators::{self, Kind},
};
use std::collections::HashSet;

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
        && operators::kind(&node.op_type) != Kind::Random
        && node.subgraphs().next().is_none()
        && node.inputs.iter().all(known)
}
