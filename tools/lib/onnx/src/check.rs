//! What is refused of a model before its graph is read.

use crate::{
    Node, Problem,
    model::ONNX_DOMAIN,
    proto::{GraphProto, ModelProto, NodeProto},
};
use indexmap::IndexMap;
use std::{collections::HashSet, ops::RangeInclusive};

/// Versions of ONNX's operator set that are read.
pub const OPSETS: RangeInclusive<i64> = 7..=26;

/// The newest version of the format, that of ONNX 1.23.
pub const NEWEST_IR_VERSION: i64 = 14;

/// Checks bytes that are to be a model.
///
/// # Errors
/// When they are in ONNX Runtime's own format, a flat buffer.
pub(crate) fn format(bytes: &[u8]) -> Result<(), Problem> {
    match bytes.get(4..8) {
        Some(b"ORTM") => Err(Problem::graph("a model in ONNX Runtime's own format (.ort); expected the .onnx file")),
        _ => Ok(()),
    }
}

/// Checks versions, and that the model has nothing that would be lost.
///
/// # Errors
/// Names the first reason.
pub(crate) fn model(model: &ModelProto) -> Result<(), Problem> {
    match model.ir_version() {
        0 => return Err(Problem::graph("no ONNX model: it says no version of the format")),
        version if !(1..=NEWEST_IR_VERSION).contains(&version) => {
            let reason = format!("version {version} of the format; 1 to {NEWEST_IR_VERSION} are known");
            return Err(Problem::graph(reason));
        }
        _ => {}
    }
    if !model.training_info.is_empty() {
        return Err(Problem::graph("the model holds training information; export it for inference"));
    }
    if !model.configuration.is_empty() {
        return Err(Problem::graph("the model is spread over devices, which is not supported"));
    }
    model.graph.iter().try_for_each(graph)
}

fn graph(graph: &GraphProto) -> Result<(), Problem> {
    if let Some(sparse) = graph.sparse_initializer.first() {
        let name = sparse.values.as_ref().map_or("", |values| values.name());
        return Err(Problem::tensor(name, "a sparse tensor, which is not supported; store it dense"));
    }
    if let Some(annotation) = graph.quantization_annotation.first() {
        let reason = "annotated for quantization, which is not supported; QuantizeLinear and DequantizeLinear are";
        return Err(Problem::tensor(annotation.tensor_name(), reason));
    }
    distinct(graph.input.iter().map(|input| input.name()), "input")?;
    distinct(graph.output.iter().map(|output| output.name()), "output")?;
    graph.node.iter().try_for_each(node)
}

fn node(node: &NodeProto) -> Result<(), Problem> {
    if !node.overload().is_empty() {
        let node = Node::from_proto(node.clone());
        return Err(Problem::node(&node, "calls an overload of a function, which is not supported"));
    }
    Ok(())
}

/// Names are there, and none is twice.
fn distinct<'a>(names: impl Iterator<Item = &'a str>, kind: &str) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    for name in names {
        if name.is_empty() {
            return Err(Problem::graph(format!("an {kind} has no name")));
        }
        if !seen.insert(name) {
            return Err(Problem::graph(format!("{kind} {name:?} is defined twice")));
        }
    }
    Ok(())
}

/// Versions of operator sets by domain.
///
/// # Errors
/// When a domain is named twice, or ONNX's own operators are used in none of [`OPSETS`].
pub(crate) fn opsets(model: &ModelProto) -> Result<IndexMap<String, i64>, Problem> {
    let mut opsets = IndexMap::new();
    for import in &model.opset_import {
        let domain = if import.domain() == ONNX_DOMAIN { "" } else { import.domain() };
        if opsets.insert(domain.to_owned(), import.version()).is_some_and(|before| before != import.version()) {
            return Err(Problem::graph(format!("two versions of the operator set {domain:?}")));
        }
    }
    let own = |node: &NodeProto| matches!(node.domain(), "" | ONNX_DOMAIN);
    match opsets.get("") {
        Some(version) if OPSETS.contains(version) => Ok(opsets),
        Some(version) => Err(Problem::Opset(*version)),
        None if model.graph.iter().flat_map(|graph| &graph.node).any(own) => {
            Err(Problem::graph("it does not say which operator set its nodes are of"))
        }
        None => Ok(opsets),
    }
}
