//! Every direction against its definition, over odd sizes, threads and instruction sets.

use super::{reference, *};
use crate::norm::{BackwardPass, BatchNorm, BatchNormOptions, Epilogue, ForwardEpilogue, RunningStatistics};
use proptest::prelude::*;
use random::Random;

fn draw(seed: u64, stream: u64, len: usize) -> Vec<f32> {
    let mut random = Random::new(seed, stream);
    (0..len).map(|_| random.normal() as f32).collect()
}

/// Errors stay within this share of the magnitudes that are summed. Winograd's algorithm adds and subtracts
/// neighbours too, so there it is a share of the largest such sum.
const TOLERANCE: [f64; 2] = [2e-6, 1e-5];

fn close(method: Algorithm, what: &str, ours: &[f32], expected: &[[f64; 2]]) -> Result<(), TestCaseError> {
    prop_assert_eq!(ours.len(), expected.len());
    let largest = expected.iter().map(|e| e[1]).fold(0.0, f64::max);
    for (i, (&ours, &[expected, scale])) in ours.iter().zip(expected).enumerate() {
        let tolerance = match method {
            Algorithm::Direct => TOLERANCE[0] * scale,
            Algorithm::Winograd => TOLERANCE[1] * largest,
        };
        let error = (f64::from(ours) - expected).abs();
        prop_assert!(error <= tolerance, "{what}[{i}]: {ours}, expected {expected} ± {tolerance}");
    }
    Ok(())
}

fn agrees(conv: &Conv, threads: usize, seed: u64) -> Result<[Vec<f32>; 3], TestCaseError> {
    let (s, method) = (*conv.shape(), conv.algorithm());
    let (x, w, dy) = (draw(seed, 0, s.input_len()), draw(seed, 1, s.weights_len()), draw(seed, 2, s.output_len()));
    // What buffers hold before must not matter, nor must workspace.
    let dirty = |len: usize| vec![f32::NAN; len];
    let mut workspace = dirty(conv.workspace_len(threads));

    let (mut memory, mut y) = (dirty(conv.packed_forward_len() + 16), dirty(s.output_len()));
    // Where a line of a cache begins: only such lines are written past the caches.
    let start = memory.as_ptr().align_offset(64);
    let packed = &mut memory[start..][..conv.packed_forward_len()];
    conv.pack_forward(&w, packed);
    conv.forward(Operand::Plain(&x), packed, &mut y, &mut workspace);
    let expected = reference::sums(y.len(), |add| reference::products(&s, |o, i, k| add(o, x[i], w[k])));
    close(method, "output", &y, &expected)?;

    let (mut packed, mut dx) = (dirty(conv.packed_backward_len()), dirty(s.input_len()));
    workspace.fill(f32::NAN);
    conv.pack_backward(&w, &mut packed);
    conv.backward_input(&dy, &packed, &mut dx, false, &mut workspace);
    let mut expected = reference::sums(dx.len(), |add| reference::products(&s, |o, i, k| add(i, dy[o], w[k])));
    close(method, "input gradient", &dx, &expected)?;
    let mut sum = x.clone();
    conv.backward_input(&dy, &packed, &mut sum, true, &mut workspace);
    expected.iter_mut().zip(&x).for_each(|(e, &x)| *e = [e[0] + f64::from(x), e[1] + f64::from(x.abs())]);
    close(method, "accumulated input gradient", &sum, &expected)?;

    let mut dw = dirty(s.weights_len());
    workspace.fill(f32::NAN);
    conv.backward_weights(&x, &dy, &mut dw, &mut workspace);
    let expected = reference::sums(dw.len(), |add| reference::products(&s, |o, i, k| add(k, x[i], dy[o])));
    close(method, "weight gradient", &dw, &expected)?;
    Ok([y, dx, dw])
}

prop_compose! {
    fn shapes()(kernel in 1usize..6, stride in 1usize..4)(
        kernel in Just(kernel), stride in Just(stride), padding in 0..kernel,
        images in 1usize..4, height in kernel..12, width in kernel..12,
        inputs in 1usize..20, outputs in 1usize..36,
    ) -> ConvShape {
        ConvShape { images, height, width, inputs, outputs, kernel, stride, padding }
    }
}

