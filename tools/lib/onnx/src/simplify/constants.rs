//! `Constant` nodes as initializers.

use crate::{Graph, Node, Problem, Tensor, proto::AttributeProto};

/// Makes initializers of the `Constant` nodes; returns how many there were. One that computes an output of the graph stays,
/// and so does a sparse one.
///
/// # Errors
/// When the node's value is faulty.
pub(super) fn lift(graph: &mut Graph) -> Result<usize, Problem> {
    let before = graph.nodes.len();
    for node in std::mem::take(&mut graph.nodes) {
        match (value(&node)?, node.output(0)) {
            (Some(tensor), Some(output)) if !graph.is_output(output) => {
                graph.value_info.shift_remove(output);
                graph.initializers.insert(output.to_owned(), tensor);
            }
            _ => graph.nodes.push(node),
        }
    }
    Ok(before - graph.nodes.len())
}

/// The value of a `Constant`; None for another node, and for a sparse value.
fn value(node: &Node) -> Result<Option<Tensor>, Problem> {
    if !node.is("Constant") {
        return Ok(None);
    }
    let Some(attribute) = node.attributes.first() else { return Err(Problem::node(node, "has no value")) };
    if attribute.name() == "value" {
        return node.tensor("value");
    }
    Ok(listed(attribute))
}

/// A value that is an attribute of numbers or texts.
fn listed(attribute: &AttributeProto) -> Option<Tensor> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    match attribute.name() {
        "value_int" => Some(Tensor::from_i64(&[], &[attribute.i()])),
        "value_ints" => Some(Tensor::from_i64(&[attribute.ints.len()], &attribute.ints)),
        "value_float" => Some(Tensor::from_f32(&[], &[attribute.f()])),
        "value_floats" => Some(Tensor::from_f32(&[attribute.floats.len()], &attribute.floats)),
        "value_string" => Tensor::from_strings(&[], &[text(attribute.s())?]),
        "value_strings" => {
            let strings = attribute.strings.iter().map(|bytes| text(bytes)).collect::<Option<Vec<_>>>()?;
            Tensor::from_strings(&[strings.len()], &strings)
        }
        _ => None,
    }
}
