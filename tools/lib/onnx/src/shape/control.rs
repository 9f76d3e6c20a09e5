//! Operators with graphs inside: `If`, `Loop`, `Scan`.

use super::{Scope, fact::Fact};
use crate::{
    Dim, Node, Problem, Tensor, TensorType, Value,
    proto::{GraphProto, attribute_proto::AttributeType},
};
use rten_shape_inference::SymTensor;
use std::{borrow::Cow, collections::HashMap};

/// What is known of the outputs of a node with subgraphs.
///
/// # Errors
/// When a node inside breaks the rules of its operator.
pub(super) fn infer(scope: &Scope, node: &Node) -> Result<Vec<Fact>, Problem> {
    match node.op_type.as_str() {
        "If" => branches(scope, node),
        "Loop" => looped(scope, node),
        _ => Ok(Vec::new()),
    }
}

/// The graph that an attribute holds.
fn subgraph<'a>(node: &'a Node, name: &str) -> Result<&'a GraphProto, Problem> {
    let found = node.attribute(name).filter(|it| it.r#type() == AttributeType::Graph).and_then(|it| it.g.as_ref());
    found.ok_or_else(|| Problem::node(node, format!("attribute {name} is missing or no graph")))
}

/// Follows a subgraph, which also sees the values around it; returns its outputs.
fn body(scope: &Scope, graph: &GraphProto, inputs: &[Fact]) -> Result<Vec<Fact>, Problem> {
    let mut inner = Scope::new(scope.model, scope.symbols, Some(scope));
    for (index, input) in graph.input.iter().enumerate() {
        let ty = Value::from_proto(input.clone()).tensor_type();
        let declared = ty.as_ref().map_or_else(Fact::unknown, |ty| Fact::declared(ty, scope.symbols));
        let mut fact = inputs.get(index).cloned().unwrap_or(declared);
        if let Some(ty) = &ty {
            fact.merge(ty, scope.symbols)
                .map_err(|reason| Problem::graph(format!("input {:?}: {reason}", input.name())))?;
        }
        inner.facts.insert(input.name().into(), fact);
    }
    for proto in &graph.initializer {
        let tensor = Tensor::from_proto(proto.clone())?;
        inner.facts.insert(proto.name().into(), Fact::constant(&tensor, scope.symbols));
        inner.constants.insert(proto.name().into(), Cow::Owned(tensor));
    }
    let values = graph.value_info.iter().chain(&graph.output);
    let declared: HashMap<&str, TensorType> =
        values.filter_map(|it| Some((it.name(), Value::from_proto(it.clone()).tensor_type()?))).collect();
    let nodes: Vec<Node> = graph.node.iter().cloned().map(Node::from_proto).collect();
    inner.run(&nodes, &declared)?;
    let output = |name: &str| inner.fact(name);
    Ok(graph.output.iter().map(|it| output(it.name())).collect())
}

/// What both branches of an `If` have in common.
fn branches(scope: &Scope, node: &Node) -> Result<Vec<Fact>, Problem> {
    let [yes, no] = ["then_branch", "else_branch"].map(|name| body(scope, subgraph(node, name)?, &[]));
    Ok(yes?.into_iter().zip(no?).map(|(yes, no)| common(scope, yes, &no)).collect())
}

fn common(scope: &Scope, yes: Fact, no: &Fact) -> Fact {
    let dtype = if yes.dtype == no.dtype { yes.dtype } else { crate::DataType::Undefined };
    if yes.tensor == no.tensor {
        return Fact { dtype, tensor: yes.tensor };
    }
    let tensor = match (yes.tensor.shape(), no.tensor.shape()) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            let either = |(a, b)| if a == b { a } else { scope.symbols.unknown() };
            SymTensor::from_shape(a.zip(b).map(either).collect())
        }
        _ => SymTensor::unknown(""),
    };
    Fact { dtype, tensor }
}

/// Values that a `Loop` carries keep their type, not their shape: with no iteration they are those that it starts from. What it
/// collects gets an axis of iterations in front.
fn looped(scope: &Scope, node: &Node) -> Result<Vec<Fact>, Problem> {
    let graph = subgraph(node, "body")?;
    let fact = |name: &str| scope.fact(name);
    // Iteration and condition are scalars; a carried value may change its shape from one iteration to the next.
    let scalar = |dtype| Fact::declared(&TensorType { dtype, shape: Some(Vec::new()) }, scope.symbols);
    let mut inputs = vec![scalar(crate::DataType::Int64), scalar(crate::DataType::Bool)];
    let start = |name: &String| Fact { dtype: fact(name).dtype, tensor: SymTensor::unknown("") };
    inputs.extend(node.inputs.iter().skip(2).map(start));
    let outputs = body(scope, graph, &inputs)?;
    let collected = |fact: Fact| {
        let shape = fact.to_type().and_then(|ty| ty.shape).map(|mut shape| {
            shape.insert(0, Dim::Unknown);
            shape
        });
        Fact::declared(&TensorType { dtype: fact.dtype, shape }, scope.symbols)
    };
    let output = |(index, after): (usize, Fact)| match node.inputs.get(index + 2) {
        Some(start) => Fact { dtype: after.dtype, ..common(scope, after, &fact(start)) },
        None => collected(after),
    };
    Ok(outputs.into_iter().skip(1).enumerate().map(output).collect())
}
