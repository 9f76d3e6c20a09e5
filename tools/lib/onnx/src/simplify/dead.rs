//! Dead nodes and unused initializers.

use crate::Graph;
use std::collections::HashSet;

/// What [`sweep`] has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Swept {
    pub nodes: usize,
    pub initializers: usize,
}

/// Removes nodes and initializers that no output of the graph depends on, and types of values that no node computes.
pub(super) fn sweep(graph: &mut Graph) -> Swept {
    let initializers = graph.initializers.len();
    let mut live: HashSet<String> = graph.outputs.iter().map(|output| output.name.clone()).collect();
    // Consumers first: a node is live if something live reads it.
    let mut dead = vec![true; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        dead[index] = !node.outputs.iter().any(|output| live.contains(output));
        if !dead[index] {
            live.extend(node.inputs.iter().filter(|name| !name.is_empty()).cloned());
            live.extend(node.captured().into_iter().map(str::to_owned));
        }
    }
    let dead_nodes = graph.remove_nodes(&dead);
    graph.initializers.retain(|name, _| live.contains(name));
    let computed: HashSet<&str> = graph.nodes.iter().flat_map(|node| &node.outputs).map(String::as_str).collect();
    graph.value_info.retain(|name, _| computed.contains(name.as_str()));
    Swept { nodes: dead_nodes, initializers: initializers - graph.initializers.len() }
}
