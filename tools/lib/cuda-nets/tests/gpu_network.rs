//! Whole networks on a machine without a GPU, against candle's autograd on the CPU.

mod machine;

use cuda_nets::{GpuEngine, Precision};
use nets::{Architecture, Autograd, Batch, Engine, Graph, Loss, Parameters};
use random::Random;
use serde_json::{Value, json};

const LOSS: Loss = Loss::CrossEntropy { label_smoothing: 0.1 };

/// A loss, gradients, the parameters after it, and predictions.
#[derive(Debug, Clone, PartialEq)]
struct Step {
    loss: f64,
    gradients: Vec<f32>,
    parameters: Vec<f32>,
    outputs: Vec<f32>,
}

fn graph(input_shape: &[usize], layers: Value, outputs: usize) -> Graph {
    let layers = serde_json::from_value(layers).expect("layers");
    Graph::new(Architecture { input_shape: input_shape.to_vec(), layers, outputs }).expect("a network")
}

fn step(engine: &mut dyn Engine, graph: &Graph, rows: usize) -> Step {
    let mut random = Random::new(3, 0);
    let mut parameters = Parameters::random(graph, &mut random);
    // Whitening, scales and statistics that are not those of the start.
    for value in &mut parameters.values {
        *value += 0.1 * random.uniform() as f32;
    }
    let inputs: Vec<f32> = (0..rows * graph.architecture.inputs()).map(|_| random.normal() as f32).collect();
    let targets: Vec<f32> = (0..rows).map(|row| (row % graph.architecture.outputs) as f32).collect();
    let mut gradients = vec![f32::NAN; parameters.values.len()];
    let loss = engine.gradients(&mut parameters, Batch::new(&inputs, &targets), &mut gradients).expect("a step");
    let mut outputs = vec![];
    engine.predict(&parameters, &inputs, &mut outputs).expect("outputs");
    Step { loss, gradients, parameters: parameters.values, outputs }
}

/// Each tensor within `tolerance` of its largest element.
fn compare(graph: &Graph, found: &Step, expected: &Step, tolerance: f32, what: &str) {
    let near = |found: &[f32], expected: &[f32], name: &str| {
        let most = expected.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
        for (i, (x, y)) in found.iter().zip(expected).enumerate() {
            assert!((x - y).abs() <= tolerance * most, "{what}: {name}[{i}] is {x}, expected {y} of {most}");
        }
    };
    assert!((found.loss - expected.loss).abs() <= f64::from(tolerance) * expected.loss, "{what}: {}", found.loss);
    near(&found.outputs, &expected.outputs, "outputs");
    for tensor in graph.layout.tensors() {
        let range = tensor.range.clone();
        near(&found.parameters[range.clone()], &expected.parameters[range.clone()], &tensor.name);
        near(&found.gradients[range.clone()], &expected.gradients[range], &format!("gradient of {}", tensor.name));
    }
}

/// Each tensor within `tolerance` by its norm: in `bf16` a maximum, and with it a gradient, may be another element's.
fn compare_norms(graph: &Graph, found: &Step, expected: &Step, tolerance: f32) {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>().sqrt();
    let near = |found: &[f32], expected: &[f32], name: &str| {
        let far = norm(&mut found.iter().zip(expected).map(|(x, y)| x - y));
        let size = norm(&mut expected.iter().copied()) + 1e-3 * (expected.len() as f32).sqrt();
        assert!(far <= tolerance * size, "bf16: {name} is {far} from {size}");
    };
    assert!((found.loss - expected.loss).abs() <= 0.01 * expected.loss, "bf16: {}", found.loss);
    near(&found.outputs, &expected.outputs, "outputs");
    for tensor in graph.layout.tensors() {
        let range = tensor.range.clone();
        near(&found.parameters[range.clone()], &expected.parameters[range.clone()], &tensor.name);
        near(&found.gradients[range.clone()], &expected.gradients[range], &format!("gradient of {}", tensor.name));
    }
}

