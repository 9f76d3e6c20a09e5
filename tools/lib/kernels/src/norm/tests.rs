//! Against the definition in f64, its gradients by differences of it.

use super::*;
use proptest::prelude::*;
use random::Random;

const OPTIONS: BatchNormOptions = BatchNormOptions { eps: 1e-5, momentum: 0.1 };

/// A case, in f64 with the values of f32.
struct Case {
    channels: usize,
    y: Vec<f64>,
    residual: Option<Vec<f64>>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    relu: bool,
}

impl Case {
    fn draw(pixels: usize, channels: usize, seed: u64, residual: bool, relu: bool) -> Self {
        let mut random = Random::new(seed, 0);
        let mut draw =
            |n: usize, shift: f64| (0..n).map(|_| f64::from((random.normal() + shift) as f32)).collect::<Vec<_>>();
        Self {
            channels,
            y: draw(pixels * channels, 3.0),
            residual: residual.then(|| draw(pixels * channels, 0.0)),
            weight: draw(channels, 1.0),
            bias: draw(channels, 0.0),
            relu,
        }
    }

    fn statistics(&self, c: usize) -> [f64; 2] {
        let values = || self.y.iter().skip(c).step_by(self.channels);
        let count = values().count() as f64;
        let mean = values().sum::<f64>() / count;
        [mean, values().map(|y| (y - mean).powi(2)).sum::<f64>() / count]
    }

    /// The definition.
    fn forward(&self) -> Vec<f64> {
        let statistics: Vec<_> = (0..self.channels).map(|c| self.statistics(c)).collect();
        let one = |(i, y): (usize, &f64)| {
            let c = i % self.channels;
            let [mean, variance] = statistics[c];
            let z = (y - mean) / (variance + f64::from(OPTIONS.eps)).sqrt() * self.weight[c] + self.bias[c];
            let z = z + self.residual.as_ref().map_or(0.0, |r| r[i]);
            if self.relu { z.max(0.0) } else { z }
        };
        self.y.iter().enumerate().map(one).collect()
    }

    /// The change of `Σ grad_output · z` with one of the inputs.
    fn slope(&mut self, grad_output: &[f64], of: fn(&mut Self) -> &mut Vec<f64>, i: usize) -> f64 {
        const STEP: f64 = 1e-5;
        let x = of(self)[i];
        let mut loss = |x: f64| {
            of(self)[i] = x;
            self.forward().iter().zip(grad_output).map(|(z, d)| z * d).sum::<f64>()
        };
        let slope = (loss(x + STEP) - loss(x - STEP)) / (2.0 * STEP);
        of(self)[i] = x;
        slope
    }

