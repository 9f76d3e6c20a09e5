//! Pre- and post-processing in the graph: raw inputs in, probabilities, classes and labels out.
//!
//! Inputs and outputs keep their names; what the graph read or computed under them gets new ones inside.

use crate::{
    DataType, Dim, Graph, Model, Node, Problem, Tensor, TensorType, Value,
    operators::{Kind, kind_of},
};

/// Order of the axes of an image input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[batch, channels, height, width]`, what the graph takes; any number of axes behind the channels.
    Nchw,
    /// `[batch, height, width, channels]`, as image files and cameras have it.
    Nhwc,
}

/// What [`normalize`] puts in front of an input.
#[derive(Debug, Clone, Copy)]
pub struct Normalize<'a> {
    /// Name of the input; None for the only one.
    pub input: Option<&'a str>,
    /// Mean of each channel, axis 1, or one for all.
    pub mean: &'a [f32],
    /// Standard deviation likewise.
    pub std: &'a [f32],
    /// Whether the input becomes uint8, whose 255 stands for 1; mean and deviation are those of values from 0 to 1.
    pub bytes: bool,
    /// The input's layout from now on.
    pub layout: Layout,
}

/// Names of the outputs that [`argmax`] adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Index of the class with the largest score, int64: the shape of the scores without axis 1.
    pub class: String,
    /// Its label, string.
    pub label: Option<String>,
}

/// Normalizes an input: `(x - mean) / std` for each channel.
///
/// # Errors
/// When the input is not named and not the only one, no float32 tensor of known rank, read by a subgraph, or of another number
/// of channels; or a deviation is not positive.
pub fn normalize(model: &mut Model, options: &Normalize<'_>) -> Result<(), Problem> {
    let graph = &mut model.graph;
    let index = find(&graph.inputs, options.input, "input")?;
    let name = graph.inputs[index].name.clone();
    let fault = |reason: String| Problem::graph(format!("input {name:?}: {reason}"));
    let shape = scores(&graph.inputs[index], &[DataType::Float]).map_err(fault)?;
    check_channels(&shape, options).map_err(fault)?;
    let rank = shape.len();
    if options.layout == Layout::Nhwc && rank == 2 {
        return Err(fault("it has 2 axes, whose order no layout changes".into()));
    }
    if graph.nodes.iter().any(|node| node.captured().contains(name.as_str())) {
        return Err(fault("a subgraph reads it: it cannot be normalized".into()));
    }
    let mut names = graph.names();
    let mut nodes: Vec<Node> = Vec::new();
    let mut x = name.clone();
    let mut step = |node: Node| {
        let output = node.outputs[0].clone();
        nodes.push(node);
        output
    };
    if options.bytes {
        let cast = Node::new("Cast", &[&x], &names.fresh(&format!("{name}.float")));
        x = step(cast.with("to", i64::from(DataType::Float as i32)));
    }
    if options.layout == Layout::Nhwc {
        // [batch, spatial…, channels] → [batch, channels, spatial…]
        let perm: Vec<i64> = [0, rank - 1].into_iter().chain(1..rank - 1).map(|axis| axis as i64).collect();
        let transpose = Node::new("Transpose", &[&x], &names.fresh(&format!("{name}.nchw")));
        x = step(transpose.with("perm", perm.as_slice()));
    }
    for (op, part, values) in [("Sub", "mean", options.mean), ("Div", "std", options.std)] {
        let constant = names.fresh(&format!("{name}.{part}"));
        graph.initializers.insert(constant.clone(), per_channel(values, rank, options.bytes));
        x = step(Node::new(op, &[&x, &constant], &names.fresh(&format!("{name}.over_{part}"))));
    }
    graph.replace_input(&name, &x);
    let mut node_names = graph.node_names();
    nodes.iter_mut().for_each(|node| node.name = node_names.fresh(&node.name));
    graph.nodes.splice(0..0, nodes);
    let dtype = if options.bytes { DataType::Uint8 } else { DataType::Float };
    retype(&mut graph.inputs[index], dtype, outer(shape, options.layout));
    Ok(())
}

