//! Steps of a learner on a machine without a GPU against the same steps on the CPU: engine, accumulation, clipping, optimizer
//! and moving average.

mod machine;

use cuda_nets::{
    Gpu, Precision,
    images::{Images, Rows},
    learner::{Inputs, Learner, Method, StepOutput},
};
use dataset::augmentation::{Augmentation, Epoch, Flip, PadMode};
use kernels::update;
use nets::{Architecture, Batch, Engine, Fused, Graph, Loss, ParamGroups, Parameters, Scaling};
use optim::{
    Algorithm, Optimizer, clip_grad_norm, clip_grad_value, grad_norm,
    pairwise::{PairwiseSum, mean_factor},
};
use random::Random;
use std::sync::Arc;

const LEARNING_RATE: f64 = 0.05;
const DECAY: f64 = 0.9;
const SHAPE: [usize; 3] = [3, 6, 6];
const ROWS: usize = 40;
const CLASSES: usize = 4;

fn graph(layers: &str) -> Graph {
    let layers = serde_json::from_str(layers).expect("layers");
    Graph::new(Architecture { input_shape: SHAPE.to_vec(), layers, outputs: CLASSES }).expect("a graph")
}

const LINEAR: &str = r#"[{"linear": {}}]"#;
const PERCEPTRON: &str = r#"[{"linear": {"outputs": 20}}, {"activation": "gelu"}, {"linear": {}}]"#;
const CONVOLUTIONS: &str = r#"[{"conv": {"channels": 8}}, {"norm": {}}, {"activation": "relu"}, {"max_pool": {"size": 2}},
    {"residual": {"channels": 8}}, {"average_pool": {}}, {"linear": {}}]"#;

fn method(graph: &Graph) -> Method {
    Method {
        loss: Loss::CrossEntropy { label_smoothing: 0.1 },
        algorithm: Algorithm::Sgd { momentum: 0.9, nesterov: true },
        groups: ParamGroups::default().of(&graph.layout),
        clip_norm: Some(0.5),
        clip_value: Some(0.1),
        average_decay: Some(DECAY),
    }
}

/// Images, and a class for each.
fn dataset() -> (Vec<u8>, Vec<f32>) {
    let (mut random, size) = (Random::new(4, 0), SHAPE.iter().product::<usize>());
    let targets: Vec<f32> = (0..ROWS).map(|_| random.index(CLASSES) as f32).collect();
    let pixel = |i: usize| (40 * targets[i / size] as usize + random.index(90)) as u8;
    ((0..ROWS * size).map(pixel).collect(), targets)
}

fn scaling() -> Scaling {
    Scaling { mean: vec![90.0, 100.0, 110.0], scale: vec![0.02, 0.025, 0.03] }
}

fn augmentation() -> Augmentation {
    let [_, height, width] = SHAPE;
    let (pad_mode, flip) = (PadMode::Reflect, Some(Flip::Alternating));
    Augmentation { pad: 2, pad_mode, flip, cutout: 2, fill: scaling().mean, height, width }
}

fn epoch(number: usize) -> Epoch {
    Epoch { seed: number as u64, first_flip: 77, even: number.is_multiple_of(2) }
}

/// A batch as the CPU's data loader has it: NCHW.
fn load(bytes: &[u8], rows: &[usize], number: usize) -> Vec<f32> {
    let size: usize = SHAPE.iter().product();
    let mut inputs = vec![0.0; rows.len() * size];
    for (out, &row) in inputs.chunks_exact_mut(size).zip(rows) {
        augmentation().apply(&bytes[row * size..][..size], row, epoch(number), out);
    }
    scaling().apply(&mut inputs, &SHAPE);
    inputs
}

fn gather(targets: &[f32], rows: &[usize]) -> Vec<f32> {
    rows.iter().map(|&row| targets[row]).collect()
}

/// The batches of a step: 1 to 3, of different sizes.
fn batches(step: usize) -> Vec<Vec<usize>> {
    (0..step % 3 + 1).map(|i| (0..5 + 2 * i).map(|row| (7 * step + 11 * i + 3 * row) % ROWS).collect()).collect()
}

/// What the learner of `train` does on the CPU.
struct Cpu {
    engine: Fused,
    method: Method,
    parameters: Parameters,
    average: Vec<f32>,
    optimizer: Optimizer,
}

impl Cpu {
    fn new(graph: &Graph, parameters: &Parameters) -> Self {
        let (method, isa) = (method(graph), kernels::isa().expect("an instruction set"));
        Self {
            engine: Fused::new(graph, method.loss).expect("an engine"),
            optimizer: Optimizer::new(method.algorithm, method.groups.clone(), graph.layout.len(), isa),
            average: parameters.values.clone(),
            parameters: parameters.clone(),
            method,
        }
    }

