//! Losses on a machine without a GPU against those of `nets`.

mod machine;

use cuda_nets::{Gpu, loss::LossKernel};
use nets::{Batch, Loss};
use random::Random;
use std::sync::Arc;

/// Elements that a kernel must not write.
const GUARD: usize = 5;

struct Case {
    outputs: Vec<f32>,
    targets: Vec<f32>,
    weights: Vec<f32>,
    class_weights: Vec<f32>,
    width: usize,
}

/// Loss and gradients on the GPU.
fn run(gpu: &Arc<Gpu>, loss: Loss, case: &Case) -> (f64, Vec<f32>) {
    let rows = case.outputs.len() / case.width;
    let stream = gpu.stream();
    let outputs = stream.clone_htod(&case.outputs).expect("copied");
    let mut gradients = stream.clone_htod(&vec![7.0f32; case.outputs.len() + GUARD]).expect("copied");
    let mut losses = stream.clone_htod(&[-1.0f64; 3]).expect("copied");
    let mut kernel = LossKernel::new(gpu, loss);
    kernel.run(&outputs, batch(case), (rows, case.width), &mut gradients, (&mut losses, 1)).expect("run");
    let losses = stream.clone_dtoh(&losses).expect("copied");
    let mut gradients = stream.clone_dtoh(&gradients).expect("copied");
    assert_eq!((losses[0], losses[2]), (-1.0, -1.0));
    assert_eq!(gradients.split_off(case.outputs.len()), [7.0; GUARD], "a kernel wrote beyond its elements");
    (losses[1], gradients)
}

fn batch(case: &Case) -> Batch<'_> {
    Batch { inputs: &[], targets: &case.targets, weights: &case.weights, class_weights: &case.class_weights }
}

/// `exact`: nothing goes through exp or log.
fn compare(gpu: &Arc<Gpu>, loss: Loss, case: &Case, exact: bool) {
    let rows = case.outputs.len() / case.width;
    let mut expected = vec![0.0; case.outputs.len()];
    let total = loss.total_weight(batch(case), rows);
    let expected_loss = loss.add(&case.outputs, batch(case), case.width, total, &mut expected);
    let (ours, gradients) = run(gpu, loss, case);
    let what = format!("{loss:?} {rows} × {}", case.width);
    assert!((ours - expected_loss).abs() <= 1e-13 * expected_loss.abs(), "{what}: {ours} {expected_loss}");
    let factor = loss.mean_factor(total, case.width);
    for (i, (ours, expected)) in gradients.iter().zip(&expected).enumerate() {
        // A unit in the last place; or, where terms cancel, what they lose in double.
        let close = (ours - expected).abs() <= f32::EPSILON * expected.abs() + (factor * 1e-14) as f32;
        assert!(if exact { ours.to_bits() == expected.to_bits() } else { close }, "{what} [{i}]: {ours} {expected}");
    }
}

fn draw(random: &mut Random, rows: usize, width: usize) -> Case {
    Case {
        outputs: (0..rows * width).map(|_| (4.0 * random.normal()) as f32).collect(),
        targets: (0..rows * width).map(|_| random.normal() as f32).collect(),
        weights: Vec::new(),
        class_weights: Vec::new(),
        width,
    }
}

fn positive(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| if random.index(6) == 0 { 0.0 } else { random.exponential() as f32 }).collect()
}

const SHAPES: [(usize, usize); 10] =
    [(1, 1), (1, 5), (2, 3), (7, 10), (64, 10), (129, 1), (300, 2), (33, 100), (5, 1000), (1000, 7)];

