//! Topological order of nodes.

use crate::{Node, Problem};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
};

/// Indices of `nodes`, producers first; among those that could come next, the first in the file does. `defined` are the names
/// of inputs and initializers.
///
/// # Errors
/// When a value is defined twice or not at all, or nodes depend on each other in a circle.
pub(crate) fn topological(nodes: &[Node], defined: &HashSet<&str>) -> Result<Vec<usize>, Problem> {
    let mut producer = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for output in node.outputs.iter().filter(|name| !name.is_empty()) {
            if defined.contains(output.as_str()) || producer.insert(output.as_str(), index).is_some() {
                return Err(Problem::node(node, format!("its output {output:?} is defined twice")));
            }
        }
    }
    let mut waiting = vec![0usize; nodes.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        let captured = node.captured();
        let inputs: HashSet<&str> = node.inputs.iter().map(String::as_str).chain(captured).collect();
        for input in inputs.into_iter().filter(|name| !name.is_empty() && !defined.contains(name)) {
            let Some(&from) = producer.get(input) else {
                return Err(Problem::node(node, format!("its input {input:?} is defined nowhere")));
            };
            waiting[index] += 1;
            readers[from].push(index);
        }
    }
    let mut ready: BinaryHeap<_> = (0..nodes.len()).filter(|&index| waiting[index] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &reader in &readers[index] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    match waiting.iter().position(|&count| count > 0) {
        Some(index) => Err(Problem::node(&nodes[index], "depends on its own output")),
        None => Ok(order),
    }
}
