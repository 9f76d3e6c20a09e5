//! Runs the nodes of a graph one by one, on plain operators: the constant part of a model.

use crate::{
    Error, Tensor,
    ops::{self, Call},
};
use onnx::{Model, Problem};
use std::collections::HashMap;

/// The outputs of a model without inputs.
pub(crate) fn evaluate(model: &Model) -> Result<Vec<onnx::Tensor>, Error> {
    let initializers = model.graph.initializers.iter();
    let mut values: HashMap<&str, Tensor> =
        initializers.filter_map(|(name, tensor)| Some((name.as_str(), Tensor::from_onnx(tensor)?))).collect();
    for node in &model.graph.nodes {
        let operator = ops::find(node).ok_or_else(|| Error::Unsupported(vec![node.describe()]))?;
        let inputs: Vec<_> = node.inputs.iter().map(|name| values.get(name.as_str())).collect();
        let call = Call { node, opset: model.opset(), inputs: &inputs, most_bytes: ops::MOST_BYTES };
        let outputs = operator(&call)?;
        values.extend(node.outputs.iter().map(String::as_str).zip(outputs));
    }
    let output = |value: &onnx::Value| {
        let tensor = values.get(value.name.as_str()).and_then(Tensor::to_onnx);
        tensor.ok_or_else(|| Problem::tensor(&value.name, "an output that no node computes").into())
    };
    model.graph.outputs.iter().map(output).collect()
}
