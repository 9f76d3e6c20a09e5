//! Models in float16: which nodes, which casts, and their outputs in ONNX Runtime.

mod common;

use common::{branches, error, floats, graph, model, node, noise, operators, run};
use half::f16;
use onnx::{
    Attribute, DataType, Graph, Model, Tensor,
    fp16::{Options, Report, SENSITIVE, convert},
};

fn sensitive() -> Vec<String> {
    SENSITIVE.iter().map(ToString::to_string).collect()
}

/// Converts with the sensible defaults.
fn converted(graph: &Graph) -> (Model, Report) {
    let mut model = model(graph.clone());
    let ops = sensitive();
    let report = convert(&mut model, &Options { keep_ops: &ops, keep_nodes: &[], keep_io: true });
    (model, report.expect("a sound model"))
}

fn refusal(graph: &Graph, keep_nodes: &[&str]) -> String {
    let (ops, nodes) = (sensitive(), keep_nodes.iter().map(ToString::to_string).collect::<Vec<_>>());
    let options = Options { keep_ops: &ops, keep_nodes: &nodes, keep_io: true };
    convert(&mut model(graph.clone()), &options).expect_err("refused").to_string()
}

/// The nodes' inputs and outputs: `Relu(x)→y`.
fn calls(graph: &Graph) -> Vec<String> {
    let call = |node: &onnx::Node| format!("{}({})→{}", node.op_type, node.inputs.join(","), node.outputs.join(","));
    graph.nodes.iter().map(call).collect()
}

fn halves(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect()
}

#[test]
fn a_small_network_with_a_softmax() {
    let constants = [("w", noise(1, &[4, 2, 3, 3])), ("b", noise(2, &[4])), ("v", noise(3, &[4, 3]))];
    let mut graph = graph(&[("x", &[0, 2, 5, 5])], &[("y", &[0, 3])], &constants);
    graph.nodes = vec![
        node("Conv", &["x", "w", "b"], "c"),
        node("Relu", &["c"], "r"),
        node("GlobalAveragePool", &["r"], "p"),
        node("Flatten", &["p"], "f"),
        node("Gemm", &["f", "v"], "g"),
        node("Softmax", &["g"], "y").with("axis", 1),
    ];
    let (half, report) = converted(&graph);
    assert_eq!(
        calls(&half.graph),
        [
            "Cast(x)→x_fp16",
            "Conv(x_fp16,w,b)→c",
            "Relu(c)→r",
            "GlobalAveragePool(r)→p",
            "Flatten(p)→f",
            "Gemm(f,v)→g",
            "Cast(g)→g_fp32",
            "Softmax(g_fp32)→y"
        ]
    );
    let expected = Report { half_nodes: 5, kept_nodes: 1, casts: 2, constants: 3, ..Report::default() };
    assert_eq!(report, expected);
    assert!(half.graph.initializers.values().all(|tensor| tensor.dtype() == DataType::Float16));
    let x = noise(4, &[2, 2, 5, 5]);
    let error = error(&run(&half, &[&x])[0], &run(&model(graph), &[&x])[0]);
    assert!(error > 0.0 && error < 2e-3, "off by {error}");
}

