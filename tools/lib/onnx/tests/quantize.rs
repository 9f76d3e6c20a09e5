//! Graphs worked by hand: which values are quantized, along which axes, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use onnx::{
    DataType, Graph, Model, Node, Tensor, TensorType, Value,
    quantize::{Activations, Options, Ranges, Report, Target, observed, quantize},
};

/// A model over float32 inputs and outputs of any rank.
fn model(inputs: &[&str], nodes: Vec<Node>, constants: &[(&str, Tensor)], outputs: &[&str]) -> Model {
    let ty = TensorType { dtype: DataType::Float, shape: None };
    let values = |names: &[&str]| names.iter().map(|name| Value::tensor(name, &ty)).collect();
    common::model(Graph {
        nodes,
        inputs: values(inputs),
        outputs: values(outputs),
        initializers: constants.iter().map(|(name, tensor)| ((*name).into(), tensor.clone())).collect(),
        ..Graph::default()
    })
}

fn ones(dims: &[usize]) -> Tensor {
    Tensor::from_f32(dims, &vec![1.0; dims.iter().product()])
}

fn conv(input: &str, output: &str) -> Node {
    Node::new("Conv", &[input, "w"], output)
}

/// Quantizes with the range -1 to 1 for all values.
fn quantized(mut model: Model, options: &Options) -> (Model, Report) {
    let values = observed(&model, options).unwrap();
    let ranges: Ranges = values.into_iter().map(|value| (value, (-1.0, 1.0))).collect();
    let report = quantize(&mut model, &ranges, options).unwrap();
    assert_eq!(Model::from_bytes("again", &model.to_bytes()).unwrap().graph.nodes, model.graph.nodes, "sorted");
    (model, report)
}

fn quantized_by_default(model: Model) -> (Model, Report) {
    quantized(model, &Options::new(Target::OnnxRuntime))
}

fn node<'a>(model: &'a Model, output: &str) -> &'a Node {
    model.graph.nodes.iter().find(|node| node.outputs.iter().any(|name| name == output)).unwrap()
}

fn scales(model: &Model, value: &str) -> Vec<f32> {
    model.graph.initializers[&format!("{value}_scale")].to_f32().unwrap()
}

#[test]
fn axes_are_those_of_output_channels() {
    let weights = [
        ("conv.w", ones(&[2, 3, 1, 1])),
        ("up.w", ones(&[3, 2, 1, 1])),
        ("gemm.w", ones(&[3, 4])),
        ("gemm_t.w", ones(&[4, 3])),
    ];
    let nodes = vec![
        Node::new("Conv", &["x", "conv.w"], "a"),
        Node::new("ConvTranspose", &["x", "up.w"], "b"),
        Node::new("Gemm", &["y", "gemm.w"], "c"),
        Node::new("Gemm", &["y", "gemm_t.w"], "d").with("transB", 1),
        Node::new("MatMul", &["y", "gemm.w"], "e"),
    ];
    let plain = model(&["x", "y"], nodes, &weights, &["a", "b", "c", "d", "e"]);
    let (model, report) = quantized(plain, &Options::new(Target::OnnxRuntime));
    for (weight, axis, channels) in [("conv.w", 0, 2), ("up.w", 1, 2), ("gemm.w", 1, 4), ("gemm_t.w", 0, 4)] {
        assert_eq!(scales(&model, weight).len(), channels, "{weight}");
        let node = node(&model, &format!("{weight}_dequantized"));
        assert_eq!(node.attribute("axis").map(|it| it.i()), Some(axis), "{weight}: written, for its default is 1");
        assert_eq!(model.graph.initializers[&format!("{weight}_quantized")].dtype(), DataType::Int8);
        assert!(!model.graph.initializers.contains_key(weight));
    }
    assert_eq!(node(&model, "c_real").inputs[1], node(&model, "e_real").inputs[1], "one weight, two layers");
    assert_eq!((report.quantized.len(), report.left.len()), (5, 0));
    assert!(report.bytes_after < report.bytes_before);
}

#[test]
fn nothing_is_quantized_between_a_layer_and_its_activation() {
    let nodes = || vec![conv("x", "a"), Node::new("Relu", &["a"], "b"), conv("b", "c")];
    let weights = [("w", ones(&[1, 1, 1, 1]))];
    let plain = model(&["x"], nodes(), &weights, &["c"]);
    assert_eq!(observed(&plain, &Options::new(Target::OnnxRuntime)).unwrap(), ["x", "b", "c"]);
    let (quantized, _) = quantized(plain, &Options::new(Target::OnnxRuntime));
    assert_eq!(node(&quantized, "b").inputs, ["x_dequantized", "w_dequantized"], "saturation stands for the Relu");
    let twice = vec![conv("x", "a"), Node::new("Relu", &["a"], "b"), Node::new("Clip", &["b"], "c")];
    let (twice, _) = quantized_by_default(model(&["x"], twice, &weights, &["c"]));
    assert_eq!(twice.graph.nodes.iter().filter(|node| !node.op_type.ends_with("Linear")).count(), 1);
    assert!(node(&twice, "c_real").is("Conv"));
    // If something else reads the layer's output, both are quantized.
    let shown = model(&["x"], nodes(), &weights, &["a", "c"]);
    assert_eq!(observed(&shown, &Options::new(Target::OnnxRuntime)).unwrap(), ["x", "a", "b", "c"]);
}

