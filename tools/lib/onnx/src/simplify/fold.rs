//! Nodes that depend on constants alone, computed once.

use super::Evaluate;
use crate::{
    Graph, Model, Node, Problem, Value, operators::is_deterministic, proto::GraphProto, shape::Types,
    tensor::byte_length,
};
use std::collections::HashSet;

/// Has the nodes that depend on constants alone computed by `evaluate`, in one model, and makes initializers of the results;
/// returns how many nodes there were. A node stays whose output would be larger than both `limit` bytes and its inputs.
///
/// # Errors
/// When the evaluator fails, or returns something else than the outputs that it was asked for.
pub(super) fn fold(
    model: &mut Model,
    types: &Types,
    limit: usize,
    evaluate: &mut Evaluate<'_>,
) -> Result<usize, Problem> {
    let (constant, results) = constant_part(&model.graph, types, limit);
    if results.is_empty() {
        return Ok(0);
    }
    let part = part(model, types, &constant, &results);
    let tensors = evaluate(&part).map_err(|e| Problem::graph(format!("its constant part cannot be computed: {e}")))?;
    if tensors.len() != results.len() {
        let reason = format!("its constant part has {} results, expected {}", tensors.len(), results.len());
        return Err(Problem::graph(reason));
    }
    for (name, tensor) in results.into_iter().zip(tensors) {
        if types.get(&name).is_some_and(|ty| ty.dtype != tensor.dtype()) {
            return Err(Problem::tensor(&name, "its constant value has another type than the graph says"));
        }
        model.graph.initializers.insert(name, tensor);
    }
    Ok(model.graph.remove_nodes(&constant))
}

/// Which nodes can be folded, and those of their outputs that other nodes read.
fn constant_part(graph: &Graph, types: &Types, limit: usize) -> (Vec<bool>, Vec<String>) {
    let mut known: HashSet<&str> = graph.initializers.keys().map(String::as_str).collect();
    let mut constant = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let folds = is_constant(node, &known) && !node.outputs.iter().any(|output| graph.is_output(output));
        let folds = folds && fits(graph, node, types, limit);
        constant.push(folds);
        if folds {
            known.extend(node.outputs.iter().map(String::as_str));
        }
    }
    let others = graph.nodes.iter().zip(&constant).filter(|(_, constant)| !**constant).map(|(node, _)| node);
    let read: HashSet<&str> =
        others.flat_map(|node| node.inputs.iter().map(String::as_str).chain(node.captured())).collect();
    let folded = graph.nodes.iter().zip(&constant).filter(|(_, constant)| **constant);
    let results = folded.flat_map(|(node, _)| &node.outputs).filter(|output| read.contains(output.as_str()));
    let results = results.cloned().collect();
    (constant, results)
}

/// Whether a node computes a constant that is worth keeping.
fn is_constant(node: &Node, known: &HashSet<&str>) -> bool {
    // Weights of a quantized model stay integers.
    node.domain.is_empty()
        && is_deterministic(&node.op_type)
        && node.op_type != "DequantizeLinear"
        && node.subgraphs().all(is_pure)
        && node.inputs.iter().all(|input| input.is_empty() || known.contains(input.as_str()))
        && node.captured().iter().all(|name| known.contains(name))
}

/// Whether no node of a subgraph is random or of an unknown domain.
fn is_pure(graph: &GraphProto) -> bool {
    graph.node.iter().all(|node| {
        let inner = node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
        matches!(node.domain(), "" | crate::model::ONNX_DOMAIN)
            && is_deterministic(node.op_type())
            && inner.into_iter().all(is_pure)
    })
}

/// Whether the outputs' sizes are known and within the limit, or not more than the inputs'.
fn fits(graph: &Graph, node: &Node, types: &Types, limit: usize) -> bool {
    let inputs = node.inputs.iter().filter_map(|name| graph.initializers.get(name)).map(|tensor| tensor.bytes().len());
    let most = limit.max(inputs.sum());
    let outputs = node.outputs.iter().filter(|name| !name.is_empty());
    let bytes = |name: &String| types.get(name).and_then(|ty| byte_length(ty.dtype, &ty.dims()?));
    let total = outputs.map(bytes).try_fold(0usize, |sum, bytes| sum.checked_add(bytes?));
    total.is_some_and(|total| total <= most)
}

/// The constant part as a model without inputs.
fn part(model: &Model, types: &Types, constant: &[bool], results: &[String]) -> Model {
    let graph = &model.graph;
    let nodes: Vec<Node> =
        graph.nodes.iter().zip(constant).filter(|(_, constant)| **constant).map(|(node, _)| node.clone()).collect();
    let read: HashSet<&str> =
        nodes.iter().flat_map(|node| node.inputs.iter().map(String::as_str).chain(node.captured())).collect();
    let initializers = graph.initializers.iter().filter(|(name, _)| read.contains(name.as_str()));
    let initializers = initializers.map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    let output = |name: &String| types.get(name).map(|ty| Value::tensor(name, ty));
    let outputs = results.iter().filter_map(output).collect();
    Model {
        name: model.name.clone(),
        ir_version: model.ir_version,
        opsets: model.opsets.clone(),
        metadata: Default::default(),
        doc: String::new(),
        functions: Vec::new(),
        graph: Graph { name: graph.name.clone(), nodes, outputs, initializers, ..Graph::default() },
    }
}
