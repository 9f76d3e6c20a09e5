//! Plans compute what the plain operators do; bits do not depend on batch, threads or instruction set.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../benches/graphs/mod.rs"]
mod graphs;

use executor::{Error, Executor, Options, View};
use graphs::{Net, half, int8, mlp, mobilenet, model, quantized, resnet18, resnet20};
use onnx::{Attribute, quantize};
use random::Random;

/// Relative to the largest element: of sums in another order, and of Winograd's algorithm.
const TOLERANCE: f32 = 2e-4;

fn draw(seed: u64, len: usize) -> Vec<f32> {
    let mut random = Random::new(seed, 0);
    (0..len).map(|_| random.normal() as f32).collect()
}

/// Inputs as shape and elements.
type Inputs = Vec<(Vec<usize>, Vec<f32>)>;

fn inputs(batch: usize, shapes: &[&[usize]]) -> Inputs {
    let input = |(i, shape): (usize, &&[usize])| {
        let shape = [&[batch], *shape].concat();
        let len = shape.iter().product();
        (shape, draw(7 + i as u64, len))
    };
    shapes.iter().enumerate().map(input).collect()
}

fn views(inputs: &Inputs) -> Vec<View<'_>> {
    inputs.iter().map(|(shape, values)| View { shape, bytes: bytemuck::cast_slice(values) }).collect()
}

/// Shapes and elements of all outputs.
fn run(executor: &mut Executor, inputs: &Inputs) -> Vec<(Vec<usize>, Vec<f32>)> {
    executor.run(&views(inputs)).unwrap();
    let output = |i| {
        let view = executor.output(i);
        (view.shape.to_vec(), bytemuck::pod_collect_to_vec(view.bytes))
    };
    (0..executor.model().graph.outputs.len()).map(output).collect()
}

fn planned(bytes: &[u8]) -> Executor {
    Executor::new(model(bytes), &Options::default()).unwrap()
}