#[test]
fn outputs_of_the_graph_keep_their_names() {
    let plain = model(&["x"], vec![conv("x", "y")], &[("w", ones(&[1, 1, 1, 1]))], &["y"]);
    let (model, _) = quantized(plain, &Options::new(Target::OnnxRuntime));
    assert!(node(&model, "y").is("DequantizeLinear"));
    assert!(node(&model, "y_real").is("Conv"));
    assert_eq!(scales(&model, "y"), [2.0 / 255.0]);
    let zero_point = &model.graph.initializers["y_zero_point"];
    assert_eq!((zero_point.dtype(), zero_point.bytes()), (DataType::Uint8, &[128][..]), "127.5, to even");
}

/// `x → conv → relu → conv → + x → relu`, and a block whose shortcut is a convolution; `w` is shared.
fn residual() -> Model {
    let nodes = vec![
        conv("x", "a"),
        Node::new("Relu", &["a"], "b"),
        conv("b", "main1"),
        Node::new("Add", &["main1", "x"], "sum1"),
        Node::new("Relu", &["sum1"], "block1"),
        conv("block1", "c"),
        conv("c", "main2"),
        conv("block1", "projection"),
        Node::new("Add", &["projection", "main2"], "sum2"),
        Node::new("Relu", &["sum2"], "block2"),
        Node::new("GlobalAveragePool", &["block2"], "y"),
    ];
    model(&["x"], nodes, &[("w", ones(&[1, 1, 1, 1]))], &["y"])
}

#[test]
fn tensorrt_reads_integers_on_the_shortcut_of_an_addition_alone() {
    let (model, report) = quantized(residual(), &Options::new(Target::TensorRt));
    assert_eq!(node(&model, "sum1").inputs, ["main1", "x_dequantized"]);
    assert_eq!(node(&model, "sum2").inputs, ["projection_dequantized", "main2"], "the longer branch is the main one");
    assert_eq!(node(&model, "block1").inputs, ["sum1"]);
    assert_eq!(node(&model, "y").inputs, ["block2_dequantized"]);
    for (name, tensor) in model.graph.initializers.iter().filter(|(name, _)| name.ends_with("_zero_point")) {
        assert!(tensor.dtype() == DataType::Int8 && tensor.bytes().iter().all(|&byte| byte == 0), "{name}");
    }
    assert_eq!(scales(&model, "x"), [1.0 / 127.0]);
    assert_eq!(report.left.len(), 3, "the Relus: {:?}", report.left);
}

#[test]
fn onnx_runtime_reads_integers_on_both_sides_of_an_addition() {
    let (model, report) = quantized(residual(), &Options::new(Target::OnnxRuntime));
    assert_eq!(node(&model, "block1").inputs, ["main1_dequantized", "x_dequantized"], "Add and Relu are fused");
    assert!(!model.graph.nodes.iter().any(|node| node.is("Relu")));
    assert_eq!(report.left, []);
}

#[test]
fn biases_are_integers_for_onnx_runtime_alone() {
    let bias = ("b", Tensor::from_f32(&[1], &[0.5]));
    let nodes = vec![Node::new("Conv", &["x", "w", "b"], "y")];
    let plain = model(&["x"], nodes, &[("w", ones(&[1, 1, 1, 1])), bias], &["y"]);
    let (integers, _) = quantized(plain.clone(), &Options::new(Target::OnnxRuntime));
    let stored = &integers.graph.initializers["b_quantized"];
    // 0.5 / (2/255 × 1/127)
    assert_eq!((stored.dtype(), stored.to_i64().unwrap()), (DataType::Int32, vec![8096]));
    let (floats, _) = quantized(plain, &Options::new(Target::TensorRt));
    assert_eq!(node(&floats, "y").inputs[2], "b");
}

#[test]
fn a_bias_of_two_dimensions_stays_and_so_does_its_gemm() {
    let gemm = |bias: &[usize]| {
        let constants = [("w", ones(&[3, 4])), ("b", ones(bias))];
        let model = model(&["x"], vec![Node::new("Gemm", &["x", "w", "b"], "y")], &constants, &["y"]);
        quantized(model, &Options::new(Target::OnnxRuntime))
    };
    let (_, report) = gemm(&[2, 4]);
    assert!(report.quantized.is_empty() && report.left[0].reason.contains("[2, 4]"), "{report:?}");
    let (model, _) = gemm(&[1, 4]);
    assert_eq!(model.graph.initializers["b_quantized"].dims(), [4], "one row is one value a channel");
}

