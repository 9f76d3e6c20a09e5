//! Networks of layers against PyTorch: `fixtures/layers.py`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kernels::random::Random;
use nets::{Architecture, Autograd, Batch, Engine, Graph, Loss, ParameterKind, Parameters, Planned};
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

fn engines(graph: &Graph, loss: Loss) -> [(&'static str, Box<dyn Engine>); 2] {
    let planned = Planned::new(graph, loss).unwrap();
    [("autograd", Box::new(Autograd::new(graph, loss))), ("planned", Box::new(planned))]
}

#[test]
fn a_residual_network_is_pytorchs() {
    let (golden, graph) = (golden(), network());
    let mut start = Parameters::random(&graph, &mut Random::new(0, 0));
    let tensors = golden["start"].as_object().unwrap();
    assert_eq!(tensors.len(), graph.layout.tensors().len());
    for tensor in graph.layout.tensors() {
        start.values[tensor.range.clone()].copy_from_slice(&floats(&tensors[&tensor.name]));
    }
    let (inputs, classes) = (floats(&golden["inputs"]), floats(&golden["classes"]));
    for (engine_name, mut engine) in engines(&graph, Loss::CrossEntropy { label_smoothing: 0.0 }) {
        let mut parameters = start.clone();
        let mut gradients = vec![f32::NAN; graph.layout.len()];
        let batch = Batch { inputs: &inputs, targets: &classes };
        let loss = engine.gradients(&mut parameters, batch, &mut gradients).unwrap();
        assert!((loss - golden["loss"].as_f64().unwrap()).abs() < 1e-5, "{engine_name}");
        for tensor in graph.layout.tensors() {
            let (name, range) = (&tensor.name, tensor.range.clone());
            let what = format!("{engine_name}: {name}");
            if tensor.kind == ParameterKind::Statistic {
                assert_close(&parameters.values[range.clone()], &floats(&golden["after"][name]), &what);
                assert!(gradients[range].iter().all(|&g| g == 0.0), "{name}");
            } else {
                assert_close(&gradients[range], &floats(&golden["gradients"][name]), &what);
            }
        }
        let mut outputs = Vec::new();
        engine.predict(&parameters, &inputs, &mut outputs).unwrap();
        assert_close(&outputs, &floats(&golden["outputs"]), engine_name);
    }
}

/// Networks whose operations meet in every way that is planned apart.
fn networks() -> Vec<Graph> {
    let image = [2, 8, 8];
    [
        // Winograd's method, and a block on the network's input itself.
        json!([{"conv": {"channels": 16}}, {"residual": {"channels": 16, "repeat": 2, "activation": "tanh"}}, {"linear": {}}]),
        json!([{"residual": {"channels": 2, "order": "pre"}}, {"average_pool": {"size": 3}}, {"linear": {}}]),
        json!([{"residual": {"channels": 2}}, {"max_pool": {"size": 3}}, {"linear": {"outputs": 70}}, {"linear": {}}]),
        // Norms of the input, of features, of what a bias has moved, one after the other, and at the end.
        json!([{"norm": {}}, {"conv": {"channels": 3, "bias": true, "stride": 2}}, {"norm": {}}, {"norm": {}},
            {"activation": "sigmoid"}, {"linear": {"outputs": 5}}, {"norm": {}}, {"activation": "relu"}, {"linear": {}}, {"norm": {}}]),
        json!([{"activation": "relu"}, {"linear": {}}, {"activation": "relu"}]),
        json!([{"max_pool": {}}, {"linear": {}}]),
    ]
    .into_iter()
    .map(|layers| graph(&image, layers, 3).unwrap())
    .collect()
}

/// As close as rounding lets them be: a ReLU near 0 that another order of sums turns on moves some numbers by more.
fn assert_near(ours: &[f32], theirs: &[f32], what: &str) {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let error = norm(&mut ours.iter().zip(theirs).map(|(x, y)| x - y));
    assert!(error <= 1e-2 * norm(&mut theirs.iter().copied()).max(1e-3), "{what}: {ours:?}, autograd {theirs:?}");
}

#[test]
fn planned_gradients_are_those_of_autograd() {
    for (i, graph) in networks().iter().enumerate() {
        let mut random = Random::new(7, 0);
        let start = Parameters::random(graph, &mut random);
        let loss = Loss::CrossEntropy { label_smoothing: 0.1 };
        let (mut autograd, mut planned) = (Autograd::new(graph, loss), Planned::new(graph, loss).unwrap());
        let (mut theirs, mut ours) = (start.clone(), start.clone());
        // Batches of several sizes, twice, so that buffers hold what another left.
        for rows in [9, 8, 67, 9, 12, 10, 11, 67] {
            let inputs: Vec<f32> = (0..rows * 128).map(|_| random.normal() as f32).collect();
            let targets: Vec<f32> = (0..rows).map(|_| random.index(3) as f32).collect();
            let batch = Batch { inputs: &inputs, targets: &targets };
            let mut gradients = [vec![f32::NAN; start.values.len()], vec![f32::NAN; start.values.len()]];
            let expected = autograd.gradients(&mut theirs, batch, &mut gradients[0]).unwrap();
            let loss = planned.gradients(&mut ours, batch, &mut gradients[1]).unwrap();
            assert!((loss - expected).abs() < 1e-4, "{i}: {loss}, {expected}");
            for tensor in graph.layout.tensors() {
                let what = format!("{i}, {rows} rows: {}", tensor.name);
                assert_near(&gradients[1][tensor.range.clone()], &gradients[0][tensor.range.clone()], &what);
                assert_near(&ours.values[tensor.range.clone()], &theirs.values[tensor.range.clone()], &what);
            }
            let mut outputs = [Vec::new(), Vec::new()];
            autograd.predict(&theirs, &inputs, &mut outputs[0]).unwrap();
            planned.predict(&ours, &inputs, &mut outputs[1]).unwrap();
            assert_near(&outputs[1], &outputs[0], &format!("{i}: outputs"));
        }
    }
}

#[test]
fn threads_do_not_matter_to_a_plan() {
    let results = [1, 2, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut bytes = Vec::new();
            for graph in networks() {
                let mut random = Random::new(7, 0);
                let mut parameters = Parameters::random(&graph, &mut random);
                let inputs: Vec<f32> = (0..40 * 128).map(|_| random.normal() as f32).collect();
                let targets: Vec<f32> = (0..40).map(|_| random.index(3) as f32).collect();
                let mut gradients = vec![0.0; parameters.values.len()];
                let mut planned = Planned::new(&graph, Loss::CrossEntropy { label_smoothing: 0.0 }).unwrap();
                planned
                    .gradients(&mut parameters, Batch { inputs: &inputs, targets: &targets }, &mut gradients)
                    .unwrap();
                bytes.extend(gradients.iter().chain(&parameters.values).flat_map(|x| x.to_le_bytes()));
            }
            bytes
        })
    });
    assert!(results[0] == results[1] && results[1] == results[2]);
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