/// Compares a plan with the plain operators, at several batch sizes one after the other.
fn check(bytes: &[u8], shapes: &[&[usize]], batches: &[usize]) {
    let mut planned = planned(bytes);
    let mut plain = Executor::plain(model(bytes), &Options::default()).unwrap();
    for &batch in batches {
        let inputs = inputs(batch, shapes);
        let (ours, expected) = (run(&mut planned, &inputs), run(&mut plain, &inputs));
        for ((shape, ours), (expected_shape, expected)) in ours.iter().zip(&expected) {
            assert_eq!(shape, expected_shape);
            let largest = expected.iter().fold(0f32, |largest, x| largest.max(x.abs()));
            for (i, (x, y)) in ours.iter().zip(expected).enumerate() {
                assert!((x - y).abs() <= TOLERANCE * largest.max(1.0), "batch {batch}, element {i}: {x}, expected {y}");
            }
        }
    }
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

/// LeNet-like: no padding, average pooling, tanh, flatten.
fn lenet(size: usize) -> Vec<u8> {
    let mut net = Net::new(4);
    let mut x = net.graph.input("x", &[1, size, size], "images");
    let mut side = size;
    for (inputs, outputs) in [(1, 6), (6, 16)] {
        let (weight, bias) = (net.weights(&[outputs, inputs, 5, 5], 0.2), net.weights(&[outputs], 0.1));
        x = net.node("Conv", &[&x, &weight, &bias]);
        x = net.node("Tanh", &[&x]);
        let pool = [("kernel_shape", ints(&[2, 2])), ("strides", ints(&[2, 2]))];
        x = net.node_with("AveragePool", &[&x], &pool);
        side = (side - 4) / 2;
    }
    x = net.node("Flatten", &[&x]);
    x = net.linear(&x, 16 * side * side, 20);
    x = net.node("Sigmoid", &[&x]);
    x = net.linear(&x, 20, 10);
    net.graph.output(&x, &[10], "logits");
    net.bytes()
}

/// A block of 24 channels and odd sizes, a strided pooling with padding, and an image as output: NCHW again.
fn odd() -> Vec<u8> {
    let mut net = Net::new(5);
    let x = net.graph.input("x", &[3, 13, 11], "images");
    let x = net.conv(&x, [3, 24, 3, 1, 1]);
    let x = net.node_with("LeakyRelu", &[&x], &[("alpha", Attribute::Float(0.1))]);
    let x = net.block(&x, 24, 24, 1);
    let pool = [("kernel_shape", ints(&[3, 2])), ("strides", ints(&[2, 1])), ("pads", ints(&[1, 0, 1, 1]))];
    let x = net.node_with("MaxPool", &[&x], &pool);
    let y = net.conv(&x, [24, 5, 1, 1, 0]);
    net.graph.output(&y, &[5, 7, 11], "image");
    net.bytes()
}

#[test]
fn perceptrons() {
    check(&mlp(&[8, 64, 64, 1]), &[&[8]], &[1, 7, 64, 1]);
    check(&mlp(&[5, 300, 17]), &[&[5]], &[3, 100]);
}

#[test]
fn convolutional_networks() {
    check(&lenet(28), &[&[1, 28, 28]], &[1, 7]);
    check(&odd(), &[&[3, 13, 11]], &[2, 1, 5]);
    check(&resnet20(32), &[&[3, 32, 32]], &[1, 3]);
    check(&resnet20(19), &[&[3, 19, 19]], &[2]);
    check(&resnet18(65), &[&[3, 65, 65]], &[1]);
}

/// A plan of a quantized network against its plain operators: sums are exact in one and float32 in the other, so integers may
/// differ by a step where rounding is close, and the last ones by a few.
fn check_quantized(bytes: &[u8], shape: &[usize], batch: usize, most: f32) {
    let inputs = inputs(batch, &[shape]);
    let ours = run(&mut planned(bytes), &inputs).remove(0);
    let expected = run(&mut Executor::plain(model(bytes), &Options::default()).unwrap(), &inputs).remove(0);
    assert_eq!(ours.0, expected.0);
    let largest = expected.1.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    let error = ours.1.iter().zip(&expected.1).fold(0f32, |error, (x, y)| error.max((x - y).abs()));
    let equal = ours.1.iter().zip(&expected.1).filter(|(x, y)| x == y).count() as f32 / ours.1.len() as f32;
    assert!(error <= most * largest, "batch {batch}: {error} of {largest}, {equal} equal");
}

#[test]
fn quantized_networks() {
    for batch in [1, 7, 64] {
        check_quantized(&int8(&mlp(&[8, 64, 64, 1]), &[8]), &[8], batch, 0.02);
        check_quantized(&int8(&mlp(&[5, 300, 17]), &[5]), &[5], batch, 0.02);
    }
    check_quantized(&int8(&resnet20(32), &[3, 32, 32]), &[3, 32, 32], 5, 0.05);
    check_quantized(&int8(&resnet20(19), &[3, 19, 19]), &[3, 19, 19], 2, 0.05);
    check_quantized(&int8(&lenet(28), &[1, 28, 28]), &[1, 28, 28], 3, 0.05);
    check_quantized(&int8(&odd(), &[3, 13, 11]), &[3, 13, 11], 3, 0.05);
    check_quantized(&int8(&mobilenet(32), &[3, 32, 32]), &[3, 32, 32], 3, 0.05);
}

/// Signed activations; residuals and biases in float32, as TensorRT reads them.
#[test]
fn quantized_networks_of_other_forms() {
    let mut options = quantize::Options::new(quantize::Target::OnnxRuntime);
    options.activations = quantize::Activations::Int8;
    options.per_channel = false;
    let (small, image) = (&[8][..], &[3, 32, 32][..]);
    check_quantized(&quantized(&mlp(&[8, 64, 64, 1]), small, &options), small, 7, 0.02);
    check_quantized(&quantized(&resnet20(32), image, &options), image, 3, 0.05);
    let options = quantize::Options::new(quantize::Target::TensorRt);
    check_quantized(&quantized(&mlp(&[8, 64, 64, 1]), small, &options), small, 7, 0.02);
    check_quantized(&quantized(&resnet20(32), image, &options), image, 3, 0.05);
}

/// A chain of products in float16 has the bits of the plain operators: the sum, the bias and the rounding of each are the same.
/// Convolutions add in another order.
#[test]
fn networks_in_float16() {
    for batch in [1, 7, 64] {
        let (bytes, inputs) = (half(&mlp(&[8, 64, 64, 1])), inputs(batch, &[&[8]]));
        let expected = run(&mut Executor::plain(model(&bytes), &Options::default()).unwrap(), &inputs);
        assert_eq!(run(&mut planned(&bytes), &inputs), expected, "batch {batch}");
    }
    let images = [
        (resnet20(32), &[3, 32, 32][..]),
        (lenet(28), &[1, 28, 28]),
        (odd(), &[3, 13, 11]),
        (mobilenet(32), &[3, 32, 32]),
        (separable(), &[4, 12, 13]),
    ];
    for (bytes, shape) in images {
        check_quantized(&half(&bytes), shape, 3, 0.01);
    }
}

/// Depthwise, grouped, dilated, rectangular and one-sided convolutions, with a residual.
fn separable() -> Vec<u8> {
    let mut net = Net::new(10);
    let x = net.graph.input("x", &[4, 12, 13], "images");
    let conv = |net: &mut Net, x: &str, shape: [usize; 4], attributes: &[(&str, Attribute)]| {
        let deviation = (1.0 / (shape[1] * shape[2] * shape[3]) as f64).sqrt();
        let (weight, bias) = (net.weights(&shape, deviation), net.weights(&shape[..1], 0.1));
        net.node_with("Conv", &[x, &weight, &bias], attributes)
    };
    let group = |groups| ("group", Attribute::Int(groups));
    let y = conv(&mut net, &x, [4, 1, 3, 3], &[group(4), ("pads", ints(&[1; 4]))]);
    let y = net.node("Add", &[&x, &y]);
    let y = net.node("HardSwish", &[&y]);
    let y = conv(&mut net, &y, [24, 2, 3, 3], &[group(2), ("pads", ints(&[1; 4]))]);
    let y = net.relu(&y);
    let y = conv(&mut net, &y, [24, 1, 5, 3], &[group(24), ("pads", ints(&[2, 1, 2, 1])), ("strides", ints(&[1, 2]))]);
    let y = conv(&mut net, &y, [10, 24, 3, 3], &[("dilations", ints(&[2, 2])), ("pads", ints(&[2; 4]))]);
    let y = conv(&mut net, &y, [20, 1, 2, 2], &[group(10), ("pads", ints(&[0, 0, 1, 1]))]);
    let y = conv(&mut net, &y, [6, 20, 1, 4], &[("auto_pad", Attribute::String("SAME_UPPER".into()))]);
    net.graph.output(&y, &[6, 12, 7], "image");
    net.bytes()
}

/// Convolutions of one axis.
fn sequence() -> Vec<u8> {
    let mut net = Net::new(11);
    let x = net.graph.input("x", &[3, 40], "samples");
    let (weight, bias) = (net.weights(&[16, 3, 5], 0.3), net.weights(&[16], 0.1));
    let y = net.node_with("Conv", &[&x, &weight, &bias], &[("pads", ints(&[2, 2])), ("strides", ints(&[2]))]);
    let y = net.relu(&y);
    let weight = net.weights(&[16, 1, 3], 0.5);
    let y = net.node_with("Conv", &[&y, &weight], &[("group", Attribute::Int(16)), ("dilations", ints(&[3]))]);
    net.graph.output(&y, &[16, 14], "features");
    net.bytes()
}

/// Squeeze and excitation, constants of each channel, a scalar, channels that are joined; then rows with a value of each feature.
fn channels() -> Vec<u8> {
    let mut net = Net::new(12);
    let x = net.graph.input("x", &[3, 9, 7], "images");
    let y = net.conv(&x, [3, 20, 3, 1, 1]);
    let scale = net.node("GlobalAveragePool", &[&y]);
    let scale = net.conv(&scale, [20, 20, 1, 1, 0]);
    let scale = net.node("Sigmoid", &[&scale]);
    let y = net.node("Mul", &[&scale, &y]);
    let y = net.relu(&y);
    let shift = net.weights(&[20, 1, 1], 1.0);
    let y = net.node("Sub", &[&y, &shift]);
    let half = net.weights(&[], 1.0);
    let y = net.node("Div", &[&y, &half]);
    let z = net.conv(&x, [3, 5, 1, 1, 0]);
    let y = net.node_with("Concat", &[&y, &z], &[("axis", Attribute::Int(1))]);
    net.graph.output(&y, &[25, 9, 7], "image");
    let y = net.node("GlobalAveragePool", &[&y]);
    let y = net.node("Flatten", &[&y]);
    let (shift, scale) = (net.weights(&[25], 1.0), net.weights(&[1, 25], 1.0));
    let y = net.node("Add", &[&shift, &y]);
    let y = net.node("Mul", &[&y, &scale]);
    let y = net.node_with("Concat", &[&y, &y], &[("axis", Attribute::Int(-1))]);
    net.graph.output(&y, &[50], "features");
    net.bytes()
}

#[test]
fn values_of_each_channel() {
    check(&channels(), &[&[3, 9, 7]], &[1, 5]);
}

#[test]
fn convolutions_of_any_windows() {
    check(&separable(), &[&[4, 12, 13]], &[1, 5]);
    check(&sequence(), &[&[3, 40]], &[1, 5]);
    check(&mobilenet(32), &[&[3, 32, 32]], &[1, 3]);
}

/// Products with a constant and a residual, an output that other nodes read, an output that is an input, one that is a
/// constant, one that is another's view; two inputs.
fn branches() -> Vec<u8> {
    let mut net = Net::new(6);
    let (a, b) = (net.graph.input("a", &[6], "rows"), net.graph.input("b", &[6], "rows"));
    let (weight, bias) = (net.weights(&[6, 6], 0.5), net.weights(&[6], 0.5));
    let y = net.node("MatMul", &[&a, &weight]);
    let y = net.node("Add", &[&y, &bias]);
    let y = net.node("Add", &[&b, &y]);
    let y = net.node("Relu", &[&y]);
    let z = net.linear(&y, 6, 6);
    let z = net.node("Sub", &[&y, &z]);
    let z = net.node("Mul", &[&z, &z]);
    let same = net.node("Identity", &[&a]);
    let view = net.node("Flatten", &[&z]);
    let swish = net.node("Sigmoid", &[&z]);
    let swish = net.node("Mul", &[&z, &swish]);
    let sorted = net.node_with("Softmax", &[&swish], &[("axis", Attribute::Int(-1))]);
    for name in [&y, &z, &same, &view, &sorted] {
        net.graph.output(name, &[6], "rows");
    }
    net.bytes()
}

#[test]
fn several_inputs_and_outputs() {
    check(&branches(), &[&[6], &[6]], &[1, 7, 64]);
}

#[test]
fn no_rows() {
    for (bytes, shape) in [(mlp(&[8, 64, 1]), &[8][..]), (lenet(28), &[1, 28, 28])] {
        let outputs = run(&mut planned(&bytes), &inputs(0, &[shape]));
        assert_eq!((outputs[0].0[0], outputs[0].1.len()), (0, 0));
    }
}

#[test]
fn a_row_has_the_same_bits_in_every_batch() {
    let cases = [
        (mlp(&[8, 64, 64, 1]), &[8][..]),
        (lenet(28), &[1, 28, 28]),
        (odd(), &[3, 13, 11]),
        (resnet20(32), &[3, 32, 32]),
        (mobilenet(32), &[3, 32, 32]),
        (separable(), &[4, 12, 13]),
        (sequence(), &[3, 40]),
        (half(&mlp(&[8, 64, 64, 1])), &[8]),
        (int8(&mlp(&[8, 64, 64, 1]), &[8]), &[8]),
        (int8(&resnet20(32), &[3, 32, 32]), &[3, 32, 32]),
    ];
    for (bytes, shape) in cases {
        let mut executor = planned(&bytes);
        let len: usize = shape.iter().product();
        for batch in [7, 64] {
            let together = inputs(batch, &[shape]);
            let all = run(&mut executor, &together).remove(0).1;
            for row in [0, batch / 2, batch - 1] {
                let values = together[0].1[row * len..][..len].to_vec();
                let alone = run(&mut executor, &vec![([&[1], shape].concat(), values)]).remove(0).1;
                assert!(alone == all[row * alone.len()..][..alone.len()], "row {row} of {batch}");
            }
        }
    }
}

#[test]
fn threads_do_not_matter() {
    for (bytes, shape, batch) in [
        (mlp(&[8, 256, 256, 1]), &[8][..], 500),
        (mlp(&[1000, 3000]), &[1000], 1),
        (resnet20(32), &[3, 32, 32], 8),
        (mobilenet(32), &[3, 32, 32], 8),
        (int8(&mlp(&[8, 256, 256, 1]), &[8]), &[8], 500),
        (int8(&resnet20(32), &[3, 32, 32]), &[3, 32, 32], 8),
    ] {
        let inputs = inputs(batch, &[shape]);
        let one = run(&mut planned(&bytes), &inputs);
        for threads in [2, 3] {
            let options = Options { threads, ..Options::default() };
            let mut executor = Executor::new(model(&bytes), &options).unwrap();
            assert!(run(&mut executor, &inputs) == one, "{threads} threads");
        }
    }
}

/// The instruction set is chosen once in a process: this test runs itself in others.
#[test]
fn instruction_sets_do_not_matter() {
    const CHILD: &str = "EXECUTOR_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let mut bits = 0u64;
        for (bytes, shape) in [
            (mlp(&[8, 64, 64, 1]), &[8][..]),
            (lenet(28), &[1, 28, 28]),
            (odd(), &[3, 13, 11]),
            (resnet20(32), &[3, 32, 32]),
            (mobilenet(32), &[3, 32, 32]),
            (separable(), &[4, 12, 13]),
            (half(&mlp(&[8, 64, 64, 1])), &[8]),
            (int8(&mlp(&[8, 64, 64, 1]), &[8]), &[8]),
            (int8(&resnet20(32), &[3, 32, 32]), &[3, 32, 32]),
        ] {
            for value in run(&mut planned(&bytes), &inputs(3, &[shape])).remove(0).1 {
                bits = bits.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(value.to_bits());
            }
        }
        // Past the capture of the test's output.
        return std::fs::write(std::env::var_os(CHILD).unwrap(), bits.to_string()).unwrap();
    }
    let folder = std::env::temp_dir().join(format!("executor-isa-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let results: Vec<_> = kernels::Isa::supported()
        .map(|isa| {
            let file = folder.join(isa.to_string());
            let status = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "instruction_sets_do_not_matter"])
                .env(CHILD, &file)
                .env(kernels::ISA_VARIABLE, isa.to_string())
                .status();
            assert!(status.unwrap().success(), "{isa}");
            std::fs::read_to_string(file).unwrap()
        })
        .collect();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{results:?}");
}

