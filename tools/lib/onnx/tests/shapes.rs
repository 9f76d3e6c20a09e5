//! Shapes with symbols, bindings, declared types and subgraphs: what the peers of `peer_shapes.py` have no words for.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::graph_attribute;
use onnx::{
    DataType, Dim, Graph, Model, Node, Tensor, TensorType, Value,
    proto::{GraphProto, NodeProto, ValueInfoProto},
    shape::{Types, infer},
};
use std::collections::BTreeMap;

fn dims(text: &str) -> Vec<Dim> {
    let dim = |word: &str| match word {
        "?" => Dim::Unknown,
        word => word.parse().map_or_else(|_| Dim::Symbol(word.replace('_', " ")), Dim::Known),
    };
    text.split_whitespace().map(dim).collect()
}

fn float(text: &str) -> TensorType {
    TensorType { dtype: DataType::Float, shape: Some(dims(text)) }
}

/// A model over the input x.
fn model(x: &str, nodes: Vec<Node>, integers: &[(&str, &[i64])]) -> Model {
    let constants = integers.iter().map(|(name, values)| (name.to_string(), Tensor::from_i64(&[values.len()], values)));
    common::model(Graph {
        nodes,
        inputs: vec![Value::tensor("x", &float(x))],
        initializers: constants.collect(),
        ..Graph::default()
    })
}

fn types(model: &Model) -> Types {
    infer(model, &BTreeMap::new()).expect("inferred")
}

fn shape(types: &Types, name: &str) -> Vec<Dim> {
    types.get(name).and_then(|ty| ty.shape.clone()).unwrap_or_else(|| panic!("{name}"))
}

/// x → its batch → `[batch, -1]`, as exporters write a flatten.
fn flatten() -> Vec<Node> {
    vec![
        Node::new("Shape", &["x"], "s"),
        Node::new("Gather", &["s", "first"], "b").with("axis", 0),
        Node::new("Concat", &["b", "rest"], "t").with("axis", 0),
        Node::new("Reshape", &["x", "t"], "y"),
    ]
}

const FLATTEN: &[(&str, &[i64])] = &[("first", &[0]), ("rest", &[-1])];

#[test]
fn sizes_are_followed_through_computed_shapes() {
    let it = model("batch 6 4 5", flatten(), FLATTEN);
    assert_eq!(shape(&types(&it), "y"), dims("batch 120"));
    let bound = infer(&it, &BTreeMap::from([("batch".to_owned(), 8)])).unwrap();
    assert_eq!(shape(&bound, "y"), dims("8 120"));
    assert_eq!(bound.values("t"), Some(&[8, -1][..]));
    assert_eq!(types(&it).values("t"), None);
    let symbolic = model("batch channels 4 5", flatten(), FLATTEN);
    assert_eq!(shape(&types(&symbolic), "y"), dims("batch 20_*_channels"));
}

#[test]
fn symbols_survive_attention_heads() {
    let nodes = vec![
        Node::new("Reshape", &["x", "heads"], "h"),
        Node::new("Transpose", &["h"], "q").with("perm", &[0, 2, 1, 3][..]),
        Node::new("Transpose", &["h"], "k").with("perm", &[0, 2, 3, 1][..]),
        Node::new("MatMul", &["q", "k"], "scores"),
        Node::new("Softmax", &["scores"], "p"),
        Node::new("MatMul", &["p", "q"], "o"),
        Node::new("Transpose", &["o"], "t").with("perm", &[0, 2, 1, 3][..]),
        Node::new("Reshape", &["t", "joined"], "y"),
        Node::new("Add", &["y", "x"], "z"),
    ];
    let it = model("n sequence 768", nodes, &[("heads", &[0, 0, 12, 64]), ("joined", &[0, 0, 768])]);
    let types = types(&it);
    assert_eq!(shape(&types, "scores"), dims("n 12 sequence sequence"));
    assert_eq!(shape(&types, "z"), dims("n sequence 768"));
}

#[test]
fn declared_types_fill_in_and_are_checked() {
    let custom = |declared: &str| {
        let mut custom = Node::new("Mine", &["x"], "c");
        custom.domain = "mine".into();
        let mut it = model("n 3", vec![custom, Node::new("Relu", &["c"], "y")], &[]);
        it.graph.value_info.insert("c".into(), Value::tensor("c", &float(declared)));
        it
    };
    assert_eq!(types(&custom("n 5")).get("y"), Some(&float("n 5")));
    let mut known = model("n 3", vec![Node::new("Relu", &["x"], "y")], &[]);
    known.graph.outputs.push(Value::tensor("y", &float("n 4")));
    let error = infer(&known, &BTreeMap::new()).expect_err("a contradiction").to_string();
    assert_eq!(error, "node \"y\" (Relu): of \"y\" the file says float32 [n, 4], inferred [n, 3]");
    known.graph.outputs = vec![Value::tensor("y", &TensorType { dtype: DataType::Float16, shape: None })];
    let error = infer(&known, &BTreeMap::new()).expect_err("a contradiction").to_string();
    assert!(error.contains("inferred float32"), "{error}");
}

#[test]
fn a_binding_that_contradicts_a_weight_is_an_error() {
    let mut it = model("n k", vec![Node::new("MatMul", &["x", "w"], "y")], &[]);
    it.graph.initializers.insert("w".into(), Tensor::from_f32(&[4, 2], &[0.0; 8]));
    assert_eq!(shape(&types(&it), "y"), dims("n 2"));
    let bind = |size| infer(&it, &BTreeMap::from([("k".to_owned(), size)]));
    bind(4).expect("the weight's rows");
    let error = bind(5).expect_err("other than the weight's rows").to_string();
    assert!(error.starts_with("node \"y\" (MatMul): the inner dimensions differ: 5 and 4"), "{error}");
    let error = bind(1 << 40).expect_err("other than the weight's rows").to_string();
    assert!(error.contains("differ: 1099511627776 and 4"), "{error}");
}

