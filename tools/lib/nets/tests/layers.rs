//! Networks of layers against PyTorch: `fixtures/layers.py`, `fixtures/speednet.py`, `fixtures/dirac.py`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use nets::{
    Architecture, ArchitectureError, Autograd, Batch, Engine, Fused, Graph, Loss, ParamGroups, ParameterKind,
    Parameters,
    graph::{self, Op},
};
use optim::{Algorithm, Optimizer};
use random::Random;
use serde_json::{Value, json};
use testkit::reference::floats;

fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(1e-2f32, |largest, x| largest.max(x.abs()));
    for (i, (x, y)) in ours.iter().zip(theirs).enumerate() {
        assert!((x - y).abs() <= 1e-4 * largest, "{what}: {i}: {x}, PyTorch {y}");
    }
}

fn graph(input_shape: &[usize], layers: Value, outputs: usize) -> Result<Graph, ArchitectureError> {
    let layers = serde_json::from_value(layers).unwrap();
    Graph::new(Architecture { input_shape: input_shape.to_vec(), layers, outputs })
}

fn residual_network() -> Graph {
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

/// A network most of whose convolutions are Winograd's, which do the work of the norms beside them.
fn network_of_blocks() -> Graph {
    let layers = json!([
        {"conv": {"channels": 8}},
        {"norm": {}},
        {"activation": "relu"},
        {"residual": {"channels": 8}},
        {"residual": {"channels": 16}},
        {"conv": {"channels": 8}},
        {"norm": {}},
        {"conv": {"channels": 8}},
        {"norm": {}},
        {"activation": "relu"},
        {"average_pool": {}},
        {"linear": {}},
    ]);
    graph(&[3, 8, 8], layers, 3).unwrap()
}

/// As [`residual_network`], with what a quick one has: whitening, GELU, norms without a factor, a scale.
fn whitened_network() -> Graph {
    let norm = json!({"scale": false, "momentum": 0.4, "eps": 1e-12});
    let layers = json!([
        {"whiten": {"eps": 5e-2}},
        {"activation": "gelu"},
        {"conv": {"channels": 4}},
        {"max_pool": {"size": 2}},
        {"norm": norm},
        {"activation": "gelu"},
        {"residual": {"channels": 4, "activation": "gelu", "norm": norm}},
        {"max_pool": {"size": 3}},
        {"linear": {}},
        {"scale": 0.3},
    ]);
    graph(&[3, 13, 13], layers, 3).unwrap()
}

fn engines(graph: &Graph, loss: Loss) -> [(&'static str, Box<dyn Engine>); 2] {
    let fused = Fused::new(graph, loss).unwrap();
    [("autograd", Box::new(Autograd::new(graph, loss))), ("fused", Box::new(fused))]
}

#[test]
fn a_residual_network_is_pytorchs() {
    assert_is_pytorchs(&residual_network(), include_str!("fixtures/layers.json"));
}

#[test]
fn a_network_of_blocks_is_pytorchs() {
    assert_is_pytorchs(&network_of_blocks(), include_str!("fixtures/blocks.json"));
}

#[test]
fn a_whitened_network_is_pytorchs() {
    assert_is_pytorchs(&whitened_network(), include_str!("fixtures/speednet.json"));
}

/// Gradients, statistics after a batch, and then outputs.
fn assert_is_pytorchs(graph: &Graph, golden: &str) {
    let golden: Value = serde_json::from_str(golden).unwrap();
    let mut start = Parameters::random(graph, &mut Random::new(0, 0));
    let tensors = golden["start"].as_object().unwrap();
    assert_eq!(tensors.len(), graph.layout.tensors().len());
    for tensor in graph.layout.tensors() {
        start.values[tensor.range.clone()].copy_from_slice(&floats(&tensors[&tensor.name]));
    }
    let (inputs, classes) = (floats(&golden["inputs"]), floats(&golden["classes"]));
    for (engine_name, mut engine) in engines(graph, Loss::CrossEntropy { label_smoothing: 0.0 }) {
        let mut parameters = start.clone();
        let mut gradients = vec![f32::NAN; graph.layout.len()];
        let batch = Batch::new(&inputs, &classes);
        let loss = engine.gradients(&mut parameters, batch, &mut gradients).unwrap();
        assert!((loss - golden["loss"].as_f64().unwrap()).abs() < 1e-5, "{engine_name}");
        for tensor in graph.layout.tensors() {
            let (name, range) = (&tensor.name, tensor.range.clone());
            let what = format!("{engine_name}: {name}");
            if tensor.kind.is_trainable() {
                assert_close(&gradients[range], &floats(&golden["gradients"][name]), &what);
                continue;
            }
            assert!(gradients[range.clone()].iter().all(|&g| g == 0.0), "{what}");
            match tensor.kind {
                ParameterKind::Frozen => assert_eq!(parameters.values[range.clone()], start.values[range], "{what}"),
                _ => assert_close(&parameters.values[range], &floats(&golden["after"][name]), &what),
            }
        }
        let mut outputs = Vec::new();
        engine.predict(&parameters, &inputs, &mut outputs).unwrap();
        assert_close(&outputs, &floats(&golden["outputs"]), engine_name);
    }
}

/// Networks whose operations meet in every way that is planned apart.
fn networks() -> Vec<Graph> {
    let image = [2, 8, 12];
    [
        // Winograd's method, and a block on the network's input itself.
        json!([{"conv": {"channels": 16}}, {"residual": {"channels": 16, "repeat": 2, "activation": "tanh"}}, {"linear": {}}]),
        json!([{"conv": {"channels": 8}}, {"conv": {"channels": 8, "bias": true}}, {"norm": {}}, {"average_pool": {}}, {"linear": {}}]),
        json!([{"conv": {"channels": 8}}, {"norm": {}}, {"conv": {"channels": 24}}, {"norm": {}}, {"average_pool": {}}, {"linear": {}}]),
        json!([{"residual": {"channels": 2, "order": "pre"}}, {"average_pool": {"size": 3}}, {"linear": {}}]),
        json!([{"residual": {"channels": 2}}, {"max_pool": {"size": 3}}, {"linear": {"outputs": 70}}, {"linear": {}}]),
        // Norms of the input, of features, of what a bias has moved, one after the other, and at the end.
        json!([{"norm": {}}, {"conv": {"channels": 3, "bias": true, "stride": 2}}, {"norm": {}}, {"norm": {}},
            {"activation": "sigmoid"}, {"linear": {"outputs": 5}}, {"norm": {}}, {"activation": "relu"}, {"linear": {}}, {"norm": {}}]),
        json!([{"activation": "relu"}, {"linear": {}}, {"activation": "relu"}]),
        json!([{"max_pool": {}}, {"linear": {}}]),
        // Activations fused into convolutions and linear layers, whose input is flattened.
        json!([{"conv": {"channels": 6, "kernel": 5, "padding": 0, "bias": true}}, {"activation": "relu"}, {"max_pool": {"size": 2}},
            {"conv": {"channels": 16, "bias": true}}, {"activation": "tanh"}, {"conv": {"channels": 16}}, {"activation": "sigmoid"},
            {"conv": {"channels": 8, "bias": true}}, {"activation": "gelu"}, {"linear": {"outputs": 70}}, {"activation": "relu"},
            {"linear": {"outputs": 9}}, {"linear": {}}]),
        json!([{"conv": {"channels": 16}}, {"activation": "relu"}, {"norm": {}}, {"conv": {"channels": 16, "bias": true}}, {"activation": "relu"},
            {"norm": {}}, {"activation": "relu"}, {"average_pool": {}}, {"linear": {"outputs": 300}}, {"activation": "tanh"}, {"linear": {}},
            {"activation": "sigmoid"}]),
        json!([{"linear": {"outputs": 10}}, {"activation": "relu"}, {"linear": {"outputs": 20}}, {"activation": "sigmoid"}, {"linear": {}}]),
        json!([{"linear": {"outputs": 700}}, {"activation": "gelu"}, {"linear": {"outputs": 30}}, {"norm": {}}, {"linear": {}}]),
        // Frozen and trainable parameters.
        json!([{"whiten": {}}, {"activation": "gelu"}, {"norm": {"scale": false}}, {"activation": "relu"},
            {"scale": -0.5}, {"residual": {"channels": 16, "activation": "gelu"}}, {"linear": {}}, {"scale": 3.0}]),
    ]
    .into_iter()
    .map(|layers| graph(&image, layers, 3).unwrap())
    .collect()
}

/// Networks whose norms leave work to the convolutions beside them: in blocks with and without a convolution in the
/// shortcut, before either or after both, with many channels, where another padding or a bias is in the way.
fn networks_of_blocks() -> Vec<Graph> {
    let image = [2, 8, 8];
    [
        json!([{"conv": {"channels": 8}}, {"norm": {}}, {"activation": "relu"}, {"residual": {"channels": 8, "repeat": 2}},
            {"residual": {"channels": 24, "repeat": 2}}, {"residual": {"channels": 16, "stride": 2}}, {"average_pool": {}}, {"linear": {}}]),
        json!([{"conv": {"channels": 8}}, {"conv": {"channels": 16}}, {"residual": {"channels": 16, "repeat": 2, "order": "pre"}}, {"norm": {}},
            {"conv": {"channels": 16}}, {"norm": {}}, {"conv": {"channels": 8, "bias": true}}, {"norm": {}}, {"activation": "relu"},
            {"conv": {"channels": 8, "padding": 0}}, {"norm": {}}, {"activation": "relu"}, {"linear": {}}]),
        json!([{"norm": {}}, {"activation": "relu"}, {"conv": {"channels": 136}}, {"norm": {}}, {"activation": "relu"},
            {"conv": {"channels": 136}}, {"norm": {}}, {"activation": "relu"}, {"average_pool": {}}, {"linear": {}}]),
    ]
    .into_iter()
    .map(|layers| graph(&image, layers, 3).unwrap())
    .collect()
}

/// A block of one convolution, which no layer makes: what the norm's sum adds is what the convolution reads.
fn short_block() -> Graph {
    let layers = json!([{"conv": {"channels": 8}}, {"conv": {"channels": 8}}, {"norm": {}}, {"activation": "tanh"},
        {"average_pool": {}}, {"linear": {}}]);
    let mut graph = graph(&[2, 8, 8], layers, 3).unwrap();
    graph.nodes[3].op = Op::Add;
    graph.nodes[3].inputs = vec![graph::Value::Node(2), graph::Value::Node(0)];
    graph
}

/// How near rounding lets gradients be. A ReLU near 0 that another order of sums turns on moves many numbers: there may
/// be some of those where a network has many.
const NEAR: [f64; 2] = [1e-2, 1e-1];

fn assert_near(ours: &[f32], theirs: &[f32], tolerance: f64, what: &str) {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let error = norm(&mut ours.iter().zip(theirs).map(|(x, y)| x - y));
    let bound = tolerance * norm(&mut theirs.iter().copied()).max(1e-3);
    assert!(error <= bound, "{what}: {ours:?}, autograd {theirs:?}");
}

#[test]
fn fused_gradients_are_those_of_autograd() {
    let networks = networks().into_iter().chain([short_block()]).map(|graph| (graph, NEAR[0]));
    let networks = networks.chain(networks_of_blocks().into_iter().map(|graph| (graph, NEAR[1])));
    for (i, (graph, near)) in networks.enumerate() {
        let graph = &graph;
        let mut random = Random::new(7, 0);
        let mut start = Parameters::random(graph, &mut random);
        start.whiten(graph, &(0..9 * graph.architecture.inputs()).map(|_| random.normal() as f32).collect::<Vec<_>>());
        let loss = Loss::CrossEntropy { label_smoothing: 0.1 };
        let (mut autograd, mut fused) = (Autograd::new(graph, loss), Fused::new(graph, loss).unwrap());
        let (mut theirs, mut ours) = (start.clone(), start.clone());
        // Batches of several sizes, twice, so that buffers hold what another left.
        for rows in [9, 8, 67, 9, 12, 10, 11, 67] {
            let inputs: Vec<f32> = (0..rows * graph.architecture.inputs()).map(|_| random.normal() as f32).collect();
            let targets: Vec<f32> = (0..rows).map(|_| random.index(3) as f32).collect();
            let weights: Vec<f32> = (0..rows).map(|i| (i % 5) as f32 / 2.0).collect();
            let mut batch = Batch::new(&inputs, &targets);
            if rows % 4 == 0 {
                batch = Batch { weights: &weights, class_weights: &[0.5, 1.0, 3.0], ..batch };
            }
            let mut gradients = [vec![f32::NAN; start.values.len()], vec![f32::NAN; start.values.len()]];
            let expected = autograd.gradients(&mut theirs, batch, &mut gradients[0]).unwrap();
            let loss = fused.gradients(&mut ours, batch, &mut gradients[1]).unwrap();
            assert!((loss - expected).abs() < 1e-4, "{i}: {loss}, {expected}");
            for tensor in graph.layout.tensors() {
                let what = format!("{i}, {rows} rows: {}", tensor.name);
                assert_near(&gradients[1][tensor.range.clone()], &gradients[0][tensor.range.clone()], near, &what);
                assert_near(&ours.values[tensor.range.clone()], &theirs.values[tensor.range.clone()], near, &what);
            }
            let mut outputs = [Vec::new(), Vec::new()];
            autograd.predict(&theirs, &inputs, &mut outputs[0]).unwrap();
            fused.predict(&ours, &inputs, &mut outputs[1]).unwrap();
            assert_near(&outputs[1], &outputs[0], near, &format!("{i}: outputs"));
        }
    }
}

#[test]
fn threads_do_not_matter_to_a_plan() {
    let results = [1, 2, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut bytes = Vec::new();
            for graph in networks().into_iter().chain(networks_of_blocks()) {
                let mut random = Random::new(7, 0);
                let mut parameters = Parameters::random(&graph, &mut random);
                let inputs: Vec<f32> = (0..40 * graph.architecture.inputs()).map(|_| random.normal() as f32).collect();
                let targets: Vec<f32> = (0..40).map(|_| random.index(3) as f32).collect();
                let mut gradients = vec![0.0; parameters.values.len()];
                let mut fused = Fused::new(&graph, Loss::CrossEntropy { label_smoothing: 0.0 }).unwrap();
                fused.gradients(&mut parameters, Batch::new(&inputs, &targets), &mut gradients).unwrap();
                bytes.extend(gradients.iter().chain(&parameters.values).flat_map(|x| x.to_le_bytes()));
            }
            bytes
        })
    });
    assert!(results[0] == results[1] && results[1] == results[2]);
}