#[test]
fn wrong_inputs_are_told() {
    let mut executor = planned(&mlp(&[8, 4]));
    let (shape, values) = ([3, 9], [0.0f32; 27]);
    let error = executor.run(&[View { shape: &shape, bytes: bytemuck::cast_slice(&values) }]).unwrap_err();
    assert_eq!(error.to_string(), "tensor \"x\": shape [3, 9], expected [batch, 8]");
    let error = executor.run(&[View { shape: &[3, 8], bytes: &[0; 8] }]).unwrap_err();
    assert_eq!(error.to_string(), "tensor \"x\": 8 bytes, expected 96");
    let error = executor.run(&[]).unwrap_err();
    assert_eq!(error.to_string(), "0 inputs, expected 1");
}

#[test]
fn bytes_of_any_alignment() {
    let mut executor = planned(&mlp(&[8, 4]));
    let values = draw(1, 8);
    let expected = run(&mut executor, &vec![(vec![1, 8], values.clone())]).remove(0).1;
    let mut bytes = [0u8; 33];
    for shift in 0..2 {
        let at = &mut bytes[shift..][..32];
        at.copy_from_slice(bytemuck::cast_slice(&values));
        executor.run(&[View { shape: &[1, 8], bytes: at }]).unwrap();
        let ours: Vec<f32> = bytemuck::pod_collect_to_vec(executor.output(0).bytes);
        assert_eq!(ours, expected);
    }
}

