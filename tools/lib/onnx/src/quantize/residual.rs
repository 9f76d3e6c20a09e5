//! Residual additions: which input is the shortcut.

use super::layer::is_layer;
use crate::{Graph, Links, Node};
use std::collections::HashSet;

/// The input of an Add, 0 or 1, that is the shortcut around the layers that compute the other; None if no layer's output is
/// added.
///
/// A runtime fuses the addition into the layer before it if that layer's output stays as it is, so the shortcut alone is
/// quantized. If both inputs are outputs of layers, as where a convolution projects the shortcut, the one with more layers behind
/// it is the main branch.
pub(super) fn shortcut(graph: &Graph, links: &Links, add: &Node) -> Option<usize> {
    let main = |input: usize| {
        let value = add.input(input)?;
        let producer = &graph.nodes[*links.producer.get(value)?];
        (is_layer(producer) && links.consumers(value).len() == 1 && !graph.is_output(value)).then_some(value)
    };
    match (main(0), main(1)) {
        (Some(_), None) => Some(1),
        (None, Some(_)) => Some(0),
        (Some(first), Some(second)) => {
            let depth = |value: &str| layers_behind(graph, links, value);
            Some(if depth(first) >= depth(second) { 1 } else { 0 })
        }
        (None, None) => None,
    }
}

/// Number of layers that `value` is computed from.
fn layers_behind(graph: &Graph, links: &Links, value: &str) -> usize {
    let mut seen = HashSet::new();
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        let Some(&index) = links.producer.get(value) else { continue };
        if seen.insert(index) {
            pending.extend(graph.nodes[index].inputs.iter().map(String::as_str));
        }
    }
    seen.into_iter().filter(|&index| is_layer(&graph.nodes[index])).count()
}
