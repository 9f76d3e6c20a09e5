//! External data: files of weights that a model names.
//!
//! They must be in the model's folder. Their paths are data of the model and not trusted: one that leads out of the folder
//! is refused before ONNX Runtime, which would follow it, sees the model.

use crate::{ModelError, WeightsError};
use prost::Message;
use std::{collections::BTreeSet, fs, path::Path};

/// Paths of the files, relative to the model's folder, as the model has them.
///
/// # Errors
/// When the bytes are no protocol buffer, or a path is not UTF-8.
pub(crate) fn locations(bytes: &[u8]) -> Result<BTreeSet<String>, ModelError> {
    if is_ort_format(bytes) {
        return Ok(BTreeSet::new());
    }
    let model = Model::decode(bytes)?;
    let mut found = BTreeSet::new();
    let graphs =
        model.graph.iter().chain(model.training.iter().flat_map(|it| it.initialization.iter().chain(&it.algorithm)));
    graphs.for_each(|graph| graph.locations(&mut found));
    model.functions.iter().flat_map(|function| &function.nodes).for_each(|node| node.locations(&mut found));
    found.into_iter().map(|name| String::from_utf8(name).map_err(|_| ModelError::LocationNotUtf8)).collect()
}

/// ONNX Runtime's own format, a flat buffer, which has no external data.
pub(crate) fn is_ort_format(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"ORTM")
}

/// Checks that the files are in the folder of the model and have at most `limit` bytes together.
///
/// # Errors
/// Names the first that does not pass.
pub(crate) fn check(model: &Path, locations: &BTreeSet<String>, limit: u64, setting: &str) -> Result<(), ModelError> {
    let folder = model.parent().unwrap_or(Path::new(""));
    let mut bytes: u64 = 0;
    for location in locations {
        let weights = |problem| ModelError::Weights { location: location.clone(), problem };
        let file = files::file_inside(folder, location).map_err(|e| weights(e.into()))?;
        let metadata = fs::metadata(&file).map_err(|e| weights(e.into()))?;
        bytes = bytes.saturating_add(metadata.len());
        if bytes > limit {
            return Err(weights(WeightsError::TooLong { bytes: limit, setting: setting.into() }));
        }
    }
    Ok(())
}

// The messages of onnx.proto on the way to `TensorProto.external_data`; prost skips all other fields, weights included.
// Paths are bytes: ONNX Runtime accepts some that are not UTF-8.

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "20")]
    training: Vec<Training>,
    #[prost(message, repeated, tag = "25")]
    functions: Vec<Function>,
}

#[derive(Clone, PartialEq, Message)]
struct Training {
    #[prost(message, optional, tag = "1")]
    initialization: Option<Graph>,
    #[prost(message, optional, tag = "2")]
    algorithm: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(message, repeated, tag = "7")]
    nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Tensor>,
    #[prost(message, repeated, tag = "15")]
    sparse_initializers: Vec<SparseTensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(message, optional, tag = "5")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "6")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "10")]
    tensors: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<Graph>,
    #[prost(message, optional, tag = "22")]
    sparse_tensor: Option<SparseTensor>,
    #[prost(message, repeated, tag = "23")]
    sparse_tensors: Vec<SparseTensor>,
}

#[derive(Clone, PartialEq, Message)]
struct SparseTensor {
    #[prost(message, optional, tag = "1")]
    values: Option<Tensor>,
    #[prost(message, optional, tag = "2")]
    indices: Option<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(bytes = "vec", optional, tag = "1")]
    key: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    value: Option<Vec<u8>>,
}

impl Graph {
    fn locations(&self, found: &mut BTreeSet<Vec<u8>>) {
        self.nodes.iter().for_each(|node| node.locations(found));
        self.initializers.iter().for_each(|tensor| tensor.locations(found));
        self.sparse_initializers.iter().for_each(|tensor| tensor.locations(found));
    }
}

impl Node {
    fn locations(&self, found: &mut BTreeSet<Vec<u8>>) {
        for attribute in &self.attributes {
            attribute.tensor.iter().chain(&attribute.tensors).for_each(|tensor| tensor.locations(found));
            attribute.graph.iter().chain(&attribute.graphs).for_each(|graph| graph.locations(found));
            attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors).for_each(|tensor| tensor.locations(found));
        }
    }
}

impl SparseTensor {
    fn locations(&self, found: &mut BTreeSet<Vec<u8>>) {
        self.values.iter().chain(&self.indices).for_each(|tensor| tensor.locations(found));
    }
}

impl Tensor {
    fn locations(&self, found: &mut BTreeSet<Vec<u8>>) {
        let locations = self.external_data.iter().filter(|entry| entry.key.as_deref() == Some(b"location"));
        found.extend(locations.map(|entry| entry.value.clone().unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 100;

    fn tensor(location: &str) -> Tensor {
        let entry = |key: &str, value: &str| Entry { key: Some(key.into()), value: Some(value.into()) };
        Tensor { external_data: vec![entry("offset", "0"), entry("location", location)] }
    }

    fn node(attribute: Attribute) -> Node {
        Node { attributes: vec![attribute] }
    }

    #[test]
    fn every_tensor_of_a_model_is_seen() {
        let sparse = |values, indices| SparseTensor { values: Some(tensor(values)), indices: Some(tensor(indices)) };
        let inner = Graph { initializers: vec![tensor("a")], ..Graph::default() };
        let others = Graph { sparse_initializers: vec![sparse("b", "c")], ..Graph::default() };
        let attribute = Attribute {
            tensor: Some(tensor("d")),
            graph: Some(inner),
            tensors: vec![tensor("e")],
            graphs: vec![others],
            sparse_tensor: Some(sparse("f", "g")),
            sparse_tensors: vec![sparse("h", "i")],
        };
        let graph = |name| Graph { initializers: vec![tensor(name)], ..Graph::default() };
        let model = Model {
            graph: Some(Graph { nodes: vec![node(attribute)], ..graph("j") }),
            training: vec![Training { initialization: Some(graph("k")), algorithm: Some(graph("l")) }],
            functions: vec![Function {
                nodes: vec![node(Attribute { tensor: Some(tensor("m")), ..Attribute::default() })],
            }],
        };
        let found = locations(&model.encode_to_vec()).expect("a model");
        assert_eq!(found.into_iter().collect::<String>(), "abcdefghijklm");
    }

    #[test]
    fn files_are_inside_the_folder_and_within_the_limit() {
        let here = tempfile::tempdir().expect("a folder");
        fs::write(here.path().join("w"), [0; 60]).expect("written");
        fs::write(here.path().join("v"), [0; 60]).expect("written");
        let check = |names: &[&str]| {
            let names = names.iter().map(ToString::to_string).collect();
            check(&here.path().join("m.onnx"), &names, LIMIT, "infer.model_bytes")
        };
        check(&["w"]).expect("a file inside");
        check(&["../w"]).expect_err("a file outside");
        let error = check(&["w", "v"]).expect_err("too long").to_string();
        assert!(error.contains("more than 100 bytes (the setting infer.model_bytes)"), "{error}");
    }
}