#[test]
fn sizes_beyond_32_bits_are_exact() {
    let nodes = vec![
        Node::new("Relu", &["x"], "r"),
        Node::new("Flatten", &["r"], "f"),
        Node::new("Concat", &["f", "f"], "c").with("axis", 1),
        Node::new("Shape", &["c"], "s"),
        Node::new("Size", &["x"], "n"),
        Node::new("Add", &["s", "s"], "t"),
    ];
    let types = types(&model("2 3000000000 3", nodes.clone(), &[]));
    assert_eq!(shape(&types, "r"), dims("2 3000000000 3"));
    assert_eq!(shape(&types, "f"), dims("2 9000000000"));
    assert_eq!(shape(&types, "c"), dims("2 18000000000"));
    assert_eq!(types.values("s"), Some(&[2, 18_000_000_000][..]));
    assert_eq!((types.values("n"), types.values("t")), (Some(&[18_000_000_000][..]), Some(&[4, 36_000_000_000][..])));
    // A size that no int64 holds is a fault of the node that computes it; an element that leaves its type is not known.
    let error =
        infer(&model("2 4611686018427387904 3", nodes, &[]), &BTreeMap::new()).expect_err("too large").to_string();
    assert_eq!(
        error,
        "node \"f\" (Flatten): the output would have the shape [2, 13835058055282163712]; inputs [2, 4611686018427387904, 3]"
    );
    let nodes = vec![Node::new("Add", &["big", "big"], "sum"), Node::new("Cast", &["big"], "narrow").with("to", 6)];
    let types = infer(&model("1", nodes, &[("big", &[1 << 62])]), &BTreeMap::new()).expect("inferred");
    assert_eq!((types.values("sum"), types.values("narrow")), (None, None));
}

#[test]
fn large_sizes_that_do_not_fit_each_other_are_an_error() {
    let add = |x: &str, y: &str| {
        let mut it = model(x, vec![Node::new("Add", &["x", "z"], "y")], &[]);
        it.graph.inputs.push(Value::tensor("z", &float(y)));
        infer(&it, &BTreeMap::new()).map(|types| shape(&types, "y"))
    };
    assert_eq!(add("3000000000", "1").unwrap(), dims("3000000000"));
    assert_eq!(add("3000000000", "n").unwrap(), dims("3000000000"));
    let error = add("3000000000", "4").expect_err("two sizes").to_string();
    assert!(error.contains("the sizes 3000000000 and 4 do not broadcast"), "{error}");
    assert!(add("3000000000", "3000000001").is_err());
}

fn value(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), ..ValueInfoProto::default() }
}

fn proto(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    Node::new(op, inputs, output).to_proto()
}

#[test]
fn branches_see_outer_values_and_agree() {
    let branch = |op: &str, inputs: &[&str]| GraphProto {
        node: vec![proto(op, inputs, "o")],
        output: vec![value("o")],
        ..GraphProto::default()
    };
    let choice = |otherwise: GraphProto| {
        let mut node = Node::new("If", &["c"], "y");
        node.attributes =
            vec![graph_attribute("then_branch", branch("Relu", &["x"])), graph_attribute("else_branch", otherwise)];
        model("n 3", vec![node], &[("axes", &[0])])
    };
    assert_eq!(types(&choice(branch("Neg", &["x"]))).get("y"), Some(&float("n 3")));
    let transposed = types(&choice(branch("Transpose", &["x"])));
    assert_eq!(transposed.get("y"), Some(&float("? ?")));
    let other_rank = types(&choice(branch("Unsqueeze", &["x", "axes"])));
    assert_eq!(other_rank.get("y"), Some(&TensorType { dtype: DataType::Float, shape: None }));
}

#[test]
fn loops_collect_along_a_new_axis() {
    let body = GraphProto {
        node: vec![
            proto("Identity", &["go"], "still"),
            proto("Concat", &["s", "x"], "longer"),
            proto("Relu", &["x"], "one"),
        ],
        input: ["i", "go", "s"].map(value).to_vec(),
        output: ["still", "longer", "one"].map(value).to_vec(),
        ..GraphProto::default()
    };
    let mut node = Node::new("Loop", &["trips", "", "x"], "last");
    node.outputs.push("all".into());
    node.attributes = vec![graph_attribute("body", body)];
    let types = types(&model("n 3", vec![node], &[("trips", &[3])]));
    assert_eq!(types.get("all"), Some(&float("? n 3")));
    // The carried value grows: of its shape nothing is said but what its rule finds.
    assert_eq!(shape(&types, "last"), dims("? 3"));
}

#[test]
fn what_a_loop_carries_may_be_what_it_starts_from() {
    let body = GraphProto {
        node: vec![proto("Identity", &["go"], "still"), proto("Shape", &["x"], "sizes")],
        input: ["i", "go", "s"].map(value).to_vec(),
        output: ["still", "sizes"].map(value).to_vec(),
        ..GraphProto::default()
    };
    let mut node = Node::new("Loop", &["trips", "", "start"], "last");
    node.attributes = vec![graph_attribute("body", body)];
    let types = types(&model("7 3", vec![node], &[("trips", &[0]), ("start", &[1, 2, 3])]));
    assert_eq!((shape(&types, "last"), types.values("last")), (dims("?"), None));
}