prop_compose! {
    fn winograd_shapes()(
        padding in 0usize..3, images in 1usize..8, height in 3usize..14, width in 3usize..14, inputs in 1usize..5, outputs in 1usize..7,
    ) -> ConvShape {
        ConvShape { images, height, width, inputs: 8 * inputs, outputs: 8 * outputs, kernel: 3, stride: 1, padding }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn winograd_agrees_with_the_definition_and_has_the_same_bits_on_every_instruction_set(s in winograd_shapes(), seed: u64) {
        agrees_on_every_instruction_set(Algorithm::Winograd, s, seed)?;
    }

    #[test]
    fn agrees_with_the_definition_and_has_the_same_bits_on_every_instruction_set(s in shapes(), seed: u64) {
        agrees_on_every_instruction_set(Algorithm::Direct, s, seed)?;
    }
}

fn agrees_on_every_instruction_set(method: Algorithm, s: ConvShape, seed: u64) -> Result<(), TestCaseError> {
    let run = |isa| agrees(&Conv::with(isa, method, s).expect("a shape"), 1, seed).map(bits);
    let expected = run(Isa::Baseline)?;
    for isa in Isa::supported() {
        prop_assert!(run(isa)? == expected, "{isa}");
    }
    Ok(())
}

fn bits(results: [Vec<f32>; 3]) -> [Vec<u32>; 3] {
    results.map(|values| values.into_iter().map(f32::to_bits).collect())
}

fn shape(images: usize, size: usize, [inputs, outputs]: [usize; 2], kernel: usize, stride: usize) -> ConvShape {
    ConvShape { images, height: size, width: size, inputs, outputs, kernel, stride, padding: kernel / 2 }
}

/// The layers of ResNet-20 and some of ResNet-18, on few images.
fn layers() -> Vec<ConvShape> {
    vec![
        shape(5, 32, [3, 16], 3, 1),
        shape(3, 32, [16, 16], 3, 1),
        shape(3, 32, [16, 32], 3, 2),
        shape(9, 16, [32, 32], 3, 1),
        shape(35, 8, [64, 64], 3, 1),
        shape(1, 32, [64, 64], 3, 1),
        shape(2, 32, [64, 128], 1, 2),
        shape(3, 8, [256, 256], 3, 1),
        shape(2, 31, [24, 64], 3, 1),
        // Blocks of channels of every size; several stages.
        shape(8, 5, [104, 72], 3, 1),
        shape(112, 4, [8, 576], 3, 1),
        // Weights that are written past the caches.
        shape(1, 4, [344, 352], 3, 1),
    ]
}

#[test]
fn weights_are_packed_alike_wherever_they_go() {
    let s = shape(1, 4, [344, 352], 3, 1);
    let w = draw(3, 1, s.weights_len());
    for isa in Isa::supported() {
        let conv = Conv::with(isa, Algorithm::Winograd, s).expect("a shape");
        let mut memory = vec![0.0; conv.packed_forward_len() + 16];
        let mut packed = |start: usize| {
            let packed = &mut memory[start..][..conv.packed_forward_len()];
            packed.fill(f32::NAN);
            conv.pack_forward(&w, packed);
            packed.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        // One of them is where a line of a cache begins.
        let first = packed(0);
        assert!((1..16).all(|start| packed(start) == first), "{isa:?}");
    }
}

#[test]
fn layers_of_resnets_agree_and_threads_do_not_matter() {
    for s in layers() {
        let conv = Conv::new(s).expect("a shape");
        assert_eq!(conv.algorithm() == Algorithm::Winograd, s.inputs > 3 && s.kernel == 3 && s.stride == 1, "{s:?}");
        let run = |threads: usize| {
            on_threads(threads, || agrees(&conv, threads, 7)).unwrap_or_else(|error| panic!("{s:?}: {error}"))
        };
        let one = bits(run(1));
        assert!(one == bits(run(2)) && one == bits(run(3)), "{s:?}");
    }
}

fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads").install(work)
}

/// What follows the norm of a convolution's input.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Linear,
    Relu,
    ResidualRelu,
}

impl Kind {
    fn epilogue(self, z: &[f32]) -> ForwardEpilogue<'_> {
        match self {
            Self::Linear => ForwardEpilogue::Linear,
            Self::Relu => ForwardEpilogue::Relu,
            Self::ResidualRelu => ForwardEpilogue::ResidualRelu { z },
        }
    }
}

/// A convolution between two norms, as in a block.
struct Block {
    conv: Conv,
    kind: Kind,
    norms: [BatchNorm; 2],
    packed: [Vec<f32>; 2],
    y: [Vec<f32>; 2],
    /// What the first makes of its input, and the gradient of what the second makes of its own.
    z: Vec<f32>,
    grad_output: Vec<f32>,
}

