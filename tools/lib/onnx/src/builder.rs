//! Graphs, built node by node.

use crate::{
    Dim, Names, Tensor, TensorType, Value,
    proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, ValueInfoProto,
        attribute_proto::AttributeType, tensor_proto::DataType,
    },
};
use prost::Message;

/// Operator set, documentation and metadata of a model.
#[derive(Debug, Clone)]
pub struct ModelInfo {
    /// Version of the standard operator set.
    pub opset: i64,
    /// The model's `doc_string`.
    pub description: String,
    /// `metadata_props`, in this order.
    pub metadata: Vec<(String, String)>,
}

/// A graph under construction; nodes are added in topological order.
///
/// Inputs, constants and outputs of nodes share one namespace. A name that is taken gets `_` appended until it is free: use
/// the name that a method returns.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: GraphProto,
    names: Names,
}

/// An attribute of a node.
#[derive(Debug, Clone)]
pub enum Attribute {
    /// `INT`
    Int(i64),
    /// `INTS`: strides, pads.
    Ints(Vec<i64>),
    /// `FLOAT`
    Float(f32),
    /// `STRING`
    String(String),
}

impl From<i64> for Attribute {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&[i64]> for Attribute {
    fn from(values: &[i64]) -> Self {
        Self::Ints(values.into())
    }
}

impl From<f32> for Attribute {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Attribute {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl Attribute {
    pub(crate) fn to_proto(&self, name: &str) -> AttributeProto {
        let mut proto = AttributeProto { name: Some(name.into()), ..AttributeProto::default() };
        let kind = match self {
            Self::Int(value) => {
                proto.i = Some(*value);
                AttributeType::Int
            }
            Self::Ints(values) => {
                proto.ints.clone_from(values);
                AttributeType::Ints
            }
            Self::Float(value) => {
                proto.f = Some(*value);
                AttributeType::Float
            }
            Self::String(value) => {
                proto.s = Some(value.clone().into_bytes());
                AttributeType::String
            }
        };
        proto.r#type = Some(kind.into());
        proto
    }
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        let graph = GraphProto { name: Some(name.into()), ..GraphProto::default() };
        Self { graph, names: Names::new() }
    }

    /// Adds a float32 input `[batch, shape…]` of any batch size; returns its name.
    pub fn input(&mut self, name: &str, shape: &[usize], doc: &str) -> String {
        let name = self.names.fresh(name);
        self.graph.input.push(batched(&name, DataType::Float, shape, doc));
        name
    }

    /// Adds a uint8 input `[batch, shape…]` and a cast; returns the name of its values as float32.
    pub fn byte_input(&mut self, name: &str, shape: &[usize], doc: &str) -> String {
        let name = self.names.fresh(name);
        self.graph.input.push(batched(&name, DataType::Uint8, shape, doc));
        let to = Attribute::Int(i32::from(DataType::Float).into());
        self.node("Cast", &[&name], &format!("{name}.float"), &[("to", to)])
    }

    /// Declares the output of a node as a float32 output `[batch, shape…]` of the graph.
    pub fn output(&mut self, name: &str, shape: &[usize], doc: &str) {
        self.graph.output.push(batched(name, DataType::Float, shape, doc));
    }

    /// Adds a float32 initializer; returns its name.
    ///
    /// # Panics
    /// If the number of values is not that of the shape.
    pub fn weights(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.constant(name, &Tensor::from_f32(shape, values))
    }

    /// Adds an int64 initializer `[values.len()]`, as shapes and axes need; returns its name.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.constant(name, &Tensor::from_i64(&[values.len()], values))
    }

    fn constant(&mut self, name: &str, tensor: &Tensor) -> String {
        let name = self.names.fresh(name);
        self.graph.initializer.push(tensor.to_proto(&name));
        name
    }

    /// Adds a node with one output, named `output` if that is free; returns the name.
    pub fn node(&mut self, op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute)]) -> String {
        let output = self.names.fresh(output);
        self.graph.node.push(NodeProto {
            name: Some(output.clone()),
            op_type: Some(op.into()),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.clone()],
            attribute: attributes.iter().map(|(name, value)| value.to_proto(name)).collect(),
            ..NodeProto::default()
        });
        output
    }

    /// The model as the bytes of an `.onnx` file; the same graph gives the same bytes.
    pub fn to_bytes(self, info: &ModelInfo) -> Vec<u8> {
        let property = |(key, value): &(String, String)| StringStringEntryProto {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        let model = ModelProto {
            ir_version: Some(ir_version(info.opset)),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(info.opset) }],
            producer_name: Some("pipegrad".into()),
            producer_version: Some(env!("CARGO_PKG_VERSION").into()),
            doc_string: Some(info.description.clone()),
            metadata_props: info.metadata.iter().map(property).collect(),
            graph: Some(self.graph),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }
}

/// The oldest IR version that may hold an operator set, so that old runtimes read the file (the table in ONNX's
/// `docs/Versioning.md`).
pub(crate) fn ir_version(opset: i64) -> i64 {
    match opset {
        ..=8 => 3,
        9 => 4,
        10 => 5,
        11 => 6,
        12..=14 => 7,
        15..=18 => 8,
        19..=20 => 9,
        21..=22 => 10,
        23 => 11,
        24 => 12,
        _ => 13,
    }
}

fn batched(name: &str, dtype: DataType, shape: &[usize], doc: &str) -> ValueInfoProto {
    let batch = std::iter::once(Dim::Symbol("batch".into()));
    let shape = batch.chain(shape.iter().map(|&size| Dim::Known(size))).collect();
    Value { doc: doc.into(), ..Value::tensor(name, &TensorType { dtype, shape: Some(shape) }) }.to_proto()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_whatever_the_input_is_called() {
        let mut graph = GraphBuilder::new("g");
        let input = graph.input("layers.0.weight", &[2], "");
        let weight = graph.weights("layers.0.weight", &[2], &[1.0, 2.0]);
        let product = graph.node("Mul", &[&input, &weight], "layers.0.weight", &[]);
        assert_eq!((input.as_str(), weight.as_str()), ("layers.0.weight", "layers.0.weight_"));
        assert_eq!(product, "layers.0.weight__");
        assert_eq!(graph.integers("", &[1]), "_");
        assert_eq!(graph.byte_input("x", &[2], ""), "x.float");
        assert_eq!(graph.byte_input("x", &[2], ""), "x_.float");
    }
}