#[test]
fn losses_of_errors_have_the_gradients_of_the_cpu() {
    let Some(gpu) = machine::gpu() else { return };
    for (rows, width) in SHAPES {
        for loss in [Loss::Mse, Loss::Mae, Loss::Huber { delta: 1.5 }] {
            let mut random = Random::new((rows * width) as u64, 0);
            let mut case = draw(&mut random, rows, width);
            case.targets[0] = case.outputs[0];
            compare(&gpu, loss, &case, true);
            case.weights = positive(&mut random, rows);
            case.weights[0] = 1.5;
            compare(&gpu, loss, &case, true);
            case.weights.fill(0.0);
            assert_eq!(run(&gpu, loss, &case).0, 0.0, "no weight at all");
        }
    }
}

#[test]
fn binary_cross_entropy_is_near_that_of_the_cpu() {
    let Some(gpu) = machine::gpu() else { return };
    for (rows, width) in SHAPES {
        let mut random = Random::new((rows * width) as u64, 1);
        let mut case = draw(&mut random, rows, width);
        case.targets.iter_mut().for_each(|x| *x = [0.0, 1.0, 0.25, 0.75][random.index(4)]);
        case.outputs[0] = 200.0;
        compare(&gpu, Loss::BinaryCrossEntropy, &case, false);
        case.weights = positive(&mut random, rows);
        case.weights[0] = 0.5;
        compare(&gpu, Loss::BinaryCrossEntropy, &case, false);
        case.class_weights = vec![0.5, 3.0];
        compare(&gpu, Loss::BinaryCrossEntropy, &case, false);
    }
}

#[test]
fn cross_entropy_is_near_that_of_the_cpu() {
    let Some(gpu) = machine::gpu() else { return };
    for (rows, width) in SHAPES.into_iter().filter(|&(_, width)| width > 1) {
        for label_smoothing in [0.0, 0.2] {
            let loss = Loss::CrossEntropy { label_smoothing };
            let mut random = Random::new((rows * width) as u64, 2);
            let mut case = draw(&mut random, rows, width);
            let classes: Vec<f32> = (0..rows).map(|_| random.index(width) as f32).collect();
            let probabilities: Vec<f32> =
                (0..rows * width).map(|_| random.exponential() as f32 / width as f32).collect();
            case.outputs[0] = 300.0;
            for targets in [classes, probabilities] {
                case.targets = targets;
                (case.weights, case.class_weights) = (Vec::new(), Vec::new());
                compare(&gpu, loss, &case, false);
                case.weights = positive(&mut random, rows);
                case.weights[0] = 0.5;
                compare(&gpu, loss, &case, false);
                case.class_weights = positive(&mut random, width);
                case.class_weights.iter_mut().for_each(|x| *x += 0.1);
                compare(&gpu, loss, &case, false);
            }
        }
    }
}

#[test]
fn outputs_that_are_not_finite_give_a_loss_that_is_not() {
    let Some(gpu) = machine::gpu() else { return };
    let smoothed = Loss::CrossEntropy { label_smoothing: 0.1 };
    for loss in [Loss::Mse, Loss::Mae, Loss::Huber { delta: 1.0 }, Loss::BinaryCrossEntropy, smoothed] {
        let case = Case {
            outputs: vec![0.5, f32::NAN, 1.0, 2.0],
            targets: vec![0.0, 1.0, 1.0, 0.0],
            weights: Vec::new(),
            class_weights: Vec::new(),
            width: 2,
        };
        let (found, gradients) = run(&gpu, loss, &case);
        assert!(found.is_nan() && gradients[1].is_nan(), "{loss:?}: {found} {gradients:?}");
    }
}

/// By hand: of two classes with equal logits each has probability 1/2.
#[test]
fn a_case_by_hand() {
    let Some(gpu) = machine::gpu() else { return };
    let case =
        Case { outputs: vec![1.0, 1.0], targets: vec![1.0], weights: Vec::new(), class_weights: Vec::new(), width: 2 };
    let (loss, gradients) = run(&gpu, Loss::CrossEntropy { label_smoothing: 0.0 }, &case);
    assert!((loss - 2f64.ln()).abs() < 1e-15);
    assert_eq!(gradients, [0.5, -0.5]);
}
