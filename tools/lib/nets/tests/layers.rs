//! Networks of layers against PyTorch: `fixtures/layers.py`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kernels::random::Random;
use nets::{Architecture, Autograd, Batch, Engine, Graph, Loss, ParameterKind, Parameters};
use serde_json::{Value, json};

fn golden() -> Value {
    serde_json::from_str(include_str!("fixtures/layers.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(1e-2f32, |largest, x| largest.max(x.abs()));
    for (i, (x, y)) in ours.iter().zip(theirs).enumerate() {
        assert!((x - y).abs() <= 1e-4 * largest, "{what}: {i}: {x}, PyTorch {y}");
    }
}

fn graph(input_shape: &[usize], layers: Value, outputs: usize) -> Result<Graph, String> {
    let layers = serde_json::from_value(layers).unwrap();
    Graph::new(Architecture { input_shape: input_shape.to_vec(), layers, outputs })
}

fn network() -> Graph {
    let layers = json!([
        {"conv": {"channels": 4, "kernel": 5, "bias": true}},
        {"norm": {}},
        {"activation": "tanh"},
        {"max_pool": {"size": 2}},
        {"residual": {"channels": 4}},
        {"residual": {"channels": 6, "stride": 2, "repeat": 2}},
        {"residual": {"channels": 8, "stride": 2, "repeat": 2, "order": "pre"}},
        {"norm": {}},
        {"activation": "relu"},
        {"average_pool": {}},
        {"linear": {}},
    ]);
    graph(&[3, 16, 16], layers, 3).unwrap()
}

#[test]
fn a_residual_network_is_pytorchs() {
    let (golden, graph) = (golden(), network());
    let mut parameters = Parameters::random(&graph, &mut Random::new(0, 0));
    let start = golden["start"].as_object().unwrap();
    assert_eq!(start.len(), graph.layout.tensors().len());
    for tensor in graph.layout.tensors() {
        parameters.values[tensor.range.clone()].copy_from_slice(&floats(&start[&tensor.name]));
    }
    let mut engine = Autograd::new(&graph, Loss::CrossEntropy { label_smoothing: 0.0 });
    let (inputs, classes) = (floats(&golden["inputs"]), floats(&golden["classes"]));
    let mut gradients = vec![f32::NAN; graph.layout.len()];
    let batch = Batch { inputs: &inputs, targets: &classes };
    let loss = engine.gradients(&mut parameters, batch, &mut gradients).unwrap();
    assert!((loss - golden["loss"].as_f64().unwrap()).abs() < 1e-5);
    for tensor in graph.layout.tensors() {
        let (name, range) = (&tensor.name, tensor.range.clone());
        if tensor.kind == ParameterKind::Statistic {
            assert_close(&parameters.values[range.clone()], &floats(&golden["after"][name]), name);
            assert!(gradients[range].iter().all(|&g| g == 0.0), "{name}");
        } else {
            assert_close(&gradients[range], &floats(&golden["gradients"][name]), &format!("gradient of {name}"));
        }
    }
    let mut outputs = Vec::new();
    engine.predict(&parameters, &inputs, &mut outputs).unwrap();
    assert_close(&outputs, &floats(&golden["outputs"]), "outputs");
}

#[test]
fn what_does_not_fit_is_told_with_its_layer() {
    let cases = [
        (json!([{"linear": {"outputs": 5}}, {"conv": {"channels": 2}}]), "layers.1: takes an image"),
        (json!([{"conv": {"channels": 2, "kernel": 99, "padding": 0}}]), "layers.0: a kernel of 99 is larger"),
        (json!([{"conv": {"channels": 0}}]), "layers.0: channels, kernel and stride are at least 1"),
        (json!([{"max_pool": {"size": 40}}]), "layers.0: squares of 40 do not fit the image, 16 × 16"),
        (json!([{"conv": {"channels": 2}}]), "the last layer gives [2, 16, 16] a row"),
        (json!([{"linear": {"outputs": 5}}]), "the last layer gives [5] a row, and the target asks for [3]"),
        (json!([{"linear": {"outputs": usize::MAX}}]), "layers.0: "),
        (json!([{"conv": {"channels": usize::MAX, "padding": usize::MAX}}]), "layers.0: "),
    ];
    for (layers, expected) in cases {
        let problem = graph(&[3, 16, 16], layers.clone(), 3).unwrap_err();
        assert!(problem.starts_with(expected), "{layers}: {problem}");
    }
}
