//! The fused step against candle's autograd, gradient by gradient and step by step.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{Device, Module, Tensor};
use dataset::Statistics;
use nets::{
    Activation, Autograd, Batch, CandleModel, Checkpoint, Engine, Fused, Graph, Loss, Model, OutputActivation,
    Parameters, Perceptron, Scaling, TargetScaling, Task,
};
use random::Random;
use records::DType;

fn perceptron(inputs: usize, hidden: &[usize], outputs: usize, activation: Activation) -> Graph {
    Graph::new((&Perceptron { inputs, hidden: hidden.to_vec(), outputs, activation }).into()).unwrap()
}

fn perceptrons() -> impl Iterator<Item = Graph> {
    let activations = [Activation::Relu, Activation::Tanh, Activation::Sigmoid, Activation::Gelu];
    let shapes = [(8, vec![64, 64], 1), (3, vec![], 2), (5, vec![7], 3), (1, vec![2, 9, 4], 1)];
    shapes.into_iter().flat_map(move |(inputs, hidden, outputs)| {
        activations.map(|activation| perceptron(inputs, &hidden, outputs, activation))
    })
}

fn normals(random: &mut Random, n: usize) -> Vec<f32> {
    (0..n).map(|_| random.normal() as f32).collect()
}

fn assert_close(ours: &[f32], reference: &[f32], tolerance: f32, what: &str) {
    let largest = reference.iter().fold(1e-3f32, |largest, x| largest.max(x.abs()));
    for (i, (x, y)) in ours.iter().zip(reference).enumerate() {
        assert!((x - y).abs() <= tolerance * largest, "{what}: {i}: {x} and {y}, largest {largest}");
    }
}

const LOSSES: [Loss; 6] = [
    Loss::Mse,
    Loss::Mae,
    Loss::Huber { delta: 0.7 },
    Loss::CrossEntropy { label_smoothing: 0.0 },
    Loss::CrossEntropy { label_smoothing: 0.1 },
    Loss::BinaryCrossEntropy,
];

/// Targets that make sense to the loss: numbers, classes or probabilities.
fn targets(random: &mut Random, loss: Loss, rows: usize, width: usize) -> Vec<f32> {
    match loss {
        Loss::CrossEntropy { .. } if width > 1 => (0..rows).map(|_| random.index(width) as f32).collect(),
        Loss::CrossEntropy { .. } | Loss::BinaryCrossEntropy => {
            (0..rows * width).map(|_| random.uniform() as f32).collect()
        }
        _ => normals(random, rows * width),
    }
}

#[test]
fn gradients_and_losses_agree_with_autograd() {
    for (graph, loss) in perceptrons().flat_map(|a| LOSSES.map(|loss| (a.clone(), loss))) {
        let mut random = Random::new(7, 0);
        let mut start = Parameters::random(&graph, &mut random);
        // With biases of 0 a dead layer gives exactly 0 to the next, where candle takes the ReLU's
        // slope for 1, and we, as PyTorch does, for 0.
        start.values.iter_mut().for_each(|value| *value += 0.1 * random.normal() as f32);
        let mut fused = Fused::new(&graph, loss).unwrap();
        let mut autograd = Autograd::new(&graph, loss);
        let mut ours = vec![0.0; start.values.len()];
        let mut theirs = ours.clone();
        // The last batch is smaller, as at the end of an epoch; one is cut into parts.
        for rows in [33, 700, 5] {
            let inputs = normals(&mut random, rows * graph.architecture.inputs());
            let targets = targets(&mut random, loss, rows, graph.architecture.outputs);
            let weights: Vec<f32> = (0..rows).map(|i| if i % 4 == 0 { 0.0 } else { random.uniform() as f32 }).collect();
            let even = Batch::new(&inputs, &targets);
            let classes: Vec<f32> = (0..graph.architecture.outputs).map(|i| 0.5 + i as f32).collect();
            let labels: Vec<f32> = targets.iter().map(|target| target.round()).collect();
            let weighted = Batch { weights: &weights, ..even };
            let weighted = match loss {
                Loss::CrossEntropy { .. } => Batch { class_weights: &classes, ..weighted },
                Loss::BinaryCrossEntropy if classes.len() == 1 => {
                    Batch { targets: &labels, class_weights: &[0.25, 3.0], ..weighted }
                }
                _ => weighted,
            };
            for batch in [even, weighted] {
                let losses = (
                    fused.gradients(&mut start, batch, &mut ours).unwrap(),
                    autograd.gradients(&mut start, batch, &mut theirs).unwrap(),
                );
                let what = format!("{:?}, {loss:?}, {rows} rows", graph.architecture);
                assert!((losses.0 - losses.1).abs() <= 1e-5 * losses.1.max(1.0), "{what}: {losses:?}");
                assert_close(&ours, &theirs, 5e-5, &format!("gradient of {what}"));
            }
        }
    }
}

