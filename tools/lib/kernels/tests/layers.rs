//! Convolutions, batch normalization and pooling against PyTorch, on every instruction set that this
//! machine has. `fixtures/make_layers.py` made the values and describes their format.

use kernels::{
    Isa, Operand,
    conv::{Algorithm, Conv, ConvShape},
    norm::{BackwardPass, BatchNorm, BatchNormOptions, Epilogue, ForwardEpilogue, RunningStatistics},
    pool::Pool,
};

/// Errors are below this share of a tensor's largest element.
const TOLERANCE: f32 = 3e-6;

fn values(seed: usize, len: usize) -> Vec<f32> {
    let number = |i: usize| (i * 7919 + seed * 104_729) % 1009;
    (0..len).map(|i| (number(i) as f32 - 504.0) / 256.0).collect()
}

#[track_caller]
fn agrees(name: &str, ours: &[f32]) {
    let lines = include_str!("fixtures/layers.txt").lines();
    let line = lines.filter_map(|line| line.split_once(": ")).find(|line| line.0 == name);
    let numbers = line.unwrap_or_else(|| panic!("no {name}")).1.split(' ');
    let expected: Vec<f32> = numbers.map(|x| x.parse().expect("a number")).collect();
    assert_eq!(ours.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(0.0, |m: f32, x| m.max(x.abs()));
    for (i, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        assert!((ours - expected).abs() <= TOLERANCE * largest, "{name}[{i}]: {ours}, expected {expected}");
    }
}

#[test]
fn convolutions_are_those_of_pytorch() {
    let direct = ConvShape { images: 2, height: 7, width: 6, inputs: 3, outputs: 5, kernel: 3, stride: 2, padding: 1 };
    let pointwise =
        ConvShape { images: 2, height: 5, width: 6, inputs: 4, outputs: 6, kernel: 1, stride: 2, padding: 0 };
    let winograd =
        ConvShape { images: 1, height: 5, width: 6, inputs: 16, outputs: 16, kernel: 3, stride: 1, padding: 1 };
    for isa in Isa::supported() {
        convolution("direct", &Conv::with(isa, Algorithm::Direct, direct).expect("a shape"));
        convolution("pointwise", &Conv::with(isa, Algorithm::Direct, pointwise).expect("a shape"));
        convolution("winograd", &Conv::with(isa, Algorithm::Direct, winograd).expect("a shape"));
        convolution("winograd", &Conv::with(isa, Algorithm::Winograd, winograd).expect("a shape"));
    }
}

fn convolution(case: &str, conv: &Conv) {
    let s = conv.shape();
    let (x, w, grad_output) = (values(1, s.input_len()), values(2, s.weights_len()), values(3, s.output_len()));
    let mut workspace = vec![0.0; conv.workspace_len(1)];
    let (mut packed, mut y) = (vec![0.0; conv.packed_forward_len()], vec![0.0; s.output_len()]);
    conv.pack_forward(&w, &mut packed);
    conv.forward(Operand::Plain(&x), &packed, &mut y, &mut workspace);
    agrees(&format!("{case}.output"), &y);
    let (mut packed, mut dx) = (vec![0.0; conv.packed_backward_len()], vec![0.0; s.input_len()]);
    conv.pack_backward(&w, &mut packed);
    conv.backward_input(&grad_output, &packed, &mut dx, false, &mut workspace);
    agrees(&format!("{case}.input"), &dx);
    let mut dw = vec![0.0; s.weights_len()];
    conv.backward_weights(&x, &grad_output, &mut dw, &mut workspace);
    agrees(&format!("{case}.weights"), &dw);
}

#[test]
fn batch_normalization_is_that_of_pytorch() {
    let (pixels, channels) = (11, 5);
    let (y, residual) = (values(4, pixels * channels), values(5, pixels * channels));
    let (weight, bias) = (values(6, channels), values(7, channels));
    for isa in Isa::supported() {
        let mut layer = BatchNorm::on(isa, pixels, channels, BatchNormOptions { eps: 1e-5, momentum: 0.1 });
        let (mut mean, mut variance) = (values(8, channels), values(9, channels));
        variance.iter_mut().for_each(|x| *x = x.abs());
        let mut z = vec![0.0; y.len()];
        layer.set_statistics(&mean, &variance);
        layer.forward(&y, &weight, &bias, Epilogue::default(), &mut z);
        agrees("norm.inference", &z);
        layer.compute_statistics(&y, RunningStatistics { mean: &mut mean, variance: &mut variance });
        agrees("norm.mean", &mean);
        agrees("norm.variance", &variance);
        layer.forward(&y, &weight, &bias, Epilogue { residual: Some(&residual), relu: true }, &mut z);
        agrees("norm.output", &z);
        let (mut grad_output, mut dy) = (values(10, y.len()), vec![0.0; y.len()]);
        let (mut dweight, mut dbias) = (vec![0.0; channels], vec![0.0; channels]);
        let batch = BackwardPass {
            y: &y,
            epilogue: ForwardEpilogue::ResidualRelu { z: &z },
            grad_weight: &mut dweight,
            grad_bias: &mut dbias,
        };
        layer.backward(batch, &mut grad_output, Some(&mut dy));
        agrees("norm.input", &dy);
        agrees("norm.residual", &grad_output);
        agrees("norm.weight", &dweight);
        agrees("norm.bias", &dbias);
    }
}

#[test]
fn pooling_is_that_of_pytorch() {
    let x = values(11, 2 * 5 * 4 * 3);
    for isa in Isa::supported() {
        let pool = Pool::on(isa, 5, 4, 3, [2, 2]);
        let (mut y, mut dx) = (vec![0.0; 2 * 2 * 2 * 3], vec![0.0; x.len()]);
        pool.max(&x, &mut y);
        agrees("pool.max", &y);
        pool.max_backward(&x, &values(12, y.len()), &mut dx, false);
        agrees("pool.max_input", &dx);
        pool.average(&x, &mut y);
        agrees("pool.mean", &y);
        pool.average_backward(&values(13, y.len()), &mut dx, false);
        agrees("pool.mean_input", &dx);
    }
}