impl Block {
    fn new(isa: Isa, s: ConvShape, kind: Kind) -> Self {
        let conv = Conv::with(isa, Conv::new(s).expect("a shape").algorithm(), s).expect("a shape");
        let (weights, mut packed) = (draw(5, 0, s.weights_len()), [Vec::new(), Vec::new()]);
        packed[0].resize(conv.packed_forward_len(), 0.0);
        packed[1].resize(conv.packed_backward_len(), 0.0);
        conv.pack_forward(&weights, &mut packed[0]);
        conv.pack_backward(&weights, &mut packed[1]);
        let y = [draw(5, 1, s.input_len()), draw(5, 2, s.output_len())];
        let options = BatchNormOptions { eps: 1e-5, momentum: 0.1 };
        let norm = |y: &[f32], channels: usize, stream: u64| {
            let mut norm = BatchNorm::on(isa, y.len() / channels, channels, options);
            let (mut mean, mut variance) = (vec![0.0; channels], vec![0.0; channels]);
            norm.compute_statistics(y, RunningStatistics { mean: &mut mean, variance: &mut variance });
            norm.prepare(&draw(6, stream, channels), &draw(7, stream, channels));
            norm
        };
        let mut norms = [norm(&y[0], s.inputs, 0), norm(&y[1], s.outputs, 1)];
        let (mut z, summand) = (vec![0.0; s.input_len()], draw(5, 3, s.input_len()));
        let residual = (kind == Kind::ResidualRelu).then_some(&summand[..]);
        let then = Epilogue { residual, relu: kind != Kind::Linear };
        norms[0].forward(&y[0], &draw(6, 0, s.inputs), &draw(7, 0, s.inputs), then, &mut z);
        // The gradient of the second norm's result, reduced.
        let mut grad_output = draw(5, 4, s.output_len());
        let (grad_weight, grad_bias) = (&mut vec![0.0; s.outputs], &mut vec![0.0; s.outputs]);
        let batch = BackwardPass { y: &y[1], epilogue: ForwardEpilogue::Relu, grad_weight, grad_bias };
        norms[1].reduce(batch, &mut grad_output);
        Self { conv, kind, norms, packed, y, z, grad_output }
    }

    /// The output; the gradients of the weights, of the first norm's result and of its parameters.
    fn apart(mut self, start: Option<&[f32]>) -> [Vec<f32>; 5] {
        let s = *self.conv.shape();
        let mut workspace = vec![f32::NAN; self.conv.workspace_len(3)];
        let (mut out, mut grad_output) = (vec![0.0; s.output_len()], self.grad_output.clone());
        self.conv.forward(Operand::Plain(&self.z), &self.packed[0], &mut out, &mut workspace);
        self.norms[1].grad_input(&self.y[1], &mut grad_output, true, None);
        let (mut weights, mut dz) = (vec![0.0; s.weights_len()], start_of(start, s.input_len()));
        self.conv.backward_weights(&self.z, &grad_output, &mut weights, &mut workspace);
        self.conv.backward_input(&grad_output, &self.packed[1], &mut dz, start.is_some(), &mut workspace);
        let (mut grad_weight, mut grad_bias) = (vec![0.0; s.inputs], vec![0.0; s.inputs]);
        let [weight, bias] = [&mut grad_weight, &mut grad_bias];
        let batch =
            BackwardPass { y: &self.y[0], epilogue: self.kind.epilogue(&self.z), grad_weight: weight, grad_bias: bias };
        self.norms[0].reduce(batch, &mut dz);
        [out, weights, dz, grad_weight, grad_bias]
    }

    /// The same, with what the norms leave to the convolution.
    fn fused(mut self, start: Option<&[f32]>) -> [Vec<f32>; 5] {
        let s = *self.conv.shape();
        let mut workspace = vec![f32::NAN; self.conv.workspace_len(3)];
        let mut out = vec![0.0; s.output_len()];
        let input = match self.kind {
            Kind::ResidualRelu => Operand::Plain(&self.z[..]),
            kind => self.norms[0].normalized(&self.y[0], kind == Kind::Relu),
        };
        self.conv.forward(input, &self.packed[0], &mut out, &mut workspace);
        let grad_output = self.norms[1].grad_input_operand(&self.y[1], &self.grad_output, true);
        let (mut weights, mut dz) = (vec![f32::NAN; s.weights_len()], start_of(start, s.input_len()));
        let mut partials = vec![f32::NAN; self.conv.reduction_len()];
        let reduction = Some((self.norms[0].reduction(&self.y[0], self.kind.epilogue(&self.z)), &mut partials[..]));
        let wanted = GradInput { packed: &self.packed[1], grad_input: &mut dz, accumulate: start.is_some(), reduction };
        self.conv.backward([input, grad_output], &mut weights, Some(wanted), &mut workspace);
        let (mut grad_weight, mut grad_bias) = (vec![0.0; s.inputs], vec![0.0; s.inputs]);
        self.norms[0].finish_reduction(&partials, &mut grad_weight, &mut grad_bias);
        [out, weights, dz, grad_weight, grad_bias]
    }
}

