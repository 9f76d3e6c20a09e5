//! The layers as `trtexec --exportLayerInfo` writes them, for programs that read its files.

use serde::Serialize;
use trt_protocol::{Built, Layer, TensorInfo};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LayerInfo<'a> {
    layers: Vec<Entry<'a>>,
    bindings: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    name: &'a str,
    layer_type: &'a str,
    inputs: Vec<Tensor<'a>>,
    outputs: Vec<Tensor<'a>>,
    metadata: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tensor<'a> {
    name: &'a str,
    dimensions: &'a [i64],
    datatype: &'a str,
}

/// The file's bytes.
///
/// # Errors
/// Never in practice: the form has no part that JSON cannot write.
pub fn json(built: &Built) -> anyhow::Result<Vec<u8>> {
    let bindings = built.inputs.iter().chain(&built.outputs).map(|tensor| tensor.name.as_str());
    let info = LayerInfo { layers: built.layers.iter().map(entry).collect(), bindings: bindings.collect() };
    let mut text = serde_json::to_vec_pretty(&info)?;
    text.push(b'\n');
    Ok(text)
}

fn entry(layer: &Layer) -> Entry<'_> {
    let metadata = layer.onnx_nodes.iter().map(|node| format!("[ONNX Layer: {node}]")).collect::<Vec<_>>();
    Entry {
        name: &layer.name,
        layer_type: &layer.kind,
        inputs: layer.inputs.iter().map(tensor).collect(),
        outputs: layer.outputs.iter().map(tensor).collect(),
        metadata: metadata.join("\u{1f}"),
    }
}

fn tensor(tensor: &TensorInfo) -> Tensor<'_> {
    Tensor { name: &tensor.name, dimensions: &tensor.shape, datatype: &tensor.dtype }
}
