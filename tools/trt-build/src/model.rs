//! The ONNX model: read, checked, and as TensorRT gets it.

use anyhow::ensure;
use files::Limit;
use onnx::{
    Model,
    proto::{GraphProto, ModelProto},
};
use prost::Message;
use std::path::Path;

/// A model that was read.
pub struct Onnx {
    pub model: Model,
    /// What TensorRT gets: the file as it is, or with the weights of other files inside. TensorRT itself would look for
    /// those in the working folder.
    pub bytes: Vec<u8>,
    pub digests: Digests,
}

/// SHA-256 of what an engine is built from, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Digests {
    /// Of the file.
    pub sha256: String,
    /// Of the model with the weights of other files inside; None if there are no such files.
    pub with_weights_sha256: Option<String>,
}

impl Onnx {
    /// Reads the model at `path`, or standard input. It and its files of weights, which must be in its folder, have at most
    /// `limit` bytes.
    ///
    /// # Errors
    /// When it cannot be read, is too long, or breaks the format's rules. TensorRT itself takes an empty file for a graph.
    pub fn read(path: Option<&Path>, limit: Limit<'_>) -> anyhow::Result<Self> {
        let (name, bytes) = match path {
            Some(path) => (path.display().to_string(), files::read_file(path, limit)?),
            None => ("stdin".to_owned(), cli::open(None, "an ONNX model")?.read_all(limit)?),
        };
        ensure!(!bytes.is_empty(), "{name}: empty, expected an ONNX model");
        let sha256 = files::sha256(&bytes);
        let has_files = has_files(&bytes);
        let model = match path {
            Some(path) if has_files => Model::open(path, limit)?,
            _ => Model::from_bytes(&name, &bytes)?,
        };
        ensure!(!model.graph.outputs.is_empty(), "{name}: no ONNX model: its graph has no outputs");
        let bytes = if has_files { model.to_bytes() } else { bytes };
        let with_weights_sha256 = has_files.then(|| files::sha256(&bytes));
        Ok(Self { model, bytes, digests: Digests { sha256, with_weights_sha256 } })
    }
}

/// Whether the weights of the model are in other files. Bytes that are no model have none; reading them says why.
fn has_files(bytes: &[u8]) -> bool {
    ModelProto::decode(bytes).is_ok_and(|model| model.graph.is_some_and(|graph| names_files(&graph)))
}

fn names_files(graph: &GraphProto) -> bool {
    let attributes = || graph.node.iter().flat_map(|node| &node.attribute);
    let tensors = attributes().flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors));
    let mut tensors = graph.initializer.iter().chain(tensors);
    tensors.any(|tensor| !tensor.external_data.is_empty())
        || attributes().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)).any(names_files)
}