#[test]
fn one_cast_a_value_and_a_copy_of_shared_constants() {
    let mut graph = graph(&[("x", &[0, 2])], &[("y", &[0, 2]), ("z", &[0, 2])], &[("k", floats(&[2], &[1.0, 0.1]))]);
    graph.nodes = vec![
        node("Add", &["x", "k"], "a"),
        node("Exp", &["a"], "e"),
        node("Pow", &["a", "k"], "p"),
        node("Mul", &["e", "k"], "m"),
        node("Relu", &["e"], "y"),
        node("Add", &["m", "p"], "z"),
    ];
    let (half, report) = converted(&graph);
    assert_eq!(
        calls(&half.graph),
        [
            "Cast(x)→x_fp16",
            "Add(x_fp16,k_fp16)→a",
            "Cast(a)→a_fp32",
            "Exp(a_fp32)→e",
            "Cast(e)→e_fp16",
            "Pow(a_fp32,k)→p",
            "Cast(p)→p_fp16",
            "Mul(e_fp16,k_fp16)→m",
            "Relu(e_fp16)→y_fp16",
            "Cast(y_fp16)→y",
            "Add(m,p_fp16)→z_fp16",
            "Cast(z_fp16)→z"
        ]
    );
    assert_eq!((report.casts, report.constants), (6, 1));
    assert_eq!(half.graph.initializers["k"], floats(&[2], &[1.0, 0.1]));
    assert_eq!(half.graph.initializers["k_fp16"].bytes(), halves(&[1.0, 0.1]));
    let x = noise(4, &[2, 2]);
    assert!(error(&run(&half, &[&x])[0], &run(&model(graph), &[&x])[0]) < 2e-3);
}

#[test]
fn inputs_and_outputs_in_float16_on_request() {
    let mut graph = graph(&[("x", &[0, 2])], &[("y", &[0, 2])], &[]);
    graph.nodes = vec![node("Relu", &["x"], "r"), node("Exp", &["r"], "y")];
    let mut half = model(graph.clone());
    let ops = sensitive();
    convert(&mut half, &Options { keep_ops: &ops, keep_nodes: &[], keep_io: false }).expect("a sound model");
    let expected = ["Relu(x)→r", "Cast(r)→r_fp32", "Exp(r_fp32)→y_fp32", "Cast(y_fp32)→y"];
    assert_eq!(calls(&half.graph), expected);
    let dtype = |value: &onnx::Value| value.tensor_type().map(|ty| ty.dtype);
    assert_eq!(dtype(&half.graph.inputs[0]), Some(DataType::Float16));
    assert_eq!(dtype(&half.graph.outputs[0]), Some(DataType::Float16));
    let x = Tensor::new(DataType::Float16, &[1, 2], halves(&[-1.0, 0.5])).expect("two values");
    assert_eq!(run(&half, &[&x])[0].bytes(), halves(&[1.0, 0.5f32.exp()]));
}

#[test]
fn casts_constants_and_scales_of_resize() {
    let constants = [("scales", floats(&[4], &[1.0, 1.0, 2.0, 2.0])), ("k", floats(&[1], &[0.5]))];
    let mut graph = graph(&[("x", &[1, 1, 2, 2])], &[("y", &[1, 1, 4, 4])], &constants);
    graph.inputs[0] = common::value("x", DataType::Uint8, &[1, 1, 2, 2]);
    let mut zeros = node("ConstantOfShape", &["s"], "z");
    zeros.set_tensor("value", &floats(&[1], &[0.25]));
    graph.nodes = vec![
        node("Cast", &["x"], "f").with("to", 1),
        node("Mul", &["f", "k"], "h"),
        node("Resize", &["h", "", "scales"], "r").with("mode", "nearest"),
        node("Shape", &["r"], "s"),
        zeros,
        node("Add", &["r", "z"], "y"),
    ];
    let (half, report) = converted(&graph);
    assert_eq!(
        calls(&half.graph),
        [
            "Cast(x)→f",
            "Mul(f,k)→h",
            "Resize(h,,scales)→r",
            "Shape(r)→s",
            "ConstantOfShape(s)→z",
            "Add(r,z)→y_fp16",
            "Cast(y_fp16)→y"
        ]
    );
    assert_eq!(half.graph.nodes[0].int("to", 0).expect("an integer"), 10);
    assert_eq!((half.graph.initializers["scales"].dtype(), report.constants), (DataType::Float, 1));
    let x = Tensor::new(DataType::Uint8, &[1, 1, 2, 2], vec![0, 1, 2, 255]).expect("four bytes");
    assert_eq!(run(&half, &[&x]), run(&model(graph), &[&x]));
}

