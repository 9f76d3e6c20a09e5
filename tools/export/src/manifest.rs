//! The manifest: what a model was made of and how, beside it as JSON.

use crate::source::Record;
use onnx::{Dim, Model, Value, type_name};
use serde::Serialize;
use serde_json::json;

/// The manifest of a model. It has no time and no path: the same inputs give the same bytes.
#[derive(Debug, Serialize)]
pub struct Manifest<'a> {
    /// Version of the tool.
    version: &'static str,
    source: &'a Record,
    model: Described,
}

/// The model as it is written.
#[derive(Debug, Serialize)]
struct Described {
    sha256: String,
    bytes: usize,
    opset: i64,
    inputs: Vec<serde_json::Value>,
    outputs: Vec<serde_json::Value>,
}

impl<'a> Manifest<'a> {
    /// Of the model `graph`, which is written as `bytes`.
    pub fn new(source: &'a Record, graph: &Model, bytes: &[u8]) -> Self {
        let model = Described {
            sha256: files::sha256(bytes),
            bytes: bytes.len(),
            opset: graph.opset(),
            inputs: graph.graph.inputs.iter().map(described).collect(),
            outputs: graph.graph.outputs.iter().map(described).collect(),
        };
        Self { version: env!("CARGO_PKG_VERSION"), source, model }
    }

    /// As the text of a file.
    ///
    /// # Errors
    /// When a number is none of JSON's.
    pub fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// `{"name": "x", "type": "float32", "shape": ["batch", 8]}`; the shape is null where the rank is not known, an axis is where
/// its size is not.
fn described(value: &Value) -> serde_json::Value {
    let axis = |dim: &Dim| match dim {
        Dim::Known(size) => json!(size),
        Dim::Symbol(name) => json!(name),
        Dim::Unknown => json!(null),
    };
    match value.tensor_type() {
        Some(tensor) => json!({
            "name": value.name,
            "type": type_name(tensor.dtype),
            "shape": tensor.shape.map(|dims| dims.iter().map(axis).collect::<Vec<_>>()),
        }),
        None => json!({"name": value.name}),
    }
}