#[test]
fn weights_of_1_change_no_bit() {
    for loss in LOSSES {
        let graph = perceptron(3, &[4], 3, Activation::Tanh);
        let mut random = Random::new(11, 0);
        let start = Parameters::random(&graph, &mut random);
        let inputs = normals(&mut random, 600 * 3);
        let targets = targets(&mut random, loss, 600, 3);
        let run = |weights: &[f32], class_weights: &[f32]| {
            let batch = Batch { inputs: &inputs, targets: &targets, weights, class_weights };
            let mut gradients = vec![0.0; start.values.len()];
            let loss = Fused::new(&graph, loss).unwrap().gradients(&mut start.clone(), batch, &mut gradients);
            (loss.unwrap().to_bits(), gradients.iter().map(|g| g.to_bits()).collect::<Vec<_>>())
        };
        assert_eq!(run(&[], &[]), run(&[1.0; 600], &[1.0; 3]), "{loss:?}");
    }
}

#[test]
fn soft_targets_are_probabilities_of_classes() {
    let graph = perceptron(3, &[4], 5, Activation::Tanh);
    let mut random = Random::new(5, 0);
    let start = Parameters::random(&graph, &mut random);
    let inputs = normals(&mut random, 9 * 3);
    let classes: Vec<f32> = (0..9).map(|i| (i % 5) as f32).collect();
    let one_hot: Vec<f32> = (0..45).map(|i| f32::from(u8::from(i / 5 % 5 == i % 5))).collect();
    let loss = Loss::CrossEntropy { label_smoothing: 0.2 };
    let run = |targets: &[f32]| {
        let mut gradients = vec![0.0; start.values.len()];
        let batch = Batch::new(&inputs, targets);
        let loss = Fused::new(&graph, loss).unwrap().gradients(&mut start.clone(), batch, &mut gradients).unwrap();
        (loss.to_bits(), gradients)
    };
    assert_eq!(run(&classes), run(&one_hot));
}

/// Split by rows; split by products, with fewer rows than outputs; the same with sizes that are no whole number of vectors.
const SPLIT: [(usize, usize, [usize; 2], usize); 3] =
    [(3000, 6, [16, 64], 3), (64, 784, [512, 256], 10), (37, 300, [700, 333], 17)];

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (rows, width, hidden, outputs) in SPLIT {
        let graph = perceptron(width, &hidden, outputs, Activation::Tanh);
        let mut random = Random::new(2, 0);
        let start = Parameters::random(&graph, &mut random);
        let loss = Loss::CrossEntropy { label_smoothing: 0.1 };
        let (inputs, targets) = (normals(&mut random, rows * width), targets(&mut random, loss, rows, outputs));
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (mut gradients, mut outputs) = (vec![f32::NAN; start.values.len()], Vec::new());
            let mut engine = Fused::new(&graph, loss).unwrap();
            let loss = pool.install(|| {
                engine.predict(&start, &inputs, &mut outputs).unwrap();
                engine.gradients(&mut start.clone(), Batch::new(&inputs, &targets), &mut gradients).unwrap()
            });
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            (loss.to_bits(), bits(gradients), bits(outputs))
        };
        let expected = run(1);
        for threads in [2, 3, 4, 7] {
            assert_eq!(run(threads), expected, "{rows} × {width}, {threads} threads");
        }
    }
}