/// `[channels, 1, …]`, which broadcasts over `[batch, channels, …]` of `rank` axes; 255 times the values for bytes.
fn per_channel(values: &[f32], rank: usize, bytes: bool) -> Tensor {
    let factor = if bytes { 255.0 } else { 1.0 };
    let values: Vec<f32> = values.iter().map(|&value| (f64::from(value) * factor) as f32).collect();
    let mut dims = vec![1; rank - 1];
    dims[0] = values.len();
    Tensor::from_f32(&dims, &values)
}

fn check_channels(shape: &[Dim], options: &Normalize<'_>) -> Result<(), String> {
    let (mean, std) = (options.mean.len(), options.std.len());
    if mean != std || mean == 0 {
        return Err(format!("{mean} means and {std} standard deviations"));
    }
    match shape[1] {
        Dim::Known(channels) if mean != 1 && mean != channels => {
            return Err(format!("{mean} means for {channels} channels (axis 1)"));
        }
        // With more means than channels the result would be wider than the input.
        Dim::Symbol(_) | Dim::Unknown if mean != 1 => return Err("its number of channels (axis 1) is not known".into()),
        _ => {}
    }
    if let Some(value) = options.mean.iter().chain(options.std).find(|value| !value.is_finite()) {
        return Err(format!("a mean or standard deviation is {value}"));
    }
    // Division by a subnormal number overflows.
    match options.std.iter().find(|&&std| std < f32::MIN_POSITIVE) {
        Some(std) => Err(format!("a standard deviation is {std:?}; expected at least {:e}", f32::MIN_POSITIVE)),
        None => Ok(()),
    }
}

/// The shape that the graph's user sees.
fn outer(mut shape: Vec<Dim>, layout: Layout) -> Vec<Dim> {
    if layout == Layout::Nhwc {
        let channels = shape.remove(1);
        shape.push(channels);
    }
    shape
}

/// Operators behind which another softmax makes no sense.
const PROBABILITIES: [&str; 3] = ["Softmax", "Sigmoid", "HardSigmoid"];

/// Makes an output the softmax of what it was, over the classes, axis 1. `output` is its name; None for the only one.
///
/// # Errors
/// When the output is not named and not the only one, has no classes, is read by a subgraph, or is a probability already.
pub fn softmax(model: &mut Model, output: Option<&str>) -> Result<(), Problem> {
    if model.opset() < 13 {
        return Err(Problem::graph(format!("opset {}: softmax over one axis needs 13", model.opset())));
    }
    let graph = &mut model.graph;
    let index = find(&graph.outputs, output, "output")?;
    let name = graph.outputs[index].name.clone();
    let fault = |reason: String| Problem::graph(format!("output {name:?}: {reason}"));
    scores(&graph.outputs[index], FLOATS).map_err(fault)?;
    if let Some(node) = probability(graph, &name) {
        return Err(fault(format!("it is computed by {}: softmax would be applied to probabilities", node.describe())));
    }
    if graph.nodes.iter().any(|node| node.captured().contains(name.as_str())) {
        return Err(fault("a subgraph reads it: softmax cannot take its name".into()));
    }
    let logits = graph.names().fresh(&format!("{name}.logits"));
    let computed = graph.nodes.iter_mut().flat_map(|node| &mut node.outputs).find(|output| **output == name);
    let computed = computed.ok_or_else(|| fault("no node computes it".into()))?;
    computed.clone_from(&logits);
    graph.replace_input(&name, &logits);
    append(graph, Node::new("Softmax", &[&logits], &name).with("axis", 1));
    Ok(())
}