    /// Losses, and the norm of the gradients after clipping.
    fn step(&mut self, batches: &[(Vec<f32>, Vec<f32>)]) -> (Vec<f64>, f64) {
        let (mut sum, mut losses) = (PairwiseSum::<Vec<f32>>::default(), Vec::new());
        for (i, (inputs, targets)) in batches.iter().enumerate() {
            let mut gradients = sum.buffer(self.parameters.values.len());
            let batch = Batch::new(inputs, targets);
            losses.push(self.engine.gradients(&mut self.parameters, batch, &mut gradients).expect("gradients"));
            sum.push(i..i + 1, gradients);
        }
        let mut gradients = sum.finish().expect("batches");
        gradients.iter_mut().for_each(|g| *g *= mean_factor(batches.len()));
        self.method.clip_norm.iter().for_each(|&max| _ = clip_grad_norm(&mut gradients, max));
        self.method.clip_value.iter().for_each(|&max| clip_grad_value(&mut gradients, max));
        self.optimizer.step(LEARNING_RATE, &mut self.parameters.values, &gradients);
        let updated = ..self.parameters.layout.frozen_start();
        let isa = kernels::isa().expect("an instruction set");
        update::average(isa, DECAY as f32, &mut self.average[updated], &self.parameters.values[updated]);
        (losses, grad_norm(&gradients))
    }
}

/// A step on the GPU; with `images`, of rows that are there.
fn step(
    learner: &mut Learner,
    images: Option<&mut Images>,
    (bytes, targets): (&[u8], &[f32]),
    number: usize,
) -> StepOutput {
    let mut images = images;
    for rows in batches(number) {
        let targets = gather(targets, &rows);
        let inputs = load(bytes, &rows, number);
        let draws = images.as_ref().map(|images| images.draws(&rows, Some(epoch(number)))).unwrap_or_default();
        let inputs = match images.as_deref_mut() {
            Some(images) => Inputs::Drawn(images, &draws),
            None => Inputs::Loaded(&inputs),
        };
        learner.add(inputs, Batch::new(&[], &targets), rows.len()).expect("a batch");
    }
    learner.finish(LEARNING_RATE).expect("a step")
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn on_card(gpu: &Arc<Gpu>, bytes: &[u8]) -> Images {
    Images::new(gpu, Rows::Bytes(bytes), &SHAPE, Some(&scaling()), Some(augmentation())).expect("uploaded")
}

fn compare(gpu: &Arc<Gpu>, layers: &str, tolerance: f32) {
    let (graph, (bytes, targets)) = (graph(layers), dataset());
    let parameters = Parameters::random(&graph, &mut Random::new(1, 0));
    let mut cpu = Cpu::new(&graph, &parameters);
    let mut learner = Learner::new(gpu, &graph, Precision::F32, method(&graph), &parameters.values).expect("a learner");
    let mut images = on_card(gpu, &bytes);
    for number in 1..=8 {
        let loaded: Vec<_> =
            batches(number).iter().map(|rows| (load(&bytes, rows, number), gather(&targets, rows))).collect();
        let (losses, norm) = cpu.step(&loaded);
        let output = step(&mut learner, Some(&mut images), (&bytes, &targets), number);
        assert!(output.finite && output.losses.len() == losses.len());
        for (ours, theirs) in output.losses.iter().zip(losses) {
            assert!((ours - theirs).abs() <= f64::from(tolerance), "{layers} {number}: {ours} {theirs}");
        }
        let ours = learner.gradient_norm().expect("a norm");
        assert!((ours - norm).abs() <= f64::from(tolerance), "{layers} {number}: {ours} {norm}");
    }
    let average = learner.average().expect("copied").expect("an average");
    let difference = largest_difference(&learner.parameters().expect("copied"), &cpu.parameters.values);
    assert!(difference <= tolerance, "{layers}: {difference}");
    assert!(largest_difference(&average, &cpu.average) <= tolerance);
    let inputs = load(&bytes, &[0, 1, 2], 9);
    let (mut expected, model) = (Vec::new(), Parameters { values: cpu.average.clone(), ..cpu.parameters.clone() });
    cpu.engine.predict(&model, &inputs, &mut expected).expect("outputs");
    let outputs = learner.predict(Inputs::Loaded(&inputs), 3).expect("outputs");
    assert!(largest_difference(&outputs, &expected) <= 10.0 * tolerance, "{outputs:?} {expected:?}");
}

#[test]
fn steps_are_those_of_the_cpu() {
    let Some(gpu) = machine::gpu() else { return };
    compare(&gpu, LINEAR, 1e-5);
    compare(&gpu, PERCEPTRON, 1e-5);
    compare(&gpu, CONVOLUTIONS, 1e-4);
}

/// Rounded to 8 bits, gradients are near: the loss falls as far.
#[test]
fn a_network_learns_in_every_precision() {
    let Some(gpu) = machine::gpu() else { return };
    let (graph, (bytes, targets)) = (graph(CONVOLUTIONS), dataset());
    let parameters = Parameters::random(&graph, &mut Random::new(1, 0)).values;
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let mut last = Vec::new();
    for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
        let mut learner = Learner::new(&gpu, &graph, precision, method(&graph), &parameters).expect("a learner");
        let mut images = on_card(&gpu, &bytes);
        let mut loss = |number| mean(&step(&mut learner, Some(&mut images), (&bytes, &targets), number).losses);
        let losses: Vec<f64> = (0..30).map(&mut loss).collect();
        assert!(mean(&losses[20..]) < 0.8 * mean(&losses[..5]), "{precision:?} {losses:?}");
        last.push(mean(&losses[20..]));
    }
    assert!((last[2] - last[0]).abs() < 0.05, "{last:?}");
}

