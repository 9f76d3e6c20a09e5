//! The model as an ONNX graph.

use nets::{
    Activation, Graph, Model, OutputActivation, Scaling, TargetScaling,
    graph::{Node, Op, Value},
};
use onnx::{Attribute, GraphBuilder, ModelInfo};
use records::DType;
use std::f32::consts::FRAC_1_SQRT_2;

/// The bytes of an `.onnx` file: input `[batch, input shape…]`, float32 or bytes, as the records were, under the name
/// of their field; output `prediction` (`prediction_` where the input is called so) `[batch, target shape…]`, float32.
pub fn build(model: &Model, opset: i64) -> anyhow::Result<Vec<u8>> {
    let task = &model.task;
    let mut graph =
        GraphBuilder::new(if model.graph.architecture.as_perceptron().is_some() { "mlp" } else { "layers" });
    let input_doc = match model.features.inputs.as_slice() {
        [_] => format!("field {:?} of a row, raw: the graph scales it where the model asks for that", task.input_field),
        inputs => format!("{} fields of a row, joined as pipegrad.features in the metadata says", inputs.len()),
    };
    let input = match task.input_dtype {
        DType::F4 => graph.input(&task.input_field, &task.input_shape, &input_doc),
        _ => graph.byte_input(&task.input_field, &task.input_shape, &input_doc),
    };
    let shape = &model.graph.architecture.input_shape;
    let (complete, complete_shape) = completed(&mut graph, input, model);
    let mut x = reshaped(&mut graph, complete, "input", &complete_shape, shape);
    if let Some(scaling) = &model.scaling {
        x = scaled(&mut graph, &x, scaling, shape);
    }
    x = nodes(&mut graph, model, opset, x);
    if let Some(scaling) = &model.target_scaling {
        x = unscaled(&mut graph, &x, scaling);
    }
    x = match task.output_activation {
        OutputActivation::Identity => x,
        OutputActivation::Softmax => graph.node("Softmax", &[&x], "probabilities", &[("axis", Attribute::Int(1))]),
        OutputActivation::Sigmoid => graph.node("Sigmoid", &[&x], "probabilities", &[]),
    };
    x = reshaped(&mut graph, x, "output", &[model.graph.architecture.outputs], &task.target_shape);
    let output = graph.node("Identity", &[&x], "prediction", &[]);
    let estimate = match task.output_activation {
        OutputActivation::Identity => "estimate",
        OutputActivation::Softmax | OutputActivation::Sigmoid => "probabilities",
    };
    let output_doc = format!("the model's {estimate} of field {:?}", task.target_field);
    graph.output(&output, &task.target_shape, &output_doc);
    Ok(graph.to_bytes(&info(model, opset, &output)?))
}

/// Fills missing values and appends the indicators, as [`Features::complete`](dataset::Features); also returns the shape of
/// a row.
fn completed(graph: &mut GraphBuilder, x: String, model: &Model) -> (String, Vec<usize>) {
    let shape = &model.task.input_shape;
    let Some(fills) = model.features.fills() else { return (x, shape.clone()) };
    let fills = graph.weights("input.fill", shape, &fills);
    let missing = graph.node("IsNaN", &[&x], "input.missing", &[]); // [batch, shape…], bool
    let filled = graph.node("Where", &[&missing, &fills, &x], "input.filled", &[]);
    let indicated = model.features.indicated();
    if indicated.is_empty() {
        return (filled, shape.clone());
    }
    let width = model.features.raw_width();
    let missing = reshaped(graph, missing, "input.missing", shape, &[width]);
    let filled = reshaped(graph, filled, "input.filled", shape, &[width]);
    let to = Attribute::Int(i32::from(onnx::proto::tensor_proto::DataType::Float).into());
    let missing = graph.node("Cast", &[&missing], "input.missing.float", &[("to", to)]);
    let indices: Vec<i64> = indicated.iter().map(|&index| index as i64).collect();
    let indices = graph.integers("input.indicated", &indices);
    let axis = || [("axis", Attribute::Int(1))];
    let indicators = graph.node("Gather", &[&missing, &indices], "input.indicators", &axis());
    let complete = graph.node("Concat", &[&filled, &indicators], "input.complete", &axis());
    (complete, vec![model.features.complete_width()])
}

/// `(x - mean) · scale` for each feature, or each channel of an image.
fn scaled(graph: &mut GraphBuilder, x: &str, scaling: &Scaling, shape: &[usize]) -> String {
    let width = scaling.mean.len();
    // [features], [features, 1] where a row has two dimensions, or [channels, 1, 1]
    let dims: Vec<usize> = if shape.len() == 3 { vec![width, 1, 1] } else { shape.to_vec() };
    let mean = graph.weights("input.mean", &dims, &scaling.mean);
    let scale = graph.weights("input.scale", &dims, &scaling.scale);
    let centered = graph.node("Sub", &[x, &mean], "input.centered", &[]);
    graph.node("Mul", &[&centered, &scale], "input.scaled", &[])
}

/// `x · scale + mean` for each output: a prediction in the target's own units.
fn unscaled(graph: &mut GraphBuilder, x: &str, TargetScaling { mean, scale }: &TargetScaling) -> String {
    let scale = graph.weights("output.scale", &[scale.len()], scale);
    let mean = graph.weights("output.mean", &[mean.len()], mean);
    let scaled = graph.node("Mul", &[x, &scale], "output.scaled", &[]);
    graph.node("Add", &[&scaled, &mean], "output.unscaled", &[])
}