/// What the gradient is added to; where nothing, what it replaces.
fn start_of(start: Option<&[f32]>, len: usize) -> Vec<f32> {
    start.map_or_else(|| vec![f32::NAN; len], <[f32]>::to_vec)
}

#[test]
fn what_norms_leave_is_what_they_would_do() {
    let mut fusing: Vec<_> = layers().into_iter().filter(ConvShape::fuses).collect();
    assert_eq!(fusing.iter().map(|s| s.inputs).collect::<Vec<_>>(), [16, 32, 64]);
    fusing.push(shape(35, 7, [24, 8], 3, 1));
    for (s, isa) in fusing.into_iter().flat_map(|s| Isa::supported().map(move |isa| (s, isa))) {
        for kind in [Kind::Linear, Kind::Relu, Kind::ResidualRelu] {
            let start = (kind != Kind::Relu).then(|| draw(8, 0, s.input_len()));
            let expected = Block::new(isa, s, kind).apart(start.as_deref());
            for threads in 1..4 {
                let found = on_threads(threads, || Block::new(isa, s, kind).fused(start.as_deref()));
                let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                for i in 0..3 {
                    assert!(bits(&found[i]) == bits(&expected[i]), "{s:?}, {isa}, {kind:?}, {threads} threads: {i}");
                }
                // Sums of other blocks: rounded otherwise.
                for (found, expected) in found[3..].iter().zip(&expected[3..]) {
                    let largest = expected.iter().fold(0.0, |m: f32, x| m.max(x.abs()));
                    let near = found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-5 * largest);
                    assert!(near, "{s:?}, {isa}, {kind:?}: {found:?}, expected {expected:?}");
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "an operand with a prologue")]
fn what_a_layer_cannot_do_is_told() {
    let block = Block::new(Isa::chosen(), shape(1, 4, [3, 3], 3, 1), Kind::Relu);
    let input = block.norms[0].normalized(&block.y[0], true);
    block.conv.forward(input, &block.packed[0], &mut [0.0; 48], &mut vec![0.0; block.conv.workspace_len(1)]);
}

#[test]
fn shapes_that_make_no_convolution() {
    let good = shape(1, 4, [1, 1], 3, 1);
    let error = |s| Conv::new(s).expect_err("no convolution").to_string();
    assert_eq!(error(ConvShape { inputs: 0, ..good }), "a convolution with a size of 0");
    assert_eq!(error(ConvShape { padding: 3, ..good }), "padding 3 with a kernel of 3; expected less");
    assert_eq!(error(ConvShape { height: 2, padding: 0, ..good }), "a kernel of 3 on an input of 2 × 4 with padding 0");
    assert_eq!(error(ConvShape { images: usize::MAX, ..good }), "a convolution too large for this machine's memory");
    assert_eq!(error(ConvShape { height: usize::MAX, ..good }), "a convolution too large for this machine's memory");
}

#[test]
fn the_moments_of_an_output_are_its_statistics() {
    for s in layers() {
        let conv = Conv::new(s).expect("a shape");
        let (x, w) = (draw(1, 0, s.input_len()), draw(1, 1, s.weights_len()));
        let (mut packed, mut y) = (vec![0.0; conv.packed_forward_len()], vec![0.0; s.output_len()]);
        let (mut statistics, mut workspace) = (vec![f32::NAN; conv.statistics_len()], vec![0.0; conv.workspace_len(2)]);
        conv.pack_forward(&w, &mut packed);
        conv.forward_with_statistics(Operand::Plain(&x), &packed, &mut y, &mut statistics, &mut workspace);
        let (mut mean, mut variance) = (vec![0.0; s.outputs], vec![0.0; s.outputs]);
        let count = crate::norm::statistics::combine(&statistics, s.outputs, &mut mean, &mut variance);
        assert_eq!(count as usize, s.output_len() / s.outputs, "{s:?}");
        for c in 0..s.outputs {
            let values = || y.iter().skip(c).step_by(s.outputs).map(|&y| f64::from(y));
            let expected = values().sum::<f64>() / count;
            let expected_variance = values().map(|y| (y - expected).powi(2)).sum::<f64>() / count;
            assert!((f64::from(mean[c]) - expected).abs() <= 1e-6 * expected_variance.sqrt(), "{s:?}");
            assert!((f64::from(variance[c]) / expected_variance - 1.0).abs() <= 1e-5, "{s:?}");
        }
    }
}

#[test]
#[should_panic(expected = "elements of the input")]
fn a_wrong_length_is_told() {
    let conv = Conv::new(shape(1, 4, [1, 1], 3, 1)).expect("a shape");
    conv.forward(Operand::Plain(&[0.0; 15]), &[0.0; 9 * 16], &mut [0.0; 16], &mut vec![0.0; conv.workspace_len(1)]);
}
