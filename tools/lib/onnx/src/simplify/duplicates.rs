//! Equal initializers and nodes, merged.

use super::aliases::Aliases;
use crate::{DataType, Graph, Node, Tensor, operators::is_deterministic};
use prost::Message;
use std::collections::{HashMap, HashSet};

/// Lets equal initializers, and nodes that compute the same from the same inputs, be one: the first of them. Returns how many
/// others there were.
pub(super) fn merge(graph: &mut Graph) -> usize {
    let mut aliases = Aliases::new(graph);
    let initializers = merge_initializers(graph, &mut aliases);
    let before = graph.nodes.len();
    let mut first: HashMap<Vec<u8>, Vec<String>> = HashMap::new();
    for mut node in std::mem::take(&mut graph.nodes) {
        aliases.resolve(&mut node);
        let Some(key) = key(&node) else {
            graph.nodes.push(node);
            continue;
        };
        match first.get(&key) {
            Some(outputs) if alias_all(&mut aliases, &node.outputs, outputs) => {}
            Some(_) => graph.nodes.push(node),
            None => {
                first.insert(key, node.outputs.clone());
                graph.nodes.push(node);
            }
        }
    }
    initializers + before - graph.nodes.len()
}

/// Makes aliases of initializers that equal an earlier one and are read; what nothing reads any more is removed elsewhere.
fn merge_initializers(graph: &Graph, aliases: &mut Aliases) -> usize {
    let read: HashSet<&str> = graph.nodes.iter().flat_map(|node| &node.inputs).map(String::as_str).collect();
    let mut first: HashMap<(DataType, &[usize], &[u8]), &str> = HashMap::new();
    let mut merged = 0;
    let numbers =
        |(name, tensor): &(&String, &Tensor)| tensor.dtype() != DataType::String && read.contains(name.as_str());
    for (name, tensor) in graph.initializers.iter().filter(numbers) {
        let original = *first.entry((tensor.dtype(), tensor.dims(), tensor.bytes())).or_insert(name);
        merged += usize::from(original != name && aliases.add(name, original));
    }
    merged
}

/// Lets all outputs of a node be read as those of an equal node; not if one must stay under its name.
fn alias_all(aliases: &mut Aliases, outputs: &[String], originals: &[String]) -> bool {
    let named = |name: &&String| !name.is_empty();
    outputs.iter().filter(named).all(|name| aliases.is_free(name))
        && outputs
            .iter()
            .zip(originals)
            .filter(|(name, _)| named(name))
            .all(|(name, original)| aliases.add(name, original))
}

/// What two nodes share that compute the same; None of a node that must not be merged.
fn key(node: &Node) -> Option<Vec<u8>> {
    let pure = node.domain.is_empty() && is_deterministic(&node.op_type) && node.subgraphs().next().is_none();
    let mut same = Node { name: String::new(), doc: String::new(), ..node.clone() };
    same.attributes.sort_by(|a, b| a.name().cmp(b.name()));
    same.attributes.iter_mut().for_each(|attribute| attribute.doc_string = None);
    // Which of the outputs are there is part of the call.
    same.outputs.iter_mut().filter(|name| !name.is_empty()).for_each(|name| *name = "y".into());
    pure.then(|| same.to_proto().encode_to_vec())
}