/// The network's operations; returns the name of its output.
fn nodes(graph: &mut GraphBuilder, model: &Model, opset: i64, input: String) -> String {
    let layout = &model.parameters.layout;
    let mut results: Vec<String> = Vec::new();
    for node in &model.graph.nodes {
        let mut inputs: Vec<String> = node
            .inputs
            .iter()
            .map(|value| match value {
                Value::Input => input.clone(),
                Value::Node(i) => results[*i].clone(),
            })
            .collect();
        if let (Op::Activation(Activation::Gelu), true) = (&node.op, opset < GELU_OPSET) {
            results.push(gelu(graph, &inputs[0], &node.name));
            continue;
        }
        if let Op::Scale { factor } = node.op {
            inputs.push(graph.weights(&format!("{}.factor", node.name), &[], &[factor]));
        }
        let (operator, tensors, attributes) = operation(&model.graph, node);
        for index in tensors {
            let tensor = &layout.tensors()[index];
            inputs.push(graph.weights(&tensor.name, &tensor.shape, model.parameters.tensor(index)));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        results.push(graph.node(operator, &inputs, &node.name, &attributes));
    }
    results.pop().unwrap_or(input)
}

/// ONNX's operator for a node, its parameter tensors as indices into the layout, and its attributes.
fn operation(graph: &Graph, node: &Node) -> (&'static str, Vec<usize>, Vec<(&'static str, Attribute)>) {
    let sizes = |sizes: [usize; 2]| Attribute::Ints(sizes.map(|size| size as i64).to_vec());
    let square = |size: usize| sizes([size, size]);
    let pool = |size| vec![("kernel_shape", sizes(size)), ("strides", sizes(size))];
    match node.op {
        Op::Conv { weight, bias, stride, padding, .. } => {
            let kernel = graph.layout.tensors()[weight].shape[2];
            let pads = Attribute::Ints(vec![padding as i64; 4]);
            let attributes = vec![("kernel_shape", square(kernel)), ("strides", square(stride)), ("pads", pads)];
            ("Conv", std::iter::once(weight).chain(bias).collect(), attributes)
        }
        Op::Norm { scale, shift, mean, variance, eps, .. } => {
            ("BatchNormalization", vec![scale, shift, mean, variance], vec![("epsilon", Attribute::Float(eps))])
        }
        Op::Activation(activation) => (activation.onnx_operator(), vec![], vec![]),
        Op::MaxPool { size } => ("MaxPool", vec![], pool(size)),
        Op::AveragePool { size } => ("AveragePool", vec![], pool(size)),
        Op::Flatten => ("Flatten", vec![], vec![]),
        // x · weightᵀ + bias: [batch, outputs of the layer]
        Op::Linear { weight, bias } => ("Gemm", vec![weight, bias], vec![("transB", Attribute::Int(1))]),
        Op::Add => ("Add", vec![], vec![]),
        Op::Scale { .. } => ("Mul", vec![], vec![]),
    }
}

/// The first opset with `Gelu`.
const GELU_OPSET: i64 = 20;

/// GELU for older opsets: `x · (1 + erf(x / √2)) / 2`.
fn gelu(graph: &mut GraphBuilder, x: &str, name: &str) -> String {
    let mut step = |operator, y: &str, constant: Option<f32>, part: &str| {
        let output = format!("{name}.{part}");
        let constant = constant.map(|value| graph.weights(&format!("{output}.constant"), &[], &[value]));
        let inputs: Vec<&str> = std::iter::once(y).chain(constant.as_deref()).collect();
        graph.node(operator, &inputs, &output, &[])
    };
    let scaled = step("Mul", x, Some(FRAC_1_SQRT_2), "scaled");
    let erf = step("Erf", &scaled, None, "erf");
    let share = step("Add", &erf, Some(1.0), "share");
    let half = step("Mul", &share, Some(0.5), "half");
    graph.node("Mul", &[x, &half], name, &[])
}

/// A `Reshape` of each row, if the shapes differ.
fn reshaped(graph: &mut GraphBuilder, x: String, name: &str, from: &[usize], to: &[usize]) -> String {
    if from == to {
        return x;
    }
    let shape: Vec<i64> = std::iter::once(-1).chain(to.iter().map(|&dim| dim as i64)).collect();
    let shape = graph.integers(&format!("{name}.shape"), &shape);
    graph.node("Reshape", &[&x, &shape], &format!("{name}.reshaped"), &[])
}

fn info(model: &Model, opset: i64, output: &str) -> anyhow::Result<ModelInfo> {
    let task = &model.task;
    let kind = match model.graph.architecture.as_perceptron() {
        Some(mlp) => {
            format!("Multilayer perceptron, hidden layers {:?}, activation {:?}", mlp.hidden, mlp.activation)
        }
        None => format!("Network of {} layers", model.graph.architecture.layers.len()),
    };
    let description = format!(
        "{kind}. Takes {} {}, {}; gives {output} {} of {}, float32.",
        task.input_field,
        batched(&task.input_shape),
        task.input_dtype.long_name(),
        batched(&task.target_shape),
        task.target_field,
    );
    let entry = |key: &str, value: String| (format!("pipegrad.{key}"), value);
    let metadata = vec![
        entry("architecture", serde_json::to_string(&model.graph.architecture)?),
        entry("input_field", task.input_field.clone()),
        entry("input_shape", serde_json::to_string(&task.input_shape)?),
        entry("target_field", task.target_field.clone()),
        entry("target_shape", serde_json::to_string(&task.target_shape)?),
        entry("features", model.features.to_json()),
    ];
    Ok(ModelInfo { opset, description, metadata })
}

/// The shape of a batch as text: `[batch, 8]`.
fn batched(shape: &[usize]) -> String {
    let dims: Vec<_> = std::iter::once("batch".into()).chain(shape.iter().map(usize::to_string)).collect();
    format!("[{}]", dims.join(", "))
}
