//! Which nodes compute in float16.

use super::{Form, Options, operators};
use crate::{
    DataType::{Float, Undefined},
    Graph, Node,
    shape::Types,
};

/// For each node its type; None for one without float32 values.
pub(super) fn forms(graph: &Graph, types: &Types, options: &Options<'_>) -> Vec<Option<Form>> {
    let mut forms: Vec<_> = graph.nodes.iter().map(|node| form(node, types, options)).collect();
    keep_moves(graph, types, options.keep_io, &mut forms);
    forms
}

fn form(node: &Node, types: &Types, options: &Options<'_>) -> Option<Form> {
    let named = node.inputs.iter().chain(&node.outputs).map(String::as_str).filter(|name| !name.is_empty());
    let values: Vec<&str> = named.chain(node.captured()).collect();
    let kept = operators::is_always_full(node)
        || options.keep_ops.iter().any(|op| node.is(op))
        || options.keep_nodes.iter().any(|name| node.is_called(name))
        // What may be float32 and may be something else stays as it is.
        || values.iter().any(|name| types.dtype(name) == Undefined);
    match values.iter().any(|name| types.dtype(name) == Float) {
        true if kept => Some(Form::Full),
        true => Some(Form::Half),
        false => None,
    }
}

/// Keeps nodes that only move elements in float32 where both sides are float32: two casts less, and no rounding.
fn keep_moves(graph: &Graph, types: &Types, keep_io: bool, forms: &mut [Option<Form>]) {
    let links = graph.links();
    let mut candidates = vec![false; graph.nodes.len()];
    // From the outputs up: all that reads it is in float32, or may be.
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        let full = |reader: &usize| forms[*reader] == Some(Form::Full) || candidates[*reader];
        let read_full = |output: &String| {
            let readers = links.consumers(output);
            readers.iter().all(full)
                && (keep_io || !graph.is_output(output))
                && (!readers.is_empty() || graph.is_output(output))
        };
        let mut floats = node.outputs.iter().filter(|output| types.dtype(output) == Float);
        candidates[index] = operators::is_move(node) && forms[index] == Some(Form::Half) && floats.all(read_full);
    }
    // From the inputs down: what it reads is in float32.
    for (index, node) in graph.nodes.iter().enumerate().filter(|(index, _)| candidates[*index]) {
        let full = |input: &String| match links.producer.get(input) {
            Some(&from) => forms[from] == Some(Form::Full),
            None => keep_io || graph.initializers.contains_key(input),
        };
        if node.inputs.iter().filter(|input| types.dtype(input) == Float).all(full) {
            forms[index] = Some(Form::Full);
        }
    }
}