/// Rows on the card, rows loaded on the host, and a learner that resumed give the same bytes.
#[test]
fn where_rows_are_and_when_a_run_stopped_changes_no_bit() {
    let Some(gpu) = machine::gpu() else { return };
    for layers in [PERCEPTRON, CONVOLUTIONS] {
        for precision in [Precision::F32, Precision::Bf16] {
            stop_and_resume(&gpu, &graph(layers), precision);
        }
    }
}

fn stop_and_resume(gpu: &Arc<Gpu>, graph: &Graph, precision: Precision) {
    let (bytes, targets) = dataset();
    let parameters = Parameters::random(graph, &mut Random::new(1, 0)).values;
    let new = |parameters: &[f32]| Learner::new(gpu, graph, precision, method(graph), parameters).expect("a learner");
    let (mut drawn, mut loaded) = (new(&parameters), new(&parameters));
    let (mut images, data) = (on_card(gpu, &bytes), (&bytes[..], &targets[..]));
    for number in 1..=6 {
        let output = step(&mut drawn, Some(&mut images), data, number);
        assert_eq!(step(&mut loaded, None, data, number), output);
        if number == 3 {
            let state = drawn.optimizer().state().expect("copied");
            let find = |name: &str| state.iter().find(|one| one.0 == name).map(|one| one.1.clone());
            let (parameters, average) = (drawn.parameters().expect("copied"), drawn.average().expect("copied"));
            // Of other values, which are all replaced.
            drawn = new(&vec![0.5; parameters.len()]);
            drawn.restore(&parameters, average.as_deref(), 3, find).expect("restored");
        }
    }
    assert_eq!(drawn.optimizer().steps(), 6);
    assert_eq!(drawn.parameters().expect("copied"), loaded.parameters().expect("copied"));
    assert_eq!(drawn.average().expect("copied"), loaded.average().expect("copied"));
    assert_eq!(drawn.optimizer().state().expect("copied"), loaded.optimizer().state().expect("copied"));
}

#[test]
fn a_step_of_inputs_that_are_not_finite_updates_nothing() {
    let Some(gpu) = machine::gpu() else { return };
    let graph = graph(LINEAR);
    let parameters = Parameters::random(&graph, &mut Random::new(1, 0)).values;
    let mut learner = Learner::new(&gpu, &graph, Precision::F32, method(&graph), &parameters).expect("a learner");
    let mut inputs = vec![1.0; 2 * graph.architecture.input_shape.iter().product::<usize>()];
    inputs[5] = f32::INFINITY;
    learner.add(Inputs::Loaded(&inputs), Batch::new(&[], &[0.0, 1.0]), 2).expect("a batch");
    assert!(!learner.finish(LEARNING_RATE).expect("a step").finite);
    assert_eq!((learner.parameters().expect("copied"), learner.optimizer().steps()), (parameters, 0));
}

/// More than there is room for at first; and as the batches are the same, so is the update with any number of them.
#[test]
fn a_step_of_many_batches_has_all_their_losses() {
    let Some(gpu) = machine::gpu() else { return };
    let (graph, (bytes, targets)) = (graph(LINEAR), dataset());
    let parameters = Parameters::random(&graph, &mut Random::new(1, 0)).values;
    let rows = [1, 2, 3, 4];
    let (inputs, targets) = (load(&bytes, &rows, 1), gather(&targets, &rows));
    let mut updated = Vec::new();
    for batches in [1, 64] {
        let mut learner = Learner::new(&gpu, &graph, Precision::F32, method(&graph), &parameters).expect("a learner");
        for _ in 0..batches {
            learner.add(Inputs::Loaded(&inputs), Batch::new(&[], &targets), rows.len()).expect("a batch");
        }
        let StepOutput { losses, finite } = learner.finish(LEARNING_RATE).expect("a step");
        assert!(finite && losses == vec![losses[0]; batches] && losses[0] > 0.0, "{losses:?}");
        updated.push(learner.parameters().expect("copied"));
    }
    // A sum of 64 equal numbers, and its 64th part, are exact.
    assert_eq!(updated[0], updated[1]);
}