    /// Whether some z is so near the bend of the ReLU that a difference would cross it.
    fn near_the_bend(&mut self) -> bool {
        let relu = std::mem::take(&mut self.relu);
        let near = relu && self.forward().iter().any(|z| z.abs() < 1e-3);
        self.relu = relu;
        near
    }
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

fn near(
    what: &str,
    ours: &[f32],
    expected: impl IntoIterator<Item = f64>,
    tolerance: f64,
) -> Result<(), TestCaseError> {
    for (i, (&ours, expected)) in ours.iter().zip(expected).enumerate() {
        let error = (f64::from(ours) - expected).abs();
        prop_assert!(error <= tolerance * expected.abs().max(1.0), "{what}[{i}]: {ours}, expected {expected}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn agrees_with_the_definition_and_its_differences(
        pixels in 2usize..30, channels in 1usize..20, seed: u64, residual: bool, relu: bool, in_place: bool,
    ) {
        let mut case = Case::draw(pixels, channels, seed, residual, relu);
        prop_assume!(!case.near_the_bend());
        let grad_output: Vec<f64> = Case::draw(pixels, channels, seed ^ 1, false, false).y;
        for isa in Isa::supported() {
            let mut layer = BatchNorm::on(isa, pixels, channels, OPTIONS);
            let (y, weight, bias) = (single(&case.y), single(&case.weight), single(&case.bias));
            let (mut mean, mut variance) = (vec![0.5; channels], vec![2.0; channels]);
            layer.compute_statistics(&y, RunningStatistics { mean: &mut mean, variance: &mut variance });
            let unbiased = pixels as f64 / (pixels as f64 - 1.0);
            near("running mean", &mean, (0..channels).map(|c| 0.45 + 0.1 * case.statistics(c)[0]), 1e-5)?;
            near("running variance", &variance, (0..channels).map(|c| 1.8 + 0.1 * unbiased * case.statistics(c)[1]), 1e-5)?;

            let residual = case.residual.as_deref().map(single);
            let mut z = vec![f32::NAN; y.len()];
            layer.forward(&y, &weight, &bias, Epilogue { residual: residual.as_deref(), relu }, &mut z);
            near("output", &z, case.forward(), 1e-4)?;

            let (mut d, mut out) = (single(&grad_output), vec![f32::NAN; y.len()]);
            let (mut dw, mut db) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
            let epilogue = match (relu, &residual) {
                (false, _) => ForwardEpilogue::Linear,
                (true, None) => ForwardEpilogue::Relu,
                (true, Some(_)) => ForwardEpilogue::ResidualRelu { z: &z },
            };
            let batch = BackwardPass { y: &y, epilogue, grad_weight: &mut dw, grad_bias: &mut db };
            layer.backward(batch, &mut d, (!in_place).then_some(&mut out));
            let ours = if in_place { &d } else { &out };
            // Both sides cancel terms of the size of 1/σ: the error is measured by it.
            let sigma: Vec<_> = (0..channels).map(|c| case.statistics(c)[1].sqrt().clamp(OPTIONS.eps.into(), 1.0)).collect();
            let scaled = |(i, d): (usize, f32)| d * sigma[i % channels] as f32;
            let ours: Vec<_> = ours.iter().copied().enumerate().map(scaled).collect();
            near("input gradient × σ", &ours, (0..y.len()).map(|i| case.slope(&grad_output, |c| &mut c.y, i) * sigma[i % channels]), 1e-3)?;
            near("weight gradient", &dw, (0..channels).map(|i| case.slope(&grad_output, |c| &mut c.weight, i)), 1e-3)?;
            near("bias gradient", &db, (0..channels).map(|i| case.slope(&grad_output, |c| &mut c.bias, i)), 1e-3)?;
            if !in_place && case.residual.is_some() {
                let slopes: Vec<f64> = (0..y.len()).map(|i| case.slope(&grad_output, |c| c.residual.as_mut().expect("one"), i)).collect();
                near("residual gradient", &d, slopes, 1e-3)?;
            }
        }
    }
}

#[test]
fn instruction_sets_and_threads_give_the_same_bits() {
    for residual in [false, true] {
        same_bits(&Case::draw(5000, 16, 3, residual, true));
    }
}

fn same_bits(case: &Case) {
    let (pixels, channels) = (case.y.len() / case.channels, case.channels);
    let (y, weight, bias) = (single(&case.y), single(&case.weight), single(&case.bias));
    let residual = case.residual.as_deref().map(single);
    let run = |isa: Isa| {
        let mut layer = BatchNorm::on(isa, pixels, channels, OPTIONS);
        let (mut mean, mut variance) = (vec![0.0; channels], vec![1.0; channels]);
        layer.compute_statistics(&y, RunningStatistics { mean: &mut mean, variance: &mut variance });
        let (mut z, mut d) = (vec![0.0; y.len()], y.clone());
        layer.forward(&y, &weight, &bias, Epilogue { residual: residual.as_deref(), relu: true }, &mut z);
        let (mut dw, mut db) = (vec![0.0; channels], vec![0.0; channels]);
        let epilogue = if residual.is_some() { ForwardEpilogue::ResidualRelu { z: &z } } else { ForwardEpilogue::Relu };
        layer.backward(BackwardPass { y: &y, epilogue, grad_weight: &mut dw, grad_bias: &mut db }, &mut d, None);
        [mean, variance, z, d, dw, db].map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
    };
    let expected = run(Isa::Baseline);
    for threads in 1..4 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        assert!(Isa::supported().all(|isa| pool.install(|| run(isa)) == expected), "{threads} threads");
    }
}

#[test]
fn a_large_mean_does_not_drown_the_variance() {
    let y: Vec<f32> = (0..100_000).map(|i| 4096.0 + (i % 7) as f32).collect();
    let mut layer = BatchNorm::new(y.len(), 1, BatchNormOptions { eps: 0.0, momentum: 1.0 });
    let (mut mean, mut variance) = ([0.0], [0.0]);
    layer.compute_statistics(&y, RunningStatistics { mean: &mut mean, variance: &mut variance });
    let exact = y.iter().map(|y| f64::from(y - 4096.0)).sum::<f64>() / y.len() as f64;
    let spread = y.iter().map(|y| (f64::from(y - 4096.0) - exact).powi(2)).sum::<f64>() / (y.len() - 1) as f64;
    assert!((f64::from(mean[0]) - 4096.0 - exact).abs() < 1e-3, "{mean:?} {exact}");
    assert!((f64::from(variance[0]) / spread - 1.0).abs() < 1e-5, "{variance:?} {spread}");
}

#[test]
fn inference_normalizes_with_given_statistics() {
    let mut layer = BatchNorm::new(2, 2, BatchNormOptions { eps: 0.0, momentum: 0.1 });
    layer.set_statistics(&[1.0, 2.0], &[4.0, 1.0]);
    let mut z = [0.0; 4];
    layer.forward(&[3.0, 2.0, -3.0, 3.0], &[1.0, 2.0], &[0.5, 0.0], Epilogue { residual: None, relu: true }, &mut z);
    assert_eq!(z, [1.5, 0.0, 0.0, 2.0]);
}