#[test]
fn a_whitening_is_measured_on_images() {
    let golden: Value = serde_json::from_str(include_str!("fixtures/speednet.json")).unwrap();
    let graph = whitened_network();
    let (_, weight) = graph.whitening().unwrap();
    let mut parameters = Parameters::random(&graph, &mut Random::new(0, 0));
    let before = parameters.clone();
    parameters.whiten(&graph, &floats(&golden["inputs"]));
    assert_close(parameters.tensor(weight), &floats(&golden["start"]["layers.0.weight"]), "whitening");
    let moved: Vec<_> =
        (0..graph.layout.tensors().len()).filter(|&i| parameters.tensor(i) != before.tensor(i)).collect();
    assert_eq!(moved, [weight]);
    // An image of one color has no variance, and with eps 0 no features.
    let flat = json!([{"whiten": {"eps": 0.0}}, {"linear": {}}]);
    let graph = self::graph(&[1, 4, 4], flat, 1).unwrap();
    let mut parameters = Parameters::random(&graph, &mut Random::new(0, 0));
    parameters.whiten(&graph, &[3.0; 32]);
    assert!(parameters.values.iter().all(|x| x.is_finite()));
}

#[test]
fn a_partial_identity_is_pytorchs() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("fixtures/dirac.json")).unwrap();
    for case in golden {
        let shape: [usize; 4] = serde_json::from_value(case["shape"].clone()).unwrap();
        let ones: Vec<usize> = serde_json::from_value(case["ones"].clone()).unwrap();
        let [outputs, inputs, kernel, _] = shape;
        let weights = ["dirac", "kaiming"].map(|init| {
            let conv = json!({"conv": {"channels": outputs, "kernel": kernel, "init": init}});
            let graph = graph(&[inputs, 9, 9], json!([conv, {"average_pool": {}}]), outputs).unwrap();
            Parameters::random(&graph, &mut Random::new(3, 0)).values
        });
        let identity = outputs.min(inputs) * inputs * kernel * kernel;
        for (i, (&dirac, &kaiming)) in weights[0].iter().zip(&weights[1]).enumerate() {
            let expected = if i < identity { f32::from(u8::from(ones.contains(&i))) } else { kaiming };
            assert_eq!(dirac, expected, "{shape:?}: {i}");
            assert!(kaiming != 0.0);
        }
    }
}