/// In each precision, and the same bytes again; `bf16` is the tolerance there.
fn check(graph: &Graph, rows: usize, bf16: f32) {
    let Some(gpu) = machine::gpu() else { return };
    let expected = step(&mut Autograd::new(graph, LOSS), graph, rows);
    for (precision, tolerance) in [(Precision::F32, 1e-4), (Precision::Tf32, 1e-4), (Precision::Bf16, bf16)] {
        let mut engine = GpuEngine::new(&gpu, graph, LOSS, precision).expect("an engine");
        let first = step(&mut engine, graph, rows);
        match precision {
            Precision::Bf16 => compare_norms(graph, &first, &expected, tolerance),
            _ => compare(graph, &first, &expected, tolerance, &format!("{precision:?} {rows}")),
        }
        // Fewer and more rows between.
        step(&mut engine, graph, 3);
        step(&mut engine, graph, rows + 5);
        assert!(step(&mut engine, graph, rows) == first, "{precision:?}: other bytes");
    }
}

#[test]
fn a_perceptron() {
    let layers = json!([
        {"linear": {"outputs": 21}},
        {"activation": "gelu"},
        {"norm": {}},
        {"linear": {"outputs": 16}},
        {"norm": {}},
        {"activation": "sigmoid"},
        {"linear": {}},
    ]);
    check(&graph(&[10], layers, 3), 17, 0.05);
}

#[test]
fn convolutions_norms_and_residual_blocks() {
    let layers = json!([
        {"conv": {"channels": 4, "kernel": 5, "bias": true}},
        {"norm": {}},
        {"activation": "tanh"},
        {"residual": {"channels": 6, "stride": 2, "activation": "gelu", "repeat": 2}},
        {"average_pool": {"size": 3}},
        {"linear": {}},
        {"scale": 0.5},
    ]);
    check(&graph(&[3, 16, 16], layers, 3), 8, 0.1);
}

#[test]
fn blocks_whose_norms_come_first() {
    let layers = json!([
        {"conv": {"channels": 8}},
        {"residual": {"channels": 8, "activation": "tanh", "order": "pre"}},
        {"residual": {"channels": 16, "stride": 2, "activation": "sigmoid", "order": "pre", "repeat": 2}},
        {"norm": {}},
        {"activation": "gelu"},
        {"average_pool": {}},
        {"linear": {}},
    ]);
    check(&graph(&[2, 7, 5], layers, 4), 9, 0.03);
}

#[test]
fn a_whitening_layer_norms_without_scales_and_max_pooling() {
    let layers = json!([
        {"whiten": {"kernel": 2}},
        {"activation": "gelu"},
        {"conv": {"channels": 16, "init": "dirac"}},
        {"max_pool": {"size": 2}},
        {"norm": {"scale": false, "momentum": 0.4}},
        {"activation": "gelu"},
        {"conv": {"channels": 24}},
        {"norm": {"scale": false}},
        {"activation": "relu"},
        {"max_pool": {}},
        {"linear": {}},
        {"scale": 0.25},
    ]);
    check(&graph(&[3, 12, 12], layers, 5), 6, 0.2);
}

#[test]
fn no_rows_are_no_gradients() {
    let Some(gpu) = machine::gpu() else { return };
    let graph = graph(&[4], json!([{"linear": {}}]), 2);
    let mut engine = GpuEngine::new(&gpu, &graph, Loss::Mse, Precision::F32).expect("an engine");
    let mut parameters = Parameters::random(&graph, &mut Random::new(1, 0));
    let mut gradients = vec![1.0; parameters.values.len()];
    let loss = engine.gradients(&mut parameters, Batch::new(&[], &[]), &mut gradients).expect("nothing");
    assert_eq!(loss, 0.0);
    assert!(gradients.iter().all(|&gradient| gradient == 0.0));
}

/// One row in a norm: its variance is 0.
#[test]
fn one_row() {
    let Some(gpu) = machine::gpu() else { return };
    let graph = graph(&[4], json!([{"linear": {"outputs": 5}}, {"norm": {}}, {"linear": {}}]), 2);
    let mut engine = GpuEngine::new(&gpu, &graph, LOSS, Precision::F32).expect("an engine");
    let found = step(&mut engine, &graph, 1);
    let expected = step(&mut Autograd::new(&graph, LOSS), &graph, 1);
    compare(&graph, &found, &expected, 1e-4, "one row");
}