#[test]
fn the_scales_of_upsample_stay_float32() {
    let constants = [("scales", floats(&[4], &[1.0, 1.0, 2.0, 2.0]))];
    let mut graph = graph(&[("x", &[1, 1, 2, 2])], &[("y", &[1, 1, 4, 4])], &constants);
    graph.nodes = vec![node("Upsample", &["x", "scales"], "y")];
    let mut half = model(graph);
    half.opsets[""] = 9;
    convert(&mut half, &Options { keep_ops: &[], keep_nodes: &[], keep_io: true }).expect("a sound model");
    assert_eq!(calls(&half.graph), ["Cast(x)→x_fp16", "Upsample(x_fp16,scales)→y_fp16", "Cast(y_fp16)→y"]);
    assert_eq!(half.graph.initializers["scales"].dtype(), DataType::Float);
}

#[test]
fn values_that_subgraphs_read_stay_float32_under_their_names() {
    let mut graph = graph(&[("i", &[0, 2])], &[("y", &[0, 2])], &[("k", floats(&[2], &[1.0, 1.0]))]);
    graph.nodes = vec![
        node("Mul", &["i", "k"], "x"),
        node("ReduceSum", &["x"], "sum").with("keepdims", 0),
        node("Greater", &["sum", "sum"], "c"),
        branches("c", "o"),
        node("Relu", &["o"], "y"),
    ];
    let (half, _) = converted(&graph);
    assert_eq!(
        calls(&half.graph),
        [
            "Cast(i)→i_fp16",
            "Mul(i_fp16,k_fp16)→x_fp16",
            "Cast(x_fp16)→x",
            "ReduceSum(x)→sum",
            "Cast(sum)→sum_fp16",
            "Greater(sum_fp16,sum_fp16)→c",
            "If(c)→o",
            "Cast(o)→o_fp16",
            "Relu(o_fp16)→y_fp16",
            "Cast(y_fp16)→y"
        ]
    );
    let x = noise(4, &[2, 2]);
    assert!(error(&run(&half, &[&x])[0], &run(&model(graph), &[&x])[0]) < 2e-3);
}

#[test]
fn what_only_moves_elements_between_float32_nodes_stays() {
    let mut graph = graph(&[("x", &[0, 2])], &[("y", &[0, 2]), ("z", &[2, 0])], &[]);
    graph.nodes = vec![
        node("Exp", &["x"], "e"),
        node("Transpose", &["e"], "t"),
        node("Identity", &["t"], "u"),
        node("Softmax", &["u"], "s"),
        node("Transpose", &["s"], "y"),
        node("Relu", &["u"], "z"),
    ];
    let (half, _) = converted(&graph);
    // "u" is also read in float16: it and what is before it are computed so.
    let expected = [
        "Exp(x)→e",
        "Cast(e)→e_fp16",
        "Transpose(e_fp16)→t",
        "Identity(t)→u",
        "Cast(u)→u_fp32",
        "Softmax(u_fp32)→s",
        "Transpose(s)→y",
        "Relu(u)→z_fp16",
        "Cast(z_fp16)→z",
    ];
    assert_eq!(calls(&half.graph), expected);
    graph.nodes.pop();
    graph.outputs.pop();
    let (half, report) = converted(&graph);
    assert_eq!(operators(&half.graph), ["Exp", "Transpose", "Identity", "Softmax", "Transpose"]);
    assert_eq!((report.casts, report.half_nodes), (0, 0));
}

