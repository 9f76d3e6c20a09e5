//! Values that are read under the name of another, which has the same elements.

use crate::{Graph, Node};
use std::collections::{HashMap, HashSet};

/// Names by which nodes are to read other values; built in topological order, so that a name stands for no alias.
pub(super) struct Aliases {
    pinned: HashSet<String>,
    names: HashMap<String, String>,
}

impl Aliases {
    /// No aliases yet.
    pub fn new(graph: &Graph) -> Self {
        Self { pinned: pinned(graph), names: HashMap::new() }
    }

    /// Whether a value need not stay under its name.
    pub fn is_free(&self, name: &str) -> bool {
        !self.pinned.contains(name)
    }

    /// Lets `from` be read as `to`; false if `from` must stay under its name.
    pub fn add(&mut self, from: &str, to: &str) -> bool {
        let free = self.is_free(from);
        if free {
            self.names.insert(from.to_owned(), to.to_owned());
        }
        free
    }

    /// Puts the names in that `node` is to read.
    pub fn resolve(&self, node: &mut Node) {
        for input in &mut node.inputs {
            if let Some(name) = self.names.get(input) {
                input.clone_from(name);
            }
        }
    }
}

/// Values that must stay under their names: outputs of the graph, and what subgraphs read.
pub(super) fn pinned(graph: &Graph) -> HashSet<String> {
    let captured = graph.nodes.iter().flat_map(|node| node.captured().into_iter().map(str::to_owned));
    captured.chain(graph.outputs.iter().map(|output| output.name.clone())).collect()
}