#[test]
fn a_partial_identity_passes_channels_on() {
    let layers = json!([{"conv": {"channels": 5, "init": "dirac"}}, {"conv": {"channels": 7, "init": "dirac"}},
        {"max_pool": {}}]);
    let graph = graph(&[2, 6, 6], layers, 7).unwrap();
    let mut random = Random::new(5, 0);
    let parameters = Parameters::random(&graph, &mut random);
    let image: Vec<f32> = (0..2 * 36).map(|_| random.normal() as f32).collect();
    let greatest: Vec<f32> = image.chunks(36).map(|channel| channel.iter().copied().fold(f32::MIN, f32::max)).collect();
    for (name, mut engine) in engines(&graph, Loss::Mse) {
        let mut outputs = Vec::new();
        engine.predict(&parameters, &image, &mut outputs).unwrap();
        assert_close(&outputs[..2], &greatest, name);
        assert!((2..7).all(|i| !greatest.contains(&outputs[i])), "{name}: {outputs:?}");
    }
}

#[test]
fn frozen_parameters_are_in_no_param_group() {
    let graph = whitened_network();
    let layout = &graph.layout;
    let fixed: Vec<_> = layout.tensors().iter().filter(|tensor| tensor.kind == ParameterKind::Frozen).collect();
    assert_eq!(fixed.len(), 4); // the whitening, and the factors of three norms
    for tensor in &fixed {
        assert!(tensor.range.start >= layout.frozen_start(), "{}", tensor.name);
    }
    assert_eq!(layout.frozen_start() - layout.trainable(), 3 * 2 * 4); // statistics of three norms of 4 channels
    let algorithm = Algorithm::Adam { betas: [0.9, 0.999], eps: 1e-8 };
    let groups = ParamGroups { weight_decay: 0.1, ..ParamGroups::default() }.of(layout);
    let mut optimizer = Optimizer::new(algorithm, groups, layout.len(), kernels::isa().unwrap());
    let mut values = vec![1.0; layout.len()];
    optimizer.step(0.1, &mut values, &vec![1.0; layout.len()]);
    assert!(values[..layout.trainable()].iter().all(|&x| x < 1.0));
    assert!(values[layout.trainable()..].iter().all(|&x| x == 1.0));
}