/// Adds the index of the class with the largest score, the first of equal ones, as an output; and its label, if labels are
/// given. `output` is the name of the scores; None for the only output.
///
/// TensorRT has no strings: an engine needs a graph without the output of labels.
///
/// # Errors
/// When the output is not named and not the only one, has no classes, or not as many as there are labels; or a label has a
/// line break.
pub fn argmax(model: &mut Model, output: Option<&str>, labels: &[String]) -> Result<Classes, Problem> {
    let graph = &mut model.graph;
    let index = find(&graph.outputs, output, "output")?;
    let name = graph.outputs[index].name.clone();
    let fault = |reason: String| Problem::graph(format!("output {name:?}: {reason}"));
    let mut shape = scores(&graph.outputs[index], FLOATS).map_err(fault)?;
    let classes = shape.remove(1);
    if !labels.is_empty() {
        check_labels(&classes, labels).map_err(fault)?;
    }
    let mut names = graph.names();
    let class = names.fresh("class");
    // Probabilities of 1 can be equal where the scores are not.
    let softmax = graph.nodes.iter().find(|node| node.is("Softmax") && node.output(0) == Some(name.as_str()));
    let softmax = softmax.filter(|node| node.int("axis", -1).is_ok_and(|axis| axis == 1));
    let scores = softmax.and_then(|node| node.input(0)).unwrap_or(&name).to_owned();
    append(graph, Node::new("ArgMax", &[&scores], &class).with("axis", 1).with("keepdims", 0));
    graph.outputs.push(Value::tensor(&class, &TensorType { dtype: DataType::Int64, shape: Some(shape.clone()) }));
    let Some(table) = Tensor::from_strings(&[labels.len()], labels).filter(|table| !table.is_empty()) else {
        return Ok(Classes { class, label: None });
    };
    let (label, constant) = (names.fresh("label"), names.fresh("labels"));
    append(graph, Node::new("Gather", &[&constant, &class], &label));
    graph.initializers.insert(constant, table);
    graph.outputs.push(Value::tensor(&label, &TensorType { dtype: DataType::String, shape: Some(shape) }));
    Ok(Classes { class, label: Some(label) })
}

/// Adds a node at the end, under a name of its own.
fn append(graph: &mut Graph, mut node: Node) {
    node.name = graph.node_names().fresh(&node.name);
    graph.nodes.push(node);
}

fn check_labels(classes: &Dim, labels: &[String]) -> Result<(), String> {
    match classes {
        Dim::Known(classes) if *classes == labels.len() => {}
        Dim::Known(classes) => return Err(format!("{} labels for {classes} classes", labels.len())),
        _ => return Err("its number of classes (axis 1) is not known: labels cannot be checked".into()),
    }
    match labels.iter().find(|label| label.contains(['\n', '\r'])) {
        Some(label) => Err(format!("label {label:?} has a line break")),
        None => Ok(()),
    }
}

/// The node that makes probabilities of the output, if one does.
fn probability<'g>(graph: &'g Graph, output: &str) -> Option<&'g Node> {
    let links = graph.links();
    let mut value = output;
    loop {
        let node = &graph.nodes[*links.producer.get(value)?];
        if PROBABILITIES.iter().any(|op| node.is(op)) {
            return Some(node);
        }
        // What leaves a distribution over classes what it is.
        let passes = kind_of(node) == Kind::View || node.is("Cast") || node.is("Transpose");
        value = node.input(0).filter(|_| passes)?;
    }
}

/// Types of scores.
const FLOATS: &[DataType] = &[DataType::Float, DataType::Float16, DataType::Bfloat16, DataType::Double];

/// Index of the value called `name`, or of the only one.
fn find(values: &[Value], name: Option<&str>, kind: &str) -> Result<usize, Problem> {
    match (name, values) {
        (None, [_]) => Ok(0),
        (None, _) => Err(Problem::graph(format!("{} {kind}s: name one", values.len()))),
        (Some(name), _) => values
            .iter()
            .position(|value| value.name == name)
            .ok_or_else(|| Problem::graph(format!("no {kind} is called {name:?}"))),
    }
}

/// The shape of a value of one of some types, with at least the axes of batch and channels, or classes.
fn scores(value: &Value, dtypes: &[DataType]) -> Result<Vec<Dim>, String> {
    let ty = value.tensor_type().ok_or("no tensor")?;
    if !dtypes.contains(&ty.dtype) {
        return Err(format!("it is {}, expected {}", crate::type_name(ty.dtype), crate::type_name(dtypes[0])));
    }
    let shape = ty.shape.ok_or("its rank is not known")?;
    if shape.len() < 2 {
        return Err(format!("it has {} axes, expected at least 2", shape.len()));
    }
    Ok(shape)
}

fn retype(value: &mut Value, dtype: DataType, shape: Vec<Dim>) {
    let doc = std::mem::take(&mut value.doc);
    *value = Value { doc, ..Value::tensor(&value.name, &TensorType { dtype, shape: Some(shape) }) };
}
