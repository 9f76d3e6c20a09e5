//! Optimizer steps on a machine without a GPU against those of `optim`: the same bits.

mod machine;

use cuda_nets::{
    Gpu,
    optimizer::{BatchGradients, Failure, Optimizer, Options},
};
use cudarc::driver::CudaSlice;
use kernels::update;
use optim::{Algorithm, ParamGroup, clip_grad_norm, clip_grad_value, grad_norm, pairwise::PairwiseSum};
use random::Random;
use std::sync::Arc;

const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Sgd { momentum: 0.0, nesterov: false },
    Algorithm::Sgd { momentum: 0.9, nesterov: false },
    Algorithm::Sgd { momentum: 0.85, nesterov: true },
    Algorithm::Adam { betas: [0.9, 0.999], eps: 1e-8 },
    Algorithm::AdamW { betas: [0.9, 0.95], eps: 1e-6 },
    Algorithm::RmsProp { alpha: 0.99, eps: 1e-8, momentum: 0.5 },
];

/// Groups that begin and end at any element; between them and after them are elements of none.
fn groups() -> Vec<ParamGroup> {
    let group = |range, weight_decay, learning_rate_factor| ParamGroup { range, weight_decay, learning_rate_factor };
    vec![group(0..5003, 0.01, 1.0), group(5003..5010, 0.0, 2.0), group(5021..14_000, 5e-4, 0.5)]
}
const LEN: usize = 14_050;
/// Up to here there is a moving average.
const AVERAGED: usize = 14_031;
const DECAY: f64 = 0.99;

fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut random = Random::new(seed, 0);
    (0..len).map(|_| (random.normal() * 10f64.powi(random.index(7) as i32 - 3)) as f32).collect()
}