#[test]
fn memory_is_limited() {
    let bytes = mlp(&[8, 64, 64, 1]);
    let mut executor = Executor::new(model(&bytes), &Options { memory_bytes: 1 << 20, ..Options::default() }).unwrap();
    run(&mut executor, &inputs(100, &[&[8]]));
    let rows = inputs((1 << 18) + (1 << 15), &[&[8]]);
    let error = executor.run(&views(&rows)).unwrap_err();
    assert!(matches!(error, Error::Memory { limit: 1_048_576, .. }), "{error}");
    // The output, and the workspace of one thread: two blocks of 48 rows of 64 features.
    assert!(error.to_string().contains("need 1204224 bytes"), "{error}");
}

#[test]
fn operators_without_an_implementation_are_told_together() {
    let mut net = Net::new(1);
    let x = net.graph.input("x", &[8], "rows");
    let y = net.node("StringNormalizer", &[&x]);
    let y = net.node("Unique", &[&y]);
    let y = net.node("Unique", &[&y]);
    net.graph.output(&y, &[8], "rows");
    let error = Executor::new(model(&net.bytes()), &Options::default()).unwrap_err();
    let Error::Unsupported(names) = error else { panic!("{error}") };
    assert_eq!(names, ["StringNormalizer (node \"StringNormalizer\")", "Unique (node \"Unique\")"]);
}

#[test]
fn element_types_without_an_implementation_are_told_like_operators() {
    let mut net = Net::new(1);
    let x = net.graph.input("x", &[8], "rows");
    let w = net.graph.weights("w", &[8], &[1.0; 8]);
    let y = net.node("Mul", &[&x, &w]);
    net.graph.output(&y, &[8], "rows");
    let mut model = model(&net.bytes());
    for (dtype, name) in [(onnx::DataType::Int4, "int4"), (onnx::DataType::Float8e4m3fn, "float8e4m3fn")] {
        let weight = onnx::Tensor::new(dtype, &[8], vec![0; onnx::bits(dtype).unwrap()]).unwrap();
        model.graph.initializers.insert("w".into(), weight);
        let error = Executor::new(model.clone(), &Options::default()).unwrap_err();
        let Error::Unsupported(names) = error else { panic!("{error}") };
        assert_eq!(names, [format!("{name} (tensor \"w\")")]);
    }
}
