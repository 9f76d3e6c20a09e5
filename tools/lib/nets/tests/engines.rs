//! The fused step against candle's autograd, gradient by gradient and step by step.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{Device, Module, Tensor};
use kernels::random::Random;
use nets::{
    Activation, AdamOptions, Architecture, AutogradMlp, Engine, FusedMlp, Mlp, Model, Parameters, Scaling, Task,
};

const ADAM: AdamOptions = AdamOptions { learning_rate: 1e-2, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 1e-3 };

fn architectures() -> impl Iterator<Item = Architecture> {
    let activations = [Activation::Relu, Activation::Tanh, Activation::Sigmoid];
    let shapes = [(8, vec![64, 64], 1), (3, vec![], 2), (5, vec![7], 3), (1, vec![2, 9, 4], 1)];
    shapes.into_iter().flat_map(move |(inputs, hidden, outputs)| {
        activations.map(|activation| Architecture { inputs, hidden: hidden.clone(), outputs, activation })
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

#[test]
fn gradients_and_losses_agree_with_autograd() {
    for architecture in architectures() {
        let mut random = Random::new(7, 0);
        let mut start = Parameters::random(&architecture, &mut random);
        // With biases of 0 a dead layer gives exactly 0 to the next, where candle takes the ReLU's
        // slope for 1, and we, as PyTorch does, for 0.
        start.values.iter_mut().for_each(|value| *value += 0.1 * random.normal() as f32);
        let mut fused = FusedMlp::new(&architecture, start.clone(), ADAM);
        let mut autograd = AutogradMlp::new(&architecture, start, ADAM).unwrap();
        // The last batch is smaller, as at the end of an epoch.
        for rows in [33, 33, 5] {
            let inputs = normals(&mut random, rows * architecture.inputs);
            let targets = normals(&mut random, rows * architecture.outputs);
            let losses = (fused.step(&inputs, &targets).unwrap(), autograd.step(&inputs, &targets).unwrap());
            assert!((losses.0 - losses.1).abs() <= 1e-5 * losses.1.max(1.0), "{architecture:?}: {losses:?}");
            assert_close(
                fused.gradients(),
                autograd.gradients(),
                2e-5,
                &format!("gradient of {architecture:?}, {rows} rows"),
            );
        }
        let (ours, theirs) = (fused.parameters().unwrap(), autograd.parameters().unwrap());
        assert_close(&ours.values, &theirs.values, 1e-4, "parameters");
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let architecture = Architecture { inputs: 3, hidden: vec![5], outputs: 2, activation: Activation::Tanh };
    let mut random = Random::new(1, 0);
    let start = Parameters::random(&architecture, &mut random);
    let (inputs, targets) = (normals(&mut random, 12), normals(&mut random, 8));
    let loss = |parameters: &Parameters| {
        FusedMlp::new(&architecture, parameters.clone(), ADAM).step(&inputs, &targets).unwrap()
    };
    let mut fused = FusedMlp::new(&architecture, start.clone(), ADAM);
    fused.step(&inputs, &targets).unwrap();
    for i in 0..start.values.len() {
        const H: f32 = 1e-2;
        let (mut above, mut below) = (start.clone(), start.clone());
        above.values[i] += H;
        below.values[i] -= H;
        let slope = (loss(&above) - loss(&below)) / f64::from(2.0 * H);
        let gradient = f64::from(fused.gradients()[i]);
        assert!((slope - gradient).abs() < 1e-3, "parameter {i}: {slope} and {gradient}");
    }
}

#[test]
fn a_model_survives_its_file_and_candle_computes_the_same() {
    for architecture in architectures() {
        let mut random = Random::new(3, 0);
        let rows = normals(&mut random, 11 * architecture.inputs);
        let model = Model {
            task: Task {
                input_field: "probs".into(),
                input_shape: vec![architecture.inputs],
                target_field: "entropy".into(),
                target_shape: vec![architecture.outputs],
            },
            scaling: Some(Scaling::standard(&rows, architecture.inputs)),
            parameters: Parameters::random(&architecture, &mut random),
            architecture,
        };
        let bytes = model.to_safetensors().unwrap();
        assert_eq!(bytes, model.to_safetensors().unwrap());
        assert_eq!(Model::from_safetensors(&bytes).unwrap(), model);

        let inputs = Tensor::from_slice(&rows, (11, model.architecture.inputs), &Device::Cpu).unwrap();
        let candle = Mlp::new(&model, &Device::Cpu).unwrap().forward(&inputs).unwrap();
        let candle: Vec<f32> = candle.flatten_all().unwrap().to_vec1().unwrap();
        let mut scaled = rows.clone();
        model.scaling.as_ref().unwrap().apply(&mut scaled);
        let mut fused = Vec::new();
        FusedMlp::new(&model.architecture, model.parameters.clone(), ADAM).predict(&scaled, &mut fused).unwrap();
        assert_close(&fused, &candle, 1e-5, "output");
    }
}

#[test]
fn damaged_model_files_are_refused_in_one_line() {
    let architecture = Architecture { inputs: 2, hidden: vec![], outputs: 1, activation: Activation::Relu };
    let task = Task { input_field: "x".into(), input_shape: vec![2], target_field: "y".into(), target_shape: vec![] };
    let parameters = Parameters::random(&architecture, &mut Random::new(0, 0));
    let bytes = Model { architecture, task, scaling: None, parameters }.to_safetensors().unwrap();
    for length in 0..bytes.len() {
        let problem = Model::from_safetensors(&bytes[..length]).unwrap_err();
        assert!(!problem.contains('\n'), "{problem}");
    }
    assert!(Model::from_safetensors(b"garbage garbage garbage").is_err());
}