#[test]
fn values_beyond_the_range() {
    let build = |op: &str, constant: Tensor| {
        let mut graph = graph(&[("x", &[0, 2])], &[("y", &[0, 2])], &[("k", constant)]);
        graph.nodes = vec![node(op, &["x", "k"], "y")];
        graph
    };
    let weights = build("Mul", floats(&[2], &[7e4, 1.0]));
    let message = "node \"y\" (Mul): 1 of the values of \"k\" exceed float16's 65504: list the node in keep_nodes";
    assert_eq!(refusal(&weights, &[]), message);
    assert_eq!(refusal(&weights, &["z"]), "keep_nodes: no node is called \"z\"");
    let mut kept = model(weights);
    let options = Options { keep_ops: &[], keep_nodes: &["y".to_owned()], keep_io: true };
    assert_eq!(convert(&mut kept, &options).expect("kept").kept_nodes, 1);
    // A mask, a bound, and an epsilon mean the same at the end of the range; small weights become zero.
    let cases = [
        ("Add", floats(&[1, 2], &[-1e9, 0.0]), [-65504.0, 0.0], (1, 0)),
        ("Min", floats(&[2], &[f32::MAX, 1.0]), [65504.0, 1.0], (1, 0)),
        ("Add", floats(&[2], &[1e-9, 1.0]), [0.0, 1.0], (0, 1)),
        ("Add", floats(&[2], &[f32::INFINITY, 1.0]), [f32::INFINITY, 1.0], (0, 0)),
    ];
    for (op, constant, expected, (clamped, flushed)) in cases {
        let (half, report) = converted(&build(op, constant));
        assert_eq!(half.graph.initializers["k"].bytes(), halves(&expected));
        assert_eq!((report.clamped, report.flushed), (clamped, flushed));
    }
    let (half, report) = converted(&build("Add", floats(&[], &[1e-12])));
    assert_eq!(half.graph.initializers["k"].bytes(), f16::from_bits(1).to_le_bytes());
    assert_eq!((report.clamped, report.flushed), (1, 0));
}

#[test]
fn an_operator_of_another_domain_stays() {
    let mut graph = graph(&[("x", &[0, 2])], &[("y", &[0, 2])], &[]);
    let mut scaler = node("Scaler", &["r"], "s");
    scaler.domain = "ai.onnx.ml".into();
    for (name, value) in [("offset", 1.0), ("scale", 2.0)] {
        let mut attribute =
            onnx::proto::AttributeProto { name: Some(name.into()), floats: vec![value], ..Default::default() };
        attribute.set_type(onnx::proto::attribute_proto::AttributeType::Floats);
        scaler.attributes.push(attribute);
    }
    graph.value_info.insert("s".into(), common::value("s", DataType::Float, &[0, 2]));
    graph.nodes = vec![node("Relu", &["x"], "r"), scaler, node("Neg", &["s"], "y")];
    let mut before = model(graph);
    before.opsets.insert("ai.onnx.ml".into(), 3);
    let mut half = before.clone();
    convert(&mut half, &Options { keep_ops: &[], keep_nodes: &[], keep_io: true }).expect("a sound model");
    assert_eq!(operators(&half.graph), ["Cast", "Relu", "Cast", "Scaler", "Cast", "Neg", "Cast"]);
    let x = floats(&[1, 2], &[3.0, -1.0]);
    assert_eq!(run(&half, &[&x])[0].to_f32(), Some(vec![-4.0, 2.0]));
}

#[test]
fn a_layer_norm_in_float16_gives_its_mean_in_float32() {
    let mut graph = graph(&[("x", &[0, 4])], &[("y", &[0, 4]), ("mean", &[0, 1])], &[("s", floats(&[4], &[1.0; 4]))]);
    let mut norm = node("LayerNormalization", &["x", "s"], "y").with("axis", Attribute::Int(-1));
    norm.outputs.push("mean".into());
    graph.nodes = vec![norm];
    let mut half = model(graph);
    convert(&mut half, &Options { keep_ops: &[], keep_nodes: &[], keep_io: true }).expect("a sound model");
    assert_eq!(calls(&half.graph), ["Cast(x)→x_fp16", "LayerNormalization(x_fp16,s)→y_fp16,mean", "Cast(y_fp16)→y"]);
    let x = floats(&[1, 4], &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(run(&half, &[&x])[1].to_f32(), Some(vec![2.5]));
}
