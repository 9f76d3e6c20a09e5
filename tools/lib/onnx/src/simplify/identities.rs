//! Nodes whose output is one of their inputs, bit for bit.

use super::aliases::{Aliases, pinned};
use crate::{DataType, Dim, Graph, Node, Problem, Tensor, shape::Types};
use std::collections::{HashMap, HashSet};

/// Removes nodes that change nothing; returns how many. Inputs and outputs of the graph keep their names: where one lies
/// directly on the other, the node stays.
///
/// # Errors
/// When an attribute has the wrong type.
pub(super) fn remove(graph: &mut Graph, types: &Types) -> Result<usize, Problem> {
    let before = graph.nodes.len();
    let read: HashSet<String> = graph.links().consumers.into_keys().collect();
    let mut aliases = Aliases::new(graph);
    let mut at_outputs = Vec::new();
    for mut node in std::mem::take(&mut graph.nodes) {
        aliases.resolve(&mut node);
        let unread = |output: &String| !read.contains(output) && !graph.is_output(output);
        let same = if node.outputs.iter().skip(1).all(unread) { passed_on(graph, &node, types)? } else { None };
        if let Some(input) = same.and_then(|index| node.input(index)) {
            if aliases.add(&node.outputs[0], input) {
                continue;
            }
            at_outputs.push((graph.nodes.len(), input.to_owned()));
        }
        graph.nodes.push(node);
    }
    remove_at_outputs(graph, &at_outputs);
    Ok(before - graph.nodes.len())
}

/// Removes nodes that only name an output of the graph, by their index and the input that they pass on: the node before them
/// computes it under the output's name.
fn remove_at_outputs(graph: &mut Graph, candidates: &[(usize, String)]) {
    let pinned = pinned(graph);
    let computed: HashSet<String> = graph.nodes.iter().flat_map(|node| &node.outputs).cloned().collect();
    let mut names: HashMap<String, String> = HashMap::new();
    let mut removed = vec![false; graph.nodes.len()];
    for (index, input) in candidates {
        if computed.contains(input) && !pinned.contains(input) && !names.contains_key(input) {
            names.insert(input.clone(), graph.nodes[*index].outputs[0].clone());
            removed[*index] = true;
        }
    }
    graph.remove_nodes(&removed);
    for name in graph.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().chain(&mut node.outputs)) {
        if let Some(output) = names.get(name) {
            name.clone_from(output);
        }
    }
}

/// Index of the input that the node's first output equals; None if it may differ.
fn passed_on(graph: &Graph, node: &Node, types: &Types) -> Result<Option<usize>, Problem> {
    if !node.domain.is_empty() || node.output(0).is_none() {
        return Ok(None);
    }
    let when = |same: bool| Ok(same.then_some(0));
    match node.op_type.as_str() {
        "Identity" => when(true),
        "Dropout" => when(node.input(2).is_none() || constant(graph, node, 2, |training| training == 0)),
        "Concat" | "Sum" | "Max" | "Min" | "Mean" => when(node.inputs.len() == 1),
        "Clip" => when(node.input(1).is_none() && node.input(2).is_none()),
        "Cast" => when(
            dtype(types, node, 0).is_some_and(|dtype| node.int("to", 0).is_ok_and(|to| to == i64::from(dtype as i32))),
        ),
        "CastLike" => when(dtype(types, node, 0).is_some_and(|dtype_0| dtype(types, node, 1) == Some(dtype_0))),
        "Transpose" => {
            when(node.ints("perm")?.is_some_and(|perm| perm.iter().zip(0..).all(|(&axis, index)| axis == index)))
        }
        "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" | "Expand" => when(same_shape(types, node, 0)),
        // With other steps the elements could be in another order.
        "Slice" => {
            let steps = node.input(4).is_none() || constant(graph, node, 4, |step| step == 1);
            when(steps && same_shape(types, node, 0))
        }
        "Pad" => when(constant(graph, node, 1, |pad| pad == 0)),
        "Tile" => when(constant(graph, node, 1, |repeats| repeats == 1)),
        "Add" | "Mul" => Ok([0, 1].into_iter().find(|&data| neutral(graph, types, node, data))),
        "Sub" | "Div" => when(neutral(graph, types, node, 0)),
        _ => Ok(None),
    }
}

/// Whether arithmetic leaves the input at `data` as it is, the signs of zeros included: `x · 1`, `x / 1`, `x - 0`, `x + (-0)`.
fn neutral(graph: &Graph, types: &Types, node: &Node, data: usize) -> bool {
    let Some(other) = graph.constant(node, 1 - data) else { return false };
    let bits = match node.op_type.as_str() {
        "Mul" | "Div" => 1f64.to_bits(),
        "Add" => (-0f64).to_bits(),
        _ => 0f64.to_bits(),
    };
    let all_neutral = match other.to_f64() {
        Some(values) => values.iter().all(|value| value.to_bits() == bits),
        None => integers(other).is_some_and(|values| values.iter().all(|&value| value as f64 == f64::from_bits(bits))),
    };
    all_neutral && (other.dims().is_empty() || same_shape(types, node, data))
}

fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    if tensor.dtype() == DataType::Bool { None } else { tensor.to_i64() }
}

/// Whether an input is a constant of integers or booleans that all pass.
fn constant(graph: &Graph, node: &Node, input: usize, passes: impl Fn(i64) -> bool) -> bool {
    let values = graph.constant(node, input).and_then(Tensor::to_i64);
    values.is_some_and(|values| values.into_iter().all(passes))
}

fn dtype(types: &Types, node: &Node, input: usize) -> Option<DataType> {
    Some(types.dtype(node.input(input)?)).filter(|&dtype| dtype != DataType::Undefined)
}

/// Whether the first output certainly has the shape of an input.
fn same_shape(types: &Types, node: &Node, input: usize) -> bool {
    let shape = |name: Option<&str>| types.get(name?)?.shape.as_ref();
    match (shape(node.input(input)), shape(node.output(0))) {
        (Some(a), Some(b)) => a == b && !a.contains(&Dim::Unknown),
        _ => false,
    }
}
