//! The model as an ONNX graph.

use nets::{Activation, Model, OutputActivation};
use onnx::{GraphBuilder, ModelInfo};

/// The bytes of an `.onnx` file: input `[batch, input shape…]`, output `prediction`
/// `[batch, target shape…]`, both float32.
pub fn build(model: &Model, opset: i64) -> anyhow::Result<Vec<u8>> {
    let task = &model.task;
    let mut graph = GraphBuilder::new("mlp");
    let input_doc =
        format!("field {:?} of a row, raw: the graph scales it where the model asks for that", task.input_field);
    let mut x = graph.input(&task.input_field, &task.input_shape, &input_doc);
    x = reshaped(&mut graph, x, "input", &task.input_shape, &[model.architecture.inputs]);
    if let Some(scaling) = &model.scaling {
        let width = [model.architecture.inputs];
        let mean = graph.weights("input.mean", &width, &scaling.mean);
        let scale = graph.weights("input.scale", &width, &scaling.scale);
        let centered = graph.node("Sub", &[&x, &mean], "input.centered", &[]);
        x = graph.node("Mul", &[&centered, &scale], "input.scaled", &[]); // [batch, inputs]
    }
    let last = model.parameters.layout.layers().len() - 1;
    for (i, (layer, weight, bias)) in model.parameters.layers().enumerate() {
        let weight = graph.weights(&format!("layers.{i}.weight"), &[layer.outputs, layer.inputs], weight);
        let bias = graph.weights(&format!("layers.{i}.bias"), &[layer.outputs], bias);
        // x · weightᵀ + bias: [batch, outputs of the layer]
        x = graph.node("Gemm", &[&x, &weight, &bias], &format!("layers.{i}"), &[("transB", 1)]);
        if i < last {
            x = graph.node(operator(model.architecture.activation), &[&x], &format!("layers.{i}.activation"), &[]);
        }
    }
    x = match task.output_activation {
        OutputActivation::Identity => x,
        OutputActivation::Softmax => graph.node("Softmax", &[&x], "probabilities", &[("axis", 1)]),
        OutputActivation::Sigmoid => graph.node("Sigmoid", &[&x], "probabilities", &[]),
    };
    x = reshaped(&mut graph, x, "output", &[model.architecture.outputs], &task.target_shape);
    graph.node("Identity", &[&x], "prediction", &[]);
    let estimate = match task.output_activation {
        OutputActivation::Identity => "estimate",
        OutputActivation::Softmax | OutputActivation::Sigmoid => "probabilities",
    };
    let output_doc = format!("the model's {estimate} of field {:?}", task.target_field);
    graph.output("prediction", &task.target_shape, &output_doc);
    Ok(graph.to_bytes(&info(model, opset)?))
}

/// Changes the shape of a row, if it changes.
fn reshaped(graph: &mut GraphBuilder, x: String, name: &str, from: &[usize], to: &[usize]) -> String {
    if from == to {
        return x;
    }
    let shape: Vec<i64> = std::iter::once(-1).chain(to.iter().map(|&dim| dim as i64)).collect();
    let shape = graph.integers(&format!("{name}.shape"), &shape);
    graph.node("Reshape", &[&x, &shape], &format!("{name}.reshaped"), &[])
}

fn operator(activation: Activation) -> &'static str {
    match activation {
        Activation::Relu => "Relu",
        Activation::Tanh => "Tanh",
        Activation::Sigmoid => "Sigmoid",
    }
}

fn info(model: &Model, opset: i64) -> anyhow::Result<ModelInfo> {
    let task = &model.task;
    let description = format!(
        "Multilayer perceptron, hidden layers {:?}, activation {:?}. Takes {} {}, gives prediction {} of {}; float32.",
        model.architecture.hidden,
        model.architecture.activation,
        task.input_field,
        batched(&task.input_shape),
        batched(&task.target_shape),
        task.target_field,
    );
    let entry = |key: &str, value: String| (format!("pipegrad.{key}"), value);
    let metadata = vec![
        entry("architecture", serde_json::to_string(&model.architecture)?),
        entry("input_field", task.input_field.clone()),
        entry("input_shape", serde_json::to_string(&task.input_shape)?),
        entry("target_field", task.target_field.clone()),
        entry("target_shape", serde_json::to_string(&task.target_shape)?),
    ];
    Ok(ModelInfo { opset, description, metadata })
}

/// The shape of a batch for a reader: `[batch, 8]`.
fn batched(shape: &[usize]) -> String {
    let dims: Vec<_> = std::iter::once("batch".into()).chain(shape.iter().map(usize::to_string)).collect();
    format!("[{}]", dims.join(", "))
}
