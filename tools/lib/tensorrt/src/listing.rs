//! The layers of an engine, as TensorRT lists them in its log when a build ends. An engine itself can be inspected only where
//! there is a GPU to load it.
//!
//! ```text
//! Name: gemm1, LayerType: gemm, Inputs: [ { Name: x, Dimensions: [-1,8], …, Datatype: Int8, …}], Constants: […],
//!   Outputs: […], TacticName: …, StreamId: 0, Metadata: [ONNX Layer: gemm1]␟[ONNX Layer: relu]
//! ```

use trt_protocol::{Layer, TensorInfo};

/// Where the listing of an engine begins.
pub(crate) const START: &str = "Layers:\n";
/// What separates the ONNX nodes of a layer (unit separator).
const SEPARATOR: char = '\u{1f}';

/// An engine's layers, inputs and outputs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub layers: Vec<Layer>,
    pub inputs: Vec<TensorInfo>,
    pub outputs: Vec<TensorInfo>,
}

/// Reads a listing.
///
/// # Errors
/// The first line that is not understood.
pub(crate) fn parse(text: &str) -> Result<Listing, String> {
    let mut listing = Listing::default();
    for line in text.lines().skip(1) {
        let understood = match line {
            line if line.starts_with("Name: ") => layer(line).map(|layer| listing.layers.push(layer)),
            line if line.starts_with(" Name: ") => {
                port(line).map(
                    |(is_input, tensor)| {
                        if is_input { listing.inputs.push(tensor) } else { listing.outputs.push(tensor) }
                    },
                )
            }
            _ => Some(()),
        };
        understood.ok_or_else(|| line.to_owned())?;
    }
    if listing.layers.is_empty() || listing.outputs.is_empty() {
        return Err(text.lines().next().unwrap_or_default().to_owned());
    }
    Ok(listing)
}

fn layer(line: &str) -> Option<Layer> {
    let (name, rest) = line.strip_prefix("Name: ")?.split_once(", LayerType: ")?;
    let (kind, rest) = rest.split_once(", Inputs: [")?;
    let (inputs, rest) = rest.split_once("], Constants: [")?;
    let (_, rest) = rest.split_once("], Outputs: [")?;
    let (outputs, rest) = rest.split_once("], TacticName: ")?;
    let metadata = rest.split_once(", Metadata: ").map_or("", |(_, metadata)| metadata);
    Some(Layer {
        name: name.into(),
        kind: kind.into(),
        onnx_nodes: metadata.split(SEPARATOR).filter_map(node).map(str::to_owned).collect(),
        inputs: tensors(inputs)?,
        outputs: tensors(outputs)?,
    })
}

fn node(part: &str) -> Option<&str> {
    part.trim().strip_prefix("[ONNX Layer: ")?.strip_suffix(']')
}

/// `{ Name: x, Dimensions: [-1,8], …, Datatype: Int8, …}, {…}`.
fn tensors(text: &str) -> Option<Vec<TensorInfo>> {
    text.split("{ Name: ").skip(1).map(tensor).collect()
}

fn tensor(text: &str) -> Option<TensorInfo> {
    let (name, rest) = text.split_once(", Dimensions: [")?;
    let (shape, rest) = rest.split_once(']')?;
    let (_, rest) = rest.split_once("Datatype: ")?;
    let dtype = rest.split([',', '}', ' ']).next()?;
    Some(TensorInfo { name: name.into(), dtype: type_name(dtype), shape: dimensions(shape)? })
}

/// ` Name: x, IOMode: Input, DataType: Float, Dimensions: [-1,8], Location: Device, …`: whether it is an input, and what it is.
fn port(line: &str) -> Option<(bool, TensorInfo)> {
    let (name, rest) = line.strip_prefix(" Name: ")?.split_once(", IOMode: ")?;
    let (mode, rest) = rest.split_once(", DataType: ")?;
    let (dtype, rest) = rest.split_once(", Dimensions: [")?;
    let (shape, _) = rest.split_once(']')?;
    Some((mode == "Input", TensorInfo { name: name.into(), dtype: type_name(dtype), shape: dimensions(shape)? }))
}

fn dimensions(text: &str) -> Option<Vec<i64>> {
    text.split(',').map(str::trim).filter(|dim| !dim.is_empty()).map(|dim| dim.parse().ok()).collect()
}

/// TensorRT's name of a type as NumPy and ONNX write it; what is not known stays as it is.
fn type_name(name: &str) -> String {
    match name {
        "Float" => "float32",
        "Half" => "float16",
        "BFloat16" | "BF16" => "bfloat16",
        "FP8" => "float8e4m3fn",
        "Int8" => "int8",
        "UInt8" => "uint8",
        "Int32" => "int32",
        "Int64" => "int64",
        "Bool" => "bool",
        other => other,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As TensorRT-RTX 1.7.1 lists a perceptron, shortened.
    const TEXT: &str = "Layers:\n\
        Name: __mye299, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], TacticName: , StreamId: 0, Metadata: \n\
        Name: gemm1_myl0_2, LayerType: gemm, Inputs: [ { Name: a, Dimensions: [-1,8], Strides: [8,1], StrideOrder: [1,0], \
        Datatype: Int8, Format: (Linear) Row major linear format }], Constants: [ { Name: w, Dimensions: [8,64], Datatype: \
        Int8 }], Outputs: [ { Name: b, Dimensions: [-1,64], Strides: [64,1], StrideOrder: [1,0], Datatype: Float, Format: \
        (Linear) Row major linear format }, { Name: c, Dimensions: [], Datatype: Half }], TacticName: __cask, StreamId: 0, \
        Metadata: [ONNX Layer: gemm1]\u{1f}[ONNX Layer: relu]\n\
        \n\
        I/O Tensors:\n \
        Name: x, IOMode: Input, DataType: Float, Dimensions: [-1,8], Location: Device, IsShapeInferenceIO: false\n \
        Name: y, IOMode: Output, DataType: Half, Dimensions: [-1,1], Location: Device, IsShapeInferenceIO: false\n\
        \n\
        Engine Metadata:\n Multi-Device: Disabled";

    fn tensor(name: &str, dtype: &str, shape: &[i64]) -> TensorInfo {
        TensorInfo { name: name.into(), dtype: dtype.into(), shape: shape.into() }
    }

    #[test]
    fn a_listing_is_read() {
        let listing = parse(TEXT).expect("understood");
        assert_eq!(listing.inputs, [tensor("x", "float32", &[-1, 8])]);
        assert_eq!(listing.outputs, [tensor("y", "float16", &[-1, 1])]);
        let [call, gemm] = listing.layers.as_slice() else { panic!("{listing:?}") };
        assert_eq!((call.kind.as_str(), call.onnx_nodes.len()), ("shape_call", 0));
        assert_eq!((gemm.name.as_str(), gemm.kind.as_str()), ("gemm1_myl0_2", "gemm"));
        assert_eq!(gemm.onnx_nodes, ["gemm1", "relu"]);
        assert_eq!(gemm.inputs, [tensor("a", "int8", &[-1, 8])]);
        assert_eq!(gemm.outputs, [tensor("b", "float32", &[-1, 64]), tensor("c", "float16", &[])]);
    }

    #[test]
    fn another_form_is_not_taken_for_an_engine_without_layers() {
        assert_eq!(parse("Layers:\n{}"), Err("Layers:".into()));
        assert_eq!(parse("Layers:\nName: a; LayerType: b"), Err("Name: a; LayerType: b".into()));
    }
}