#[test]
fn factors_of_a_gemm_move_into_its_integers() {
    let constants = [("w", ones(&[1, 2])), ("b", ones(&[2]))];
    let gemm = Node::new("Gemm", &["x", "w", "b"], "y").with("alpha", 0.5f32).with("beta", 3f32);
    let plain = model(&["x"], vec![gemm], &constants, &["y"]);
    let (model, _) = quantized(plain, &Options::new(Target::OnnxRuntime));
    assert_eq!(node(&model, "y_real").attributes, []);
    assert_eq!(scales(&model, "w"), [0.5 / 127.0; 2]);
    let scale = f64::from((2.0f32 / 255.0) * (0.5 / 127.0));
    let bias = model.graph.initializers["b_quantized"].to_i64().unwrap()[0] as f64 * scale;
    assert!((bias - 3.0).abs() < 1e-4, "{bias}");
}

#[test]
fn what_follows_a_cast_to_float_is_quantized() {
    let mut nodes = residual().graph.nodes;
    nodes.insert(0, Node::new("Cast", &["bytes"], "x").with("to", 1));
    let mut plain = model(&["bytes"], nodes, &[("w", ones(&[1, 1, 1, 1]))], &["y"]);
    let bytes = TensorType { dtype: DataType::Uint8, shape: None };
    plain.graph.inputs = vec![Value::tensor("bytes", &bytes)];
    let (_, report) = quantized_by_default(plain);
    assert_eq!(report.left.len(), 1, "the Cast: {:?}", report.left);
}

#[test]
fn operands_that_are_constant_have_the_range_of_their_elements() {
    let constants = [("w", ones(&[1, 1, 1, 1])), ("shift", Tensor::from_f32(&[3], &[-1.0, 0.0, 1.55]))];
    let nodes = vec![conv("x", "a"), Node::new("Add", &["a", "shift"], "b"), Node::new("Mul", &["b", "shift"], "y")];
    let (model, _) = quantized(model(&["x"], nodes, &constants, &["y"]), &Options::new(Target::OnnxRuntime));
    assert_eq!(model.graph.initializers["shift_quantized"].bytes(), [0, 100, 255]);
    assert_eq!(scales(&model, "shift"), [0.01]);
    assert_eq!(node(&model, "b").inputs[1], node(&model, "y_real").inputs[1]);
}

#[test]
fn what_is_excluded_stays_in_float32_with_its_reason() {
    let nodes = vec![conv("x", "a"), conv("a", "b"), conv("b", "c"), Node::new("Softmax", &["c"], "y")];
    let mut plain = model(&["x"], nodes, &[("w", ones(&[1, 1, 1, 1]))], &["y"]);
    let left =
        |options: &Options| quantized(plain.clone(), options).1.left.into_iter().map(|left| left.reason).collect();
    let options = Options::new(Target::OnnxRuntime);
    let reasons: Vec<String> = left(&Options { keep_first: true, keep_last: true, ..options.clone() });
    assert_eq!(reasons.len(), 3);
    assert!(reasons[0].contains("first layer") && reasons[1].contains("last layer") && reasons[2].contains("kernel"));
    let reasons: Vec<String> = left(&Options { exclude_nodes: vec!["b".into()], ..options.clone() });
    assert_eq!(reasons[0], "excluded by name");
    let reasons: Vec<String> = left(&Options { exclude_ops: vec!["Conv".into()], ..options.clone() });
    assert_eq!(reasons.len(), 4);
    let nameless = Options { exclude_nodes: vec!["z".into()], ..options.clone() };
    assert!(observed(&plain, &nameless).unwrap_err().to_string().contains("\"z\""));
    plain.opsets[""] = 12;
    assert!(observed(&plain, &options).unwrap_err().to_string().contains("opset 12"));
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let options = Options::new(Target::OnnxRuntime);
    let mut plain = model(&["x"], vec![conv("x", "y")], &[("w", ones(&[1, 1, 1, 1]))], &["y"]);
    let before = plain.clone();
    let missing = quantize(&mut plain, &Ranges::default(), &options).unwrap_err().to_string();
    assert!(missing.contains("\"x\"") && missing.contains("range"), "{missing}");
    assert_eq!(plain, before);
    let wrong = Options { activations: Activations::Uint8, ..Options::new(Target::TensorRt) };
    assert!(observed(&plain, &wrong).is_err());
    let (twice, _) = quantized(plain.clone(), &options);
    assert!(observed(&twice, &options).unwrap_err().to_string().contains("already"));
    plain.graph.initializers.insert("w".into(), Tensor::from_f32(&[1, 1, 1, 1], &[f32::NAN]));
    let ranges: Ranges = ["x", "y"].map(|value| (value.into(), (0.0, 1.0))).into_iter().collect();
    assert!(quantize(&mut plain, &ranges, &options).unwrap_err().to_string().contains("NaN"));
}

#[test]
fn a_range_of_zero_has_the_scale_one() {
    let mut plain = model(&["x"], vec![conv("x", "y")], &[("w", ones(&[1, 1, 1, 1]))], &["y"]);
    let ranges: Ranges = ["x", "y"].map(|value| (value.into(), (0.0, 0.0))).into_iter().collect();
    quantize(&mut plain, &ranges, &Options::new(Target::OnnxRuntime)).unwrap();
    assert_eq!(scales(&plain, "x"), [1.0]);
}