fn upload<T: cudarc::driver::DeviceRepr>(gpu: &Gpu, values: &[T]) -> CudaSlice<T> {
    gpu.stream().clone_htod(values).expect("copied")
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Steps on a GPU and on the CPU, side by side.
struct Pair {
    gpu: Arc<Gpu>,
    ours: Optimizer,
    theirs: optim::Optimizer,
    parameters: (CudaSlice<f32>, Vec<f32>),
    average: Option<(CudaSlice<f32>, Vec<f32>)>,
}

impl Pair {
    fn new(gpu: &Arc<Gpu>, algorithm: Algorithm, averaging: bool) -> Self {
        let isa = kernels::isa().expect("an instruction set");
        let parameters = values(1, LEN);
        let both = || (upload(gpu, &parameters), parameters.clone());
        let averaged = if averaging { AVERAGED } else { 0 };
        Self {
            gpu: gpu.clone(),
            ours: Optimizer::new(gpu, algorithm, groups(), LEN, averaged).expect("memory"),
            theirs: optim::Optimizer::new(algorithm, groups(), LEN, isa),
            parameters: both(),
            average: averaging.then(both),
        }
    }

    /// One step; returns whether it was finite, and the norms before and after clipping.
    fn step(&mut self, options: Options, losses: &[f64], gradients: &[f32]) -> (bool, f64, f64) {
        let (losses_at, gradients_at) = (upload(&self.gpu, losses), upload(&self.gpu, gradients));
        let average = self.average.as_mut().map(|(average, _)| (average, DECAY));
        let batches = (&losses_at, losses.len());
        self.ours.step(0.1, options, batches, &mut self.parameters.0, &gradients_at, average).expect("a step");
        let outcome = self.ours.outcome().expect("a step");
        let clipped = self.ours.clipped_norm(&gradients_at).expect("a norm");

        let mut gradients: Vec<f32> = gradients.iter().map(|g| g * options.mean).collect();
        let finite = losses.iter().all(|x| x.is_finite()) && gradients.iter().all(|x| x.is_finite());
        let norm = grad_norm(&gradients);
        options.clip_norm.iter().for_each(|&max| _ = clip_grad_norm(&mut gradients, max));
        options.clip_value.iter().for_each(|&max| clip_grad_value(&mut gradients, max));
        if finite {
            self.theirs.step(0.1, &mut self.parameters.1, &gradients);
            if let Some((_, average)) = &mut self.average {
                let isa = kernels::isa().expect("an instruction set");
                update::average(isa, DECAY as f32, &mut average[..AVERAGED], &self.parameters.1[..AVERAGED]);
            }
        }
        let close = |ours: f64, theirs: f64| !finite || (ours - theirs).abs() <= 1e-13 * theirs;
        assert!(close(outcome.norm, norm), "{} {norm}", outcome.norm);
        assert!(close(clipped, grad_norm(&gradients)), "{clipped} {}", grad_norm(&gradients));
        assert_eq!((outcome.finite, self.ours.steps()), (finite, self.theirs.steps()));
        (finite, norm, clipped)
    }

    fn check(&self, what: &str) {
        let download = |values: &CudaSlice<f32>| bits(&self.gpu.stream().clone_dtoh(values).expect("copied"));
        assert!(download(&self.parameters.0) == bits(&self.parameters.1), "parameters: {what}");
        if let Some((average, expected)) = &self.average {
            assert!(download(average) == bits(expected), "the average: {what}");
        }
        for ((name, ours), (their_name, theirs)) in self.ours.state().expect("copied").iter().zip(self.theirs.state()) {
            assert_eq!(*name, their_name);
            assert!(bits(ours) == bits(theirs), "{name}: {what}");
        }
    }
}

#[test]
fn every_algorithm_has_the_bits_of_the_cpu() {
    let Some(gpu) = machine::gpu() else { return };
    let clips = [(None, None), (Some(1.0), None), (None, Some(0.5)), (Some(100.0), Some(0.25)), (Some(1e9), None)];
    for algorithm in ALGORITHMS {
        for averaging in [false, true] {
            let mut pair = Pair::new(&gpu, algorithm, averaging);
            for (step, (clip_norm, clip_value)) in clips.into_iter().enumerate() {
                let mean = if step % 2 == 0 { 1.0 } else { 1.0 / 3.0 };
                let options = Options { mean, clip_norm, clip_value };
                let (finite, norm, clipped) = pair.step(options, &[0.5, 0.25], &values(step as u64 + 2, LEN));
                assert!(finite && clipped <= norm);
                pair.check(&format!("{algorithm:?} {averaging} {step}"));
            }
        }
    }
}

#[test]
fn a_step_that_is_not_finite_changes_nothing_and_is_not_counted() {
    let Some(gpu) = machine::gpu() else { return };
    for algorithm in [ALGORITHMS[2], ALGORITHMS[4]] {
        let mut pair = Pair::new(&gpu, algorithm, true);
        let good = values(7, LEN);
        for (index, value) in [(0, f32::NAN), (LEN - 1, f32::INFINITY), (8192, f32::NEG_INFINITY)] {
            let mut bad = good.clone();
            bad[index] = value;
            assert!(pair.step(Options::default(), &[1.0], &good).0);
            assert!(!pair.step(Options::default(), &[1.0], &bad).0);
            assert!(!pair.step(Options { clip_norm: Some(1.0), ..Options::default() }, &[1.0], &bad).0);
            assert!(!pair.step(Options::default(), &[1.0, f64::NAN], &good).0);
            assert!(!pair.step(Options::default(), &[f64::INFINITY], &good).0);
            pair.check("not finite");
        }
        assert!(pair.step(Options::default(), &[1.0], &[f32::MAX; LEN]).0, "the largest gradients have a finite norm");
    }
}

#[test]
fn state_goes_from_the_cpu_to_the_gpu_and_back() {
    let Some(gpu) = machine::gpu() else { return };
    for algorithm in ALGORITHMS {
        let mut pair = Pair::new(&gpu, algorithm, false);
        pair.step(Options::default(), &[1.0], &values(3, LEN));
        let state: Vec<_> = pair.theirs.state().map(|(name, values)| (name, values.to_vec())).collect();
        let find = |name: &str| state.iter().find(|one| one.0 == name).map(|one| one.1.clone());
        pair.ours = Optimizer::new(&gpu, algorithm, groups(), LEN, 0).expect("memory");
        pair.ours.restore(1, find).expect("restored");
        pair.step(Options::default(), &[1.0], &values(4, LEN));
        pair.check("restored");
        let error = pair.ours.restore(1, |_| None).expect_err("missing").to_string();
        assert_eq!(error, format!("the optimizer's {} is missing", algorithm.state_names()[0]));
        assert!(pair.ours.restore(1, |_| Some(vec![0.0])).is_err());
    }
}

#[test]
fn gradients_of_batches_are_summed_as_on_the_cpu() {
    let Some(gpu) = machine::gpu() else { return };
    let failed = Failure::default();
    for len in [1, 3, 4, 1023, 5000] {
        for count in 1..=9 {
            let (mut ours, mut theirs) = (PairwiseSum::<BatchGradients>::default(), PairwiseSum::<Vec<f32>>::default());
            for i in 0..count {
                let values = values(i as u64, len);
                let mut gradients = match ours.free() {
                    Some(free) => free,
                    None => BatchGradients::new(&gpu, len, &failed).expect("memory"),
                };
                gpu.stream().memcpy_htod(&values, &mut gradients.values).expect("copied");
                ours.push(i..i + 1, gradients);
                theirs.push(i..i + 1, values);
            }
            let sum = ours.finish().expect("a sum").values;
            let sum = gpu.stream().clone_dtoh(&sum).expect("copied");
            assert_eq!(bits(&sum), bits(&theirs.finish().expect("a sum")), "{len} {count}");
        }
    }
    assert!(failed.borrow().is_none());
}