#[test]
fn what_does_not_fit_is_told_with_its_layer() {
    let cases = [
        (json!([{"linear": {"outputs": 5}}, {"conv": {"channels": 2}}]), "layers.1: takes an image"),
        (json!([{"conv": {"channels": 2, "kernel": 99, "padding": 0}}]), "layers.0: a kernel of 99 is larger"),
        (json!([{"conv": {"channels": 0}}]), "layers.0: channels, kernel and stride are at least 1"),
        (json!([{"max_pool": {"size": 40}}]), "layers.0: a window of 40 × 40 does not fit the image, 16 × 16"),
        (json!([{"conv": {"channels": 2}}]), "layers: the last gives [2, 16, 16] a row"),
        (json!([{"activation": "relu"}, {"whiten": {}}]), "layers.1: whitens the network's input, and is its first"),
        (json!([{"whiten": {"kernel": 10}}]), "layers.0: patches of 10 × 10 have over 256 values"),
        (json!([{"whiten": {"kernel": usize::MAX}}]), "layers.0: patches of"),
        (json!([{"whiten": {"kernel": 0}}]), "layers.0: channels, kernel and stride are at least 1"),
        (json!([{"whiten": {"eps": -1.0}}]), "layers.0: eps is -1; expected a number of at least 0"),
        (json!([{"conv": {"channels": 2, "padding": 3}}]), "layers.0: padding is 3; expected less than the kernel, 3"),
        (json!([{"norm": {"momentum": 1.5}}]), "layers.0: momentum is 1.5; expected 0 to 1"),
        (json!([{"norm": {"eps": 0.0}}]), "layers.0: eps is 0; expected a number above 0"),
        (json!([{"residual": {"channels": 2, "repeat": 0}}]), "layers.0: repeat is 0; expected 1 to"),
        (json!([{"residual": {"channels": 2, "repeat": 1000000000}}]), "layers.0: repeat is 1000000000; expected 1 to"),
        (
            json!([{"residual": {"channels": 2, "norm": {"eps": -1.0}}}]),
            "layers.0: eps is -1; expected a number above 0",
        ),
        (json!([{"whiten": {"images": 0}}]), "layers.0: images: 0; at least 1 is needed"),
        (json!([{"scale": 1e39}]), "layers.0: a factor of inf; expected a number"),
        (json!([{"linear": {"outputs": 5}}]), "layers: the last gives [5] a row, and the target asks for [3]"),
        (json!([{"linear": {"outputs": usize::MAX}}]), "layers.0: "),
        (json!([{"conv": {"channels": usize::MAX, "padding": usize::MAX}}]), "layers.0: "),
    ];
    for (layers, expected) in cases {
        let problem = graph(&[3, 16, 16], layers.clone(), 3).unwrap_err().to_string();
        assert!(problem.starts_with(expected), "{layers}: {problem}");
    }
}
