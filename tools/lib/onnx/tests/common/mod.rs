//! Graphs of a few nodes, and ONNX Runtime to run them.

#![allow(dead_code, reason = "each test file uses a part")]

use onnx::{
    DataType, Dim, Graph, Model, Node, Tensor, TensorType, Value,
    proto::{AttributeProto, GraphProto, attribute_proto::AttributeType},
};
use runtime::{Backend, Data, Options};
use std::borrow::Cow;

/// A model of opset 17 over a graph.
pub fn model(graph: Graph) -> Model {
    Model::new("test", graph, 17)
}

/// A graph with float32 inputs and outputs; a dimension of 0 is dynamic.
pub fn graph(inputs: &[(&str, &[usize])], outputs: &[(&str, &[usize])], constants: &[(&str, Tensor)]) -> Graph {
    Graph {
        name: "test".into(),
        inputs: inputs.iter().map(|(name, dims)| value(name, DataType::Float, dims)).collect(),
        outputs: outputs.iter().map(|(name, dims)| value(name, DataType::Float, dims)).collect(),
        initializers: constants.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect(),
        ..Graph::default()
    }
}

/// A value; a dimension of 0 is dynamic.
pub fn value(name: &str, dtype: DataType, dims: &[usize]) -> Value {
    let dim = |&dim: &usize| if dim == 0 { Dim::Symbol("batch".into()) } else { Dim::Known(dim) };
    Value::tensor(name, &TensorType { dtype, shape: Some(dims.iter().map(dim).collect()) })
}

/// A float32 tensor.
pub fn floats(dims: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_f32(dims, values)
}

/// A float32 tensor of values in -1 to 1 that look random, and are the same on each run.
pub fn noise(seed: u32, dims: &[usize]) -> Tensor {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        // The generator of Numerical Recipes.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..dims.iter().product()).map(|_| next()).collect();
    Tensor::from_f32(dims, &values)
}

/// The operators of the graph, in order.
pub fn operators(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|node| node.op_type.as_str()).collect()
}

/// Runs a model in ONNX Runtime, without its own optimizations where they would hide a difference.
pub fn run(model: &Model, inputs: &[&Tensor]) -> Vec<Tensor> {
    try_run(model, inputs).unwrap_or_else(|e| panic!("{e}"))
}

/// As [`run`].
pub fn try_run(model: &Model, inputs: &[&Tensor]) -> Result<Vec<Tensor>, String> {
    let mut session =
        runtime::Model::from_bytes("test", &model.to_bytes(), &Options { backend: Backend::Ort, ..Options::default() })
            .map_err(text)?;
    let values: Vec<_> = inputs.iter().map(|tensor| input(tensor)).collect();
    let count = session.outputs().len();
    let dtypes: Vec<_> = session.outputs().iter().map(|port| dtype(port.element)).collect();
    let outputs = session.run(&values).map_err(text)?;
    (0..count).map(|index| Ok(output(dtypes[index], &outputs.get(index).map_err(text)?))).collect()
}

/// What `simplify` takes: ONNX Runtime on a model without inputs.
pub fn evaluate(model: &Model) -> Result<Vec<Tensor>, String> {
    try_run(model, &[])
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn input(tensor: &Tensor) -> runtime::Value<'_> {
    runtime::Value { shape: Cow::Borrowed(tensor.dims()), data: Data::Bytes(tensor.bytes()) }
}

fn output(dtype: DataType, value: &runtime::Value<'_>) -> Tensor {
    let tensor = match &value.data {
        Data::Bytes(bytes) => Tensor::new(dtype, &value.shape, bytes.to_vec()),
        Data::Strings(strings) => Tensor::from_strings(&value.shape, strings),
    };
    tensor.expect("an output is as long as its shape says")
}

fn dtype(element: runtime::ElementType) -> DataType {
    use runtime::ElementType as E;
    match element {
        E::Bool => DataType::Bool,
        E::U8 => DataType::Uint8,
        E::U16 => DataType::Uint16,
        E::U32 => DataType::Uint32,
        E::U64 => DataType::Uint64,
        E::I8 => DataType::Int8,
        E::I16 => DataType::Int16,
        E::I32 => DataType::Int32,
        E::I64 => DataType::Int64,
        E::F16 => DataType::Float16,
        E::Bf16 => DataType::Bfloat16,
        E::F32 => DataType::Float,
        E::F64 => DataType::Double,
        E::String => DataType::String,
    }
}

/// Largest difference of two float tensors, relative to the largest magnitude of the second.
pub fn error(found: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(found.dims(), expected.dims());
    let (found, expected) = (found.to_f32().expect("floats"), expected.to_f32().expect("floats"));
    let scale = expected.iter().fold(1e-30, |scale: f32, value| scale.max(value.abs()));
    found.iter().zip(&expected).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f32::max)
}

/// A node whose inputs and outputs are named in the order of its operator.
pub fn node(op_type: &str, inputs: &[&str], output: &str) -> Node {
    Node::new(op_type, inputs, output)
}

/// An attribute that is a graph.
pub fn graph_attribute(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph.into()),
        g: Some(graph),
        ..AttributeProto::default()
    }
}

/// `if condition then x + k else x - k`, which reads `x` and `k` from around it.
pub fn branches(condition: &str, output: &str) -> Node {
    let branch = |op: &str| {
        let mut inner = graph(&[], &[("o", &[0, 2])], &[]);
        inner.nodes = vec![node(op, &["x", "k"], "o")];
        inner.to_proto()
    };
    let mut node = node("If", &[condition], output);
    node.attributes =
        vec![graph_attribute("then_branch", branch("Add")), graph_attribute("else_branch", branch("Sub"))];
    node
}