#[test]
fn products_that_are_split_agree_with_autograd() {
    for (rows, width, hidden, outputs) in SPLIT {
        let graph = perceptron(width, &hidden, outputs, Activation::Relu);
        let mut random = Random::new(3, 0);
        let mut start = Parameters::random(&graph, &mut random);
        start.values.iter_mut().for_each(|value| *value += 0.01 * random.normal() as f32);
        let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
        let (inputs, targets) = (normals(&mut random, rows * width), targets(&mut random, loss, rows, outputs));
        let (mut ours, batch) = (vec![f32::NAN; start.values.len()], Batch::new(&inputs, &targets));
        let mut theirs = vec![0.0; ours.len()];
        let fused = Fused::new(&graph, loss).unwrap().gradients(&mut start, batch, &mut ours).unwrap();
        let autograd = Autograd::new(&graph, loss).gradients(&mut start, batch, &mut theirs).unwrap();
        let what = format!("{rows} × {width}");
        assert!((fused - autograd).abs() <= 1e-5 * autograd.max(1.0), "{what}: {fused} and {autograd}");
        assert_close(&ours, &theirs, 5e-5, &what);
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let graph = perceptron(3, &[5], 2, Activation::Tanh);
    let mut random = Random::new(1, 0);
    let mut start = Parameters::random(&graph, &mut random);
    let (inputs, targets) = (normals(&mut random, 12), normals(&mut random, 8));
    let batch = Batch::new(&inputs, &targets);
    let mut engine = Fused::new(&graph, Loss::Mse).unwrap();
    let mut gradients = vec![0.0; start.values.len()];
    engine.gradients(&mut start, batch, &mut gradients).unwrap();
    let mut unused = gradients.clone();
    let mut loss = |parameters: &mut Parameters| engine.gradients(parameters, batch, &mut unused).unwrap();
    for (i, &gradient) in gradients.iter().enumerate() {
        const H: f32 = 1e-2;
        let (mut above, mut below) = (start.clone(), start.clone());
        above.values[i] += H;
        below.values[i] -= H;
        let slope = (loss(&mut above) - loss(&mut below)) / f64::from(2.0 * H);
        let gradient = f64::from(gradient);
        assert!((slope - gradient).abs() < 1e-3, "parameter {i}: {slope} and {gradient}");
    }
}

#[test]
fn a_model_survives_its_file_and_candle_computes_the_same() {
    for graph in perceptrons() {
        let mut random = Random::new(3, 0);
        let rows = normals(&mut random, 11 * graph.architecture.inputs());
        let task = Task {
            input_field: "probs".into(),
            input_shape: vec![graph.architecture.inputs()],
            input_dtype: DType::F4,
            target_field: "entropy".into(),
            target_shape: vec![graph.architecture.outputs],
            output_activation: OutputActivation::Identity,
        };
        let model = Model {
            features: task.features(),
            task,
            scaling: Some(Scaling::standard(&Statistics::of(
                rows.chunks_exact(graph.architecture.inputs()),
                &graph.architecture.input_shape,
            ))),
            target_scaling: (graph.architecture.outputs == 2)
                .then(|| TargetScaling { mean: vec![1e3, -2.0], scale: vec![250.0, 0.5] }),
            parameters: Parameters::random(&graph, &mut random),
            graph,
        };
        let bytes = model.to_safetensors().unwrap();
        assert_eq!(bytes, model.to_safetensors().unwrap());
        assert_eq!(Model::from_safetensors(&bytes).unwrap(), model);

        let inputs = Tensor::from_slice(&rows, (11, model.graph.architecture.inputs()), &Device::Cpu).unwrap();
        let candle = CandleModel::new(&model, &Device::Cpu).unwrap().forward(&inputs).unwrap();
        let candle: Vec<f32> = candle.flatten_all().unwrap().to_vec1().unwrap();
        let mut scaled = rows.clone();
        model.scaling.as_ref().unwrap().apply(&mut scaled, &model.graph.architecture.input_shape);
        let mut fused = Vec::new();
        Fused::new(&model.graph, Loss::Mse).unwrap().predict(&model.parameters, &scaled, &mut fused).unwrap();
        model.target_scaling.iter().for_each(|scaling| scaling.invert(&mut fused));
        assert_close(&fused, &candle, 1e-5, "output");
    }
}

#[test]
fn damaged_model_files_are_refused_in_one_line() {
    let graph = perceptron(2, &[], 1, Activation::Relu);
    let task = Task {
        input_field: "x".into(),
        input_shape: vec![2],
        input_dtype: DType::F4,
        target_field: "y".into(),
        target_shape: vec![],
        output_activation: OutputActivation::Softmax,
    };
    let parameters = Parameters::random(&graph, &mut Random::new(0, 0));
    let bytes = Model { graph, features: task.features(), task, scaling: None, target_scaling: None, parameters }
        .to_safetensors()
        .unwrap();
    for length in 0..bytes.len() {
        let problem = Model::from_safetensors(&bytes[..length]).unwrap_err().to_string();
        assert!(!problem.contains('\n'), "{problem}");
    }
    assert!(Model::from_safetensors(b"garbage garbage garbage").is_err());
}

#[test]
fn a_checkpoint_is_a_model_with_the_state_of_its_training() {
    let graph = perceptron(2, &[3], 1, Activation::Relu);
    let task = Task {
        input_field: "x".into(),
        input_shape: vec![2],
        input_dtype: DType::F4,
        target_field: "y".into(),
        target_shape: vec![],
        output_activation: OutputActivation::Identity,
    };
    let parameters = Parameters::random(&graph, &mut Random::new(0, 0));
    let buffers = vec![("a".to_owned(), vec![1.5; parameters.values.len()])];
    let model = Model { graph, features: task.features(), task, scaling: None, target_scaling: None, parameters };
    let checkpoint = Checkpoint { model: model.clone(), buffers, progress: serde_json::json!({ "steps": 3 }) };
    let folder = testkit::Folder::new();
    let path = folder.join("c.safetensors");
    std::fs::write(&path, checkpoint.to_safetensors().unwrap()).unwrap();
    assert_eq!(Checkpoint::read(&path).unwrap(), checkpoint);
    assert_eq!(Model::read(&path).unwrap(), model);
    std::fs::write(&path, model.to_safetensors().unwrap()).unwrap();
    let error = Checkpoint::read(&path).unwrap_err().to_string();
    assert!(error.ends_with("resume from a checkpoint"), "{error}");
}
