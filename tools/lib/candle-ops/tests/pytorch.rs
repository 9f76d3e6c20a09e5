//! The kernels behind candle's tensors against candle's own operations and against PyTorch
//! (`kernels/tests/fixtures/make_layers.py`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{DType, Device, Module, ModuleT, Result, Tensor, Var};
use candle_nn::{AdamW, BatchNormConfig, Conv2dConfig, Linear, Optimizer, SGD, VarBuilder, VarMap};
use candle_ops::{BatchNorm, Conv2d, avg_pool2d, batch_norm, batch_norm_relu, conv2d, gelu, max_pool2d};

const CPU: Device = Device::Cpu;

/// The values that the fixtures are computed from: exact in f32, between -2 and 2.
fn values(seed: usize, dims: &[usize]) -> Tensor {
    let number = |i: usize| (((i * 7919 + seed * 104_729) % 1009) as f32 - 504.0) / 256.0;
    Tensor::from_iter((0..dims.iter().product()).map(number), &CPU).unwrap().reshape(dims).unwrap()
}

fn var(seed: usize, dims: &[usize]) -> Var {
    Var::from_tensor(&values(seed, dims)).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Errors are below this share of a tensor's largest element, or of 0.01 where gradients cancel to less.
#[track_caller]
fn assert_close(ours: &[f32], theirs: &[f32], tolerance: f32, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(1e-2f32, |largest, x| largest.max(x.abs()));
    for (i, (x, y)) in ours.iter().zip(theirs).enumerate() {
        assert!((x - y).abs() <= tolerance * largest, "{what}: {i}: {x}, expected {y}");
    }
}

#[track_caller]
fn is_pytorchs(ours: &Tensor, name: &str) {
    let mut lines = include_str!("../../kernels/tests/fixtures/layers.txt").lines();
    let numbers = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap();
    let theirs: Vec<f32> = numbers.split(' ').map(|x| x.parse().unwrap()).collect();
    assert_close(&flat(ours), &theirs, 3e-6, name);
}

/// `y` with the gradients of `vars` for `(y · probe).sum()`, the probe is from [`values`].
fn gradients(y: &Tensor, seed: usize, vars: &[&Var]) -> Vec<Tensor> {
    let store = (y * values(seed, y.dims())).unwrap().sum_all().unwrap().backward().unwrap();
    vars.iter().map(|var| store.get(var).unwrap().clone()).collect()
}

/// From `[rows, height, width, channels]`, where it lies, to what candle takes, and back.
fn nchw(x: &Tensor) -> Tensor {
    x.permute((0, 3, 1, 2)).unwrap()
}

fn nhwc(x: &Tensor) -> Tensor {
    x.permute((0, 2, 3, 1)).unwrap()
}

#[test]
fn convolutions_are_those_of_pytorch() {
    let cases = [
        ("direct", [2, 7, 6, 3], [5, 3, 3, 3], 2, 1),
        ("pointwise", [2, 5, 6, 4], [6, 4, 1, 1], 2, 0),
        ("winograd", [1, 5, 6, 16], [16, 16, 3, 3], 1, 1),
    ];
    for (name, input, weight, stride, padding) in cases {
        let (x, weight) = (var(1, &input), var(2, &weight));
        let y = nhwc(&conv2d(&nchw(&x), &weight, padding, stride, 1, 1).unwrap());
        is_pytorchs(&y, &format!("{name}.output"));
        let found = gradients(&y, 3, &[&x, &weight]);
        is_pytorchs(&found[0], &format!("{name}.input"));
        is_pytorchs(&found[1], &format!("{name}.weights"));
    }
}

#[test]
fn batch_normalization_is_that_of_pytorch() {
    let (x, residual, weight, bias) = (var(4, &[11, 5]), var(5, &[11, 5]), var(6, &[5]), var(7, &[5]));
    let (mean, variance) = (values(8, &[5]), values(9, &[5]).abs().unwrap());
    let found = batch_norm(&x, &weight, &bias, 1e-5).unwrap();
    let follow = |running: Tensor, batch: &Tensor| (running * 0.9).unwrap().add(&(batch * 0.1).unwrap()).unwrap();
    is_pytorchs(&follow(mean, &found.mean), "norm.mean");
    is_pytorchs(&follow(variance, &found.variance), "norm.variance");
    let y = (found.output + residual.as_tensor()).unwrap().relu().unwrap();
    is_pytorchs(&y, "norm.output");
    let names = ["norm.input", "norm.residual", "norm.weight", "norm.bias"];
    let found = gradients(&y, 10, &[&x, &residual, &weight, &bias]);
    found.iter().zip(names).for_each(|(found, name)| is_pytorchs(found, name));
}

#[test]
fn pooling_is_that_of_pytorch() {
    for (pool, output, input, seed) in [
        (max_pool2d as fn(&Tensor, usize) -> Result<Tensor>, "pool.max", "pool.max_input", 12),
        (avg_pool2d, "pool.mean", "pool.mean_input", 13),
    ] {
        let x = var(11, &[2, 5, 4, 3]);
        let y = nhwc(&pool(&nchw(&x), 2).unwrap());
        is_pytorchs(&y, output);
        is_pytorchs(&gradients(&y, seed, &[&x])[0], input);
    }
}

/// Shapes of a variable, and how it becomes an input `[rows, channels, height, width]`.
type View = (&'static str, fn([usize; 4]) -> Vec<usize>, fn(&Tensor, [usize; 4]) -> Result<Tensor>);
const VIEWS: [View; 6] = [
    ("as it is", |d| d.to_vec(), |x, _| Ok(x.clone())),
    ("channels last", |[n, c, h, w]| vec![n, h, w, c], |x, _| x.permute((0, 3, 1, 2))),
    ("transposed", |[n, c, h, w]| vec![n, c, w, h], |x, _| x.transpose(2, 3)),
    ("later rows", |[n, c, h, w]| vec![n + 3, c, h, w], |x, [n, ..]| x.narrow(0, 2, n)),
    ("middle columns", |[n, c, h, w]| vec![n, c, h, w + 3], |x, [.., w]| x.narrow(3, 1, w)),
    ("broadcast", |[_, c, h, w]| vec![1, c, h, w], |x, d| x.broadcast_as(&d)),
];

/// A convolution as sums of products of matrices, which candle derives.
fn products(x: &Tensor, weight: &Tensor, padding: usize, stride: usize) -> Result<Tensor> {
    let x = x.contiguous()?.pad_with_zeros(2, padding, padding)?.pad_with_zeros(3, padding, padding)?;
    let ((n, c, height, width), (outputs, _, kernel, _)) = (x.dims4()?, weight.dims4()?);
    let (h, w) = ((height - kernel) / stride + 1, (width - kernel) / stride + 1);
    let places = |first: usize, count: usize| Tensor::from_iter((0..count).map(|i| (first + i * stride) as u32), &CPU);
    let mut sum = Tensor::zeros((n, outputs, h * w), DType::F32, &CPU)?;
    for (row, column) in (0..kernel * kernel).map(|i| (i / kernel, i % kernel)) {
        let seen = x.index_select(&places(row, h)?, 2)?.index_select(&places(column, w)?, 3)?;
        let factor = weight.narrow(2, row, 1)?.narrow(3, column, 1)?.reshape((1, outputs, c))?;
        let factor = factor.broadcast_as((n, outputs, c))?.contiguous()?;
        sum = (sum + factor.matmul(&seen.reshape((n, c, h * w))?)?)?;
    }
    sum.reshape((n, outputs, h, w))
}

#[test]
fn convolutions_are_those_of_candle() {
    // Input, outputs, kernel, stride, padding.
    let cases = [
        ([1, 1, 1, 1], 1, 1, 1, 0),
        ([1, 3, 5, 7], 4, 3, 1, 1),
        ([3, 2, 9, 4], 1, 3, 2, 1),
        ([2, 5, 8, 8], 7, 1, 1, 0),
        ([2, 5, 7, 8], 7, 1, 2, 0),
        ([1, 2, 11, 10], 3, 5, 3, 2),
        ([2, 3, 6, 6], 2, 2, 2, 0),
        ([2, 3, 4, 4], 2, 4, 1, 0),
        ([2, 16, 9, 10], 16, 3, 1, 1),
        ([1, 32, 6, 5], 16, 3, 1, 0),
        ([2, 16, 8, 8], 32, 3, 2, 1),
    ];
    for (dims, outputs, kernel, stride, padding) in cases {
        for (name, shape, view) in VIEWS {
            let what = format!("{dims:?} → {outputs}, kernel {kernel}, stride {stride}, padding {padding}, {name}");
            let (x, weight) = (var(1, &shape(dims)), var(2, &[kernel, outputs, dims[1], kernel]));
            // Weights that are views, too.
            let (input, weights) = (view(&x, dims).unwrap(), weight.transpose(0, 1).unwrap().transpose(1, 2).unwrap());
            let ours = conv2d(&input, &weights, padding, stride, 1, 1).unwrap();
            assert!(ours.is_contiguous(), "{what}");
            let found = gradients(&ours, 3, &[&x, &weight]);
            let candle = input.conv2d(&weights, padding, stride, 1, 1).unwrap();
            let mut references = vec![products(&input, &weights, padding, stride).unwrap()];
            assert_close(&flat(&ours), &flat(&candle), 1e-5, &what);
            // candle's backward pass assumes the same remainder on both sides.
            if stride == 1 {
                references.push(candle);
            }
            for reference in references {
                assert_eq!(ours.dims(), reference.dims(), "{what}");
                assert_close(&flat(&ours), &flat(&reference), 1e-5, &what);
                for (ours, theirs) in found.iter().zip(gradients(&reference, 3, &[&x, &weight])) {
                    assert_close(&flat(ours), &flat(&theirs), 1e-5, &what);
                }
            }
        }
    }
}

#[test]
fn what_kernels_do_not_take_is_candles() {
    // Input, weight, padding, stride, dilation, groups.
    let cases = [
        ([2, 4, 9, 9], [6, 4, 3, 3], 1, 1, 2, 1),
        ([2, 4, 9, 9], [6, 2, 3, 3], 1, 1, 1, 2),
        ([2, 4, 9, 9], [6, 4, 3, 1], 0, 1, 1, 1),
        ([2, 4, 9, 9], [6, 4, 1, 1], 1, 1, 1, 1),
    ];
    for (input, weight, padding, stride, dilation, groups) in cases {
        let (x, weight) = (var(1, &input), var(2, &weight));
        let ours = conv2d(&x, &weight, padding, stride, dilation, groups).unwrap();
        let candle = x.conv2d(&weight, padding, stride, dilation, groups).unwrap();
        assert_eq!(flat(&ours), flat(&candle), "{input:?}");
        let both = [ours, candle].map(|y| gradients(&y, 3, &[&x, &weight]));
        both[0].iter().zip(&both[1]).for_each(|(ours, candle)| assert_eq!(flat(ours), flat(candle), "{input:?}"));
    }
    let double = |seed, dims: &[usize]| values(seed, dims).to_dtype(DType::F64).unwrap();
    let (x, weight) = (double(1, &[1, 2, 5, 5]), double(2, &[3, 2, 3, 3]));
    assert_eq!(conv2d(&x, &weight, 1, 1, 1, 1).unwrap().dtype(), DType::F64);
    assert_eq!(gelu(&x).unwrap().dtype(), DType::F64);
    let variables = VarMap::new();
    let norm = BatchNorm::new(2, 1e-5, VarBuilder::from_varmap(&variables, DType::F64, &CPU)).unwrap();
    assert_eq!(norm.then_relu().forward_t(&x, true).unwrap().dtype(), DType::F64);
}

/// A layer of candle-nn and ours, each with variables of its own that hold the same.
fn norms(channels: usize, config: BatchNormConfig) -> (candle_nn::BatchNorm, [Var; 2], BatchNorm, [Var; 2]) {
    let layers = [(); 2].map(|()| {
        let map = VarMap::new();
        let variables = VarBuilder::from_varmap(&map, DType::F32, &CPU);
        let layers = (
            candle_nn::batch_norm(channels, config, variables.clone()).unwrap(),
            BatchNorm::new(channels, config, variables).unwrap(),
        );
        let data = map.data().lock().unwrap();
        let get = |name: &str, seed| match data.get(name) {
            Some(var) => {
                var.set(&values(seed, &[channels])).unwrap();
                var.clone()
            }
            None => var(seed, &[channels]),
        };
        (layers, [get("weight", 6), get("bias", 7)])
    });
    let [((theirs, _), their_vars), ((_, ours), our_vars)] = layers;
    (theirs, their_vars, ours, our_vars)
}

#[test]
fn batch_normalization_is_that_of_candle() {
    let cases = [[2, 3, 5, 4], [1, 1, 2, 1], [67, 5, 1, 1], [3, 16, 8, 8], [2, 130, 3, 3]];
    for (dims, (name, shape, view)) in cases.iter().flat_map(|dims| VIEWS.map(|view| (*dims, view))) {
        // The deviations of equal values are rounding errors only.
        if name == "broadcast" && dims[2] * dims[3] == 1 {
            continue;
        }
        for (relu, affine) in [(false, true), (true, true), (false, false)] {
            let what = format!("{dims:?}, {name}, ReLU {relu}, affine {affine}");
            let config = BatchNormConfig { eps: 1e-3, momentum: 0.3, affine, ..Default::default() };
            let (theirs, their_vars, mut ours, our_vars) = norms(dims[1], config);
            if relu {
                ours = ours.then_relu();
            }
            let x = var(4, &shape(dims));
            let input = view(&x, dims).unwrap();
            let forward = |train| {
                let theirs = theirs.forward_t(&input, train).unwrap();
                let theirs = if relu { theirs.relu().unwrap() } else { theirs };
                (ours.forward_t(&input, train).unwrap(), theirs)
            };
            let (y, expected) = forward(true);
            assert!(y.is_contiguous(), "{what}");
            assert_close(&flat(&y), &flat(&expected), 1e-5, &what);
            let (mine, yours) = if affine {
                ([&x, &our_vars[0], &our_vars[1]].to_vec(), [&x, &their_vars[0], &their_vars[1]].to_vec())
            } else {
                (vec![&x], vec![&x])
            };
            let expected = gradients(&expected, 10, &yours);
            // Twice: the backward pass does not change the plan.
            for found in [gradients(&y, 10, &mine), gradients(&y, 10, &mine)] {
                for (found, expected) in found.iter().zip(&expected) {
                    assert_close(&flat(found), &flat(expected), 1e-4, &what);
                }
            }
            // By what the running statistics have become.
            let (y, expected) = forward(false);
            assert_close(&flat(&y), &flat(&expected), 1e-5, &what);
        }
    }
}

#[test]
fn pools_and_gelu_are_those_of_candle() {
    for (dims, size) in [([2, 3, 6, 8], 2), ([1, 17, 7, 5], 3), ([2, 2, 4, 4], 4), ([1, 1, 3, 3], 1)] {
        for (name, shape, view) in VIEWS {
            let x = var(11, &shape(dims));
            let input = view(&x, dims).unwrap();
            let [n, c, h, w] = dims;
            let (rows, columns) = (h / size, w / size);
            let whole = input.narrow(2, 0, rows * size).unwrap().narrow(3, 0, columns * size).unwrap();
            let squares = whole.contiguous().unwrap().reshape(&[n, c, rows, size, columns, size][..]).unwrap();
            let pairs = [
                (max_pool2d(&input, size).unwrap(), squares.max(5).unwrap().max(3).unwrap()),
                (avg_pool2d(&input, size).unwrap(), squares.mean((3, 5)).unwrap()),
                (gelu(&input).unwrap(), input.gelu_erf().unwrap()),
            ];
            for (i, (ours, theirs)) in pairs.iter().enumerate() {
                let what = format!("{i}: {dims:?}, squares of {size}, {name}");
                assert_eq!(ours.dims(), theirs.dims(), "{what}");
                assert_close(&flat(ours), &flat(theirs), 1e-6, &what);
                let [ours, theirs] = [ours, theirs].map(|y| gradients(y, 12, &[&x]));
                assert_close(&flat(&ours[0]), &flat(&theirs[0]), 1e-5, &what);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let x = values(1, &[2, 3, 5, 6]);
    let weight = |dims: &[usize]| values(2, dims);
    let plain = weight(&[4, 3, 3, 3]);
    let (one, two) = (values(6, &[3]), values(7, &[2]));
    let integers = x.to_dtype(DType::U32).unwrap();
    let large = usize::MAX;
    let cases = [
        ("a size of 0", conv2d(&x, &plain, 1, 0, 1, 1)),
        ("a size of 0", conv2d(&x, &plain, 1, 1, 0, 1)),
        ("a size of 0", conv2d(&x, &plain, 1, 1, 1, 0)),
        ("a size of 0", conv2d(&x.narrow(0, 0, 0).unwrap(), &plain, 1, 1, 1, 1)),
        ("a size of 0", conv2d(&x, &weight(&[4, 3, 0, 0]), 0, 1, 1, 1)),
        ("a size of 0", conv2d(&x, &weight(&[0, 3, 3, 3]), 0, 1, 1, 1)),
        ("on an input of 3 channels", conv2d(&x, &weight(&[4, 2, 3, 3]), 1, 1, 1, 1)),
        ("on an input of 3 channels", conv2d(&x, &weight(&[4, 1, 3, 3]), 1, 1, 1, 3)),
        ("on an input of 3 channels", conv2d(&x, &plain, 1, 1, 1, large)),
        ("a kernel of 6 × 6", conv2d(&x, &weight(&[4, 3, 6, 6]), 0, 1, 1, 1)),
        ("a kernel of 3 × 3 with dilation 3", conv2d(&x, &plain, 0, 1, 3, 1)),
        ("with dilation 18446744073709551615", conv2d(&x, &plain, 0, 1, large, 1)),
        ("with padding 18446744073709551615", conv2d(&x, &plain, large, 1, 1, 1)),
        ("with padding 9223372036854775807", conv2d(&x, &plain, large / 2, 1, 1, 1)),
        ("too large", conv2d(&x, &plain, 1, large, 1, 1)),
        ("rank", conv2d(&x.flatten_all().unwrap(), &plain, 1, 1, 1, 1)),
        ("rank", conv2d(&x, &one, 1, 1, 1, 1)),
        ("dtype", conv2d(&x, &plain.to_dtype(DType::F64).unwrap(), 1, 1, 1, 1)),
        ("squares of 6 do not fit", max_pool2d(&x, 6)),
        ("squares of 0 do not fit", avg_pool2d(&x, 0)),
        ("squares of 1 do not fit", avg_pool2d(&x.narrow(1, 0, 0).unwrap(), 1)),
        ("rank", max_pool2d(&one, 1)),
        ("takes f32 on the CPU, and gets u32", max_pool2d(&integers, 2)),
        ("expected [3] for [2, 3, 5, 6]", batch_norm(&x, &one, &two, 1e-5).map(|found| found.output)),
        ("expected [3] for [2, 3, 5, 6]", batch_norm_relu(&x, &two, &one, 1e-5).map(|found| found.output)),
        ("expected [rows, channels, …]", batch_norm(&one, &one, &one, 1e-5).map(|found| found.output)),
        ("eps is -1", batch_norm(&x, &one, &one, -1.0).map(|found| found.output)),
        ("eps is NaN", batch_norm(&x, &one, &one, f64::NAN).map(|found| found.output)),
        ("takes f32 on the CPU", batch_norm(&integers, &one, &one, 1e-5).map(|found| found.output)),
    ];
    for (i, (expected, result)) in cases.into_iter().enumerate() {
        let problem = result.expect_err(expected).to_string();
        assert!(problem.contains(expected), "{i}: {problem}");
    }
}

#[test]
fn gradients_pass_through_layers_to_what_is_asked() {
    let (images, first, second) = (values(1, &[3, 2, 8, 7]), var(2, &[4, 2, 3, 3]), var(3, &[2, 4, 3, 3]));
    let store = {
        let y = conv2d(&images, &first, 1, 1, 1, 1).unwrap().relu().unwrap();
        conv2d(&y, &second, 1, 2, 1, 1).unwrap().sqr().unwrap().sum_all().unwrap().backward().unwrap()
    };
    assert!(store.get(&images).is_none());
    let y = products(&images, &first, 1, 1).unwrap().relu().unwrap();
    let expected = products(&y, &second, 1, 2).unwrap().sqr().unwrap().sum_all().unwrap().backward().unwrap();
    for weight in [&first, &second] {
        assert_close(&flat(store.get(weight).unwrap()), &flat(expected.get(weight).unwrap()), 1e-5, "weights");
    }
    // A frozen layer in between has no gradient, and lets that of the one before it through.
    let y = conv2d(&conv2d(&images, &first, 1, 1, 1, 1).unwrap(), &second.as_detached_tensor(), 1, 2, 1, 1).unwrap();
    let found = gradients(&y, 3, &[&first]);
    let y = products(&products(&images, &first, 1, 1).unwrap(), &second.as_detached_tensor(), 1, 2).unwrap();
    assert_close(&flat(&found[0]), &flat(&gradients(&y, 3, &[&first])[0]), 1e-5, "before a frozen layer");
}

#[test]
fn threads_do_not_matter() {
    let results = [1, 2, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (x, weight, shift) = (var(1, &[9, 16, 12, 12]), var(2, &[16, 16, 3, 3]), var(3, &[16]));
            let y = conv2d(&x, &weight, 1, 1, 1, 1).unwrap();
            let y = batch_norm_relu(&y, &shift, &shift, 1e-5).unwrap().output;
            let y = gelu(&max_pool2d(&y, 2).unwrap()).unwrap();
            let found = gradients(&y, 3, &[&x, &weight, &shift]);
            found.iter().chain([&y]).flat_map(flat).map(f32::to_bits).collect::<Vec<_>>()
        })
    });
    assert!(results[0] == results[1] && results[1] == results[2]);
}

/// A network of candle-nn's layers, and ours around them.
struct Network {
    variables: VarMap,
    convs: [candle_nn::Conv2d; 2],
    norms: [candle_nn::BatchNorm; 2],
    our_norms: [BatchNorm; 2],
    linear: Linear,
}

impl Network {
    fn new() -> Result<Self> {
        let variables = VarMap::new();
        let vb = VarBuilder::from_varmap(&variables, DType::F32, &CPU);
        let padded = |stride| Conv2dConfig { padding: 1, stride, ..Default::default() };
        let network = Self {
            convs: [
                candle_nn::conv2d(3, 8, 3, padded(1), vb.pp("conv1"))?,
                candle_nn::conv2d_no_bias(8, 16, 3, padded(2), vb.pp("conv2"))?,
            ],
            norms: [candle_nn::batch_norm(8, 1e-5, vb.pp("norm1"))?, candle_nn::batch_norm(16, 1e-5, vb.pp("norm2"))?],
            our_norms: [
                BatchNorm::new(8, 1e-5, vb.pp("norm1"))?,
                BatchNorm::new(16, 1e-5, vb.pp("norm2"))?.then_relu(),
            ],
            linear: candle_nn::linear(16 * 2 * 2, 3, vb.pp("linear"))?,
            variables,
        };
        let data = network.variables.data().lock().unwrap();
        for (name, var) in data.iter().filter(|(name, _)| name.starts_with("conv") || name.starts_with("linear")) {
            var.set(&(values(name.len() + name.as_bytes()[4] as usize, var.dims()) * 0.2)?)?;
        }
        drop(data);
        Ok(network)
    }

    fn by_candle(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.norms[0].forward_t(&self.convs[0].forward(x)?.gelu_erf()?, true)?; // [rows, 8, 8, 8]
        let x = x.reshape(&[x.dim(0)?, 8, 4, 2, 4, 2][..])?.mean((3, 5))?;
        let x = self.norms[1].forward_t(&self.convs[1].forward(&x)?, true)?.relu()?; // [rows, 16, 2, 2]
        self.linear.forward(&x.flatten_from(1)?)
    }

    fn by_kernels(&self, x: &Tensor) -> Result<Tensor> {
        let [conv1, conv2] = self.convs.clone().map(Conv2d::from);
        let x = self.our_norms[0].forward_t(&gelu(&conv1.forward(x)?)?, true)?;
        let x = self.our_norms[1].forward_t(&conv2.forward(&avg_pool2d(&x, 2)?)?, true)?;
        self.linear.forward(&x.flatten_from(1)?)
    }

    /// The losses of a few steps on the same rows.
    fn learn(&self, mut optimizer: impl Optimizer, kernels: bool) -> Result<Vec<f32>> {
        let (x, classes) = (values(1, &[12, 3, 8, 8]), Tensor::from_iter((0..12u32).map(|i| i * i % 3), &CPU)?);
        let step = |_| {
            let outputs = if kernels { self.by_kernels(&x)? } else { self.by_candle(&x)? };
            let loss = candle_nn::loss::cross_entropy(&outputs, &classes)?;
            optimizer.backward_step(&loss)?;
            loss.to_scalar::<f32>()
        };
        (0..15).map(step).collect()
    }
}

#[test]
fn a_network_learns_as_by_candle() {
    for adam in [false, true] {
        let [candle, kernels] = [false, true].map(|kernels| {
            let network = Network::new().unwrap();
            // Statistics are variables too, and have no gradient.
            let vars = network.variables.all_vars();
            let losses = if adam {
                network.learn(AdamW::new_lr(vars, 3e-3).unwrap(), kernels)
            } else {
                network.learn(SGD::new(vars, 0.1).unwrap(), kernels)
            };
            let data = network.variables.data().lock().unwrap();
            let running = ["norm1.running_mean", "norm2.running_var"].map(|name| flat(&data[name]));
            (losses.unwrap(), running)
        });
        assert_close(&kernels.0, &candle.0, 1e-3, "losses");
        assert!(candle.0[14] < 0.5 * candle.0[0], "{:?}", candle.0);
        kernels.1.iter().zip(&candle.1).for_each(|(ours, theirs)| assert_close(ours, theirs, 1e-3, "statistics"));
    }
}
