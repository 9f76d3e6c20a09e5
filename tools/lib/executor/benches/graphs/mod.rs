//! Graphs with random weights, as exporters write them: of tests and benchmarks.

#![allow(dead_code, reason = "tests and benchmarks use different ones")]

use executor::{Executor, Options, View};
use onnx::{Attribute, GraphBuilder, Model, ModelInfo, Value, fp16, quantize, simplify};
use random::Random;

/// A network under construction.
pub struct Net {
    pub graph: GraphBuilder,
    random: Random,
}

impl Net {
    pub fn new(seed: u64) -> Self {
        Self { graph: GraphBuilder::new("network"), random: Random::new(seed, 0) }
    }

    /// A constant of normal values, with a standard deviation.
    pub fn weights(&mut self, shape: &[usize], deviation: f64) -> String {
        let len = shape.iter().product();
        let values: Vec<f32> = (0..len).map(|_| (self.random.normal() * deviation) as f32).collect();
        self.graph.weights("w", shape, &values)
    }

    pub fn node(&mut self, op: &str, inputs: &[&str]) -> String {
        self.node_with(op, inputs, &[])
    }

    pub fn node_with(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        self.graph.node(op, inputs, op, attributes)
    }

    /// `Gemm`, with the weight as PyTorch has it.
    pub fn linear(&mut self, x: &str, inputs: usize, outputs: usize) -> String {
        let weight = self.weights(&[outputs, inputs], (1.0 / inputs as f64).sqrt());
        let bias = self.weights(&[outputs], 0.1);
        self.node_with("Gemm", &[x, &weight, &bias], &[("transB", Attribute::Int(1))])
    }

    /// `Conv` and `BatchNormalization`.
    pub fn conv(&mut self, x: &str, [inputs, outputs, kernel, stride, padding]: [usize; 5]) -> String {
        let weight = self.weights(&[outputs, inputs, kernel, kernel], (2.0 / (inputs * kernel * kernel) as f64).sqrt());
        let ints = |value: usize, count| Attribute::Ints(vec![value as i64; count]);
        let attributes = [("kernel_shape", ints(kernel, 2)), ("strides", ints(stride, 2)), ("pads", ints(padding, 4))];
        let y = self.node_with("Conv", &[x, &weight], &attributes);
        self.batch_norm(&y, outputs)
    }

    fn batch_norm(&mut self, y: &str, outputs: usize) -> String {
        let uniform = |net: &mut Self| (0..outputs).map(|_| 0.5 + net.random.uniform() as f32).collect::<Vec<_>>();
        let (scale, variance) = (uniform(self), uniform(self));
        let [scale, variance] = [scale, variance].map(|values| self.graph.weights("bn", &[outputs], &values));
        let [shift, mean] = [0, 1].map(|_| self.weights(&[outputs], 0.1));
        self.node("BatchNormalization", &[y, &scale, &shift, &mean, &variance])
    }

    /// A 3 × 3 convolution of each channel by itself, and `BatchNormalization`.
    pub fn depthwise(&mut self, x: &str, channels: usize, stride: usize) -> String {
        let weight = self.weights(&[channels, 1, 3, 3], 0.3);
        let ints = |value: usize, count| Attribute::Ints(vec![value as i64; count]);
        let attributes =
            [("strides", ints(stride, 2)), ("pads", ints(1, 4)), ("group", Attribute::Int(channels as i64))];
        let y = self.node_with("Conv", &[x, &weight], &attributes);
        self.batch_norm(&y, channels)
    }

    /// Bounded at 6 (Sandler et al., 2018).
    pub fn relu6(&mut self, x: &str) -> String {
        let [low, high] = [0.0, 6.0].map(|bound| self.graph.weights("bound", &[], &[bound]));
        self.node("Clip", &[x, &low, &high])
    }

    /// 1 × 1, depthwise 3 × 3, 1 × 1 (MobileNetV2).
    pub fn inverted(&mut self, x: &str, inputs: usize, outputs: usize, stride: usize) -> String {
        let inner = 6 * inputs;
        let y = self.conv(x, [inputs, inner, 1, 1, 0]);
        let y = self.relu6(&y);
        let y = self.depthwise(&y, inner, stride);
        let y = self.relu6(&y);
        let y = self.conv(&y, [inner, outputs, 1, 1, 0]);
        if inputs == outputs && stride == 1 { self.node("Add", &[&y, x]) } else { y }
    }

    pub fn relu(&mut self, x: &str) -> String {
        self.node("Relu", &[x])
    }

    /// Two 3 × 3 convolutions and a shortcut (He et al., 2015).
    pub fn block(&mut self, x: &str, inputs: usize, outputs: usize, stride: usize) -> String {
        let y = self.conv(x, [inputs, outputs, 3, stride, 1]);
        let y = self.relu(&y);
        let y = self.conv(&y, [outputs, outputs, 3, 1, 1]);
        let shortcut =
            if inputs == outputs && stride == 1 { x.to_owned() } else { self.conv(x, [inputs, outputs, 1, stride, 0]) };
        let sum = self.node("Add", &[&y, &shortcut]);
        self.relu(&sum)
    }

    /// Global pooling and a fully connected layer, the output.
    pub fn head(&mut self, x: &str, channels: usize, classes: usize) {
        let x = self.node("GlobalAveragePool", &[x]);
        let x = self.node_with("Flatten", &[&x], &[("axis", Attribute::Int(1))]);
        let y = self.linear(&x, channels, classes);
        self.graph.output(&y, &[classes], "logits");
    }

    pub fn bytes(self) -> Vec<u8> {
        self.graph.to_bytes(&ModelInfo { opset: 17, description: String::new(), metadata: vec![] })
    }
}

pub fn model(bytes: &[u8]) -> Model {
    Model::from_bytes("network", bytes).expect("a valid model")
}

/// A perceptron with ReLU between its layers.
pub fn mlp(widths: &[usize]) -> Vec<u8> {
    let mut net = Net::new(1);
    let mut x = net.graph.input("x", &widths[..1], "features");
    for (i, pair) in widths.windows(2).enumerate() {
        x = net.linear(&x, pair[0], pair[1]);
        if i + 2 < widths.len() {
            x = net.relu(&x);
        }
    }
    net.graph.output(&x, &widths[widths.len() - 1..], "prediction");
    net.bytes()
}

/// ResNet-20 for 32 × 32 images.
pub fn resnet20(size: usize) -> Vec<u8> {
    let mut net = Net::new(2);
    let x = net.graph.input("x", &[3, size, size], "images");
    let x = net.conv(&x, [3, 16, 3, 1, 1]);
    let mut x = net.relu(&x);
    let mut inputs = 16;
    for (outputs, first) in [(16, 1), (32, 2), (64, 2)] {
        for block in 0..3 {
            x = net.block(&x, inputs, outputs, if block == 0 { first } else { 1 });
            inputs = outputs;
        }
    }
    net.head(&x, 64, 10);
    net.bytes()
}

/// ResNet-18: for 32 × 32 images without the first pooling, as is usual for CIFAR; for larger ones with it.
pub fn resnet18(size: usize) -> Vec<u8> {
    let mut net = Net::new(3);
    let x = net.graph.input("x", &[3, size, size], "images");
    let small = size <= 64;
    let x = net.conv(&x, if small { [3, 64, 3, 1, 1] } else { [3, 64, 7, 2, 3] });
    let mut x = net.relu(&x);
    if !small {
        let ints = |value, count| Attribute::Ints(vec![value; count]);
        let attributes = [("kernel_shape", ints(3, 2)), ("strides", ints(2, 2)), ("pads", ints(1, 4))];
        x = net.node_with("MaxPool", &[&x], &attributes);
    }
    let mut inputs = 64;
    for (outputs, first) in [(64, 1), (128, 2), (256, 2), (512, 2)] {
        for block in 0..2 {
            x = net.block(&x, inputs, outputs, if block == 0 { first } else { 1 });
            inputs = outputs;
        }
    }
    net.head(&x, 512, if small { 10 } else { 1000 });
    net.bytes()
}

/// A small MobileNetV2, of images whose sides are multiples of 8.
pub fn mobilenet(size: usize) -> Vec<u8> {
    let mut net = Net::new(8);
    let x = net.graph.input("x", &[3, size, size], "images");
    let x = net.conv(&x, [3, 32, 3, 2, 1]);
    let mut x = net.relu6(&x);
    for (inputs, outputs, stride) in [(32, 16, 1), (16, 24, 2), (24, 24, 1), (24, 32, 2), (32, 32, 1), (32, 64, 1)] {
        x = net.inverted(&x, inputs, outputs, stride);
    }
    net.head(&x, 64, 10);
    net.bytes()
}

/// The network with int8 weights and integer activations, whose ranges are those of random inputs of a shape.
pub fn quantized(bytes: &[u8], shape: &[usize], options: &quantize::Options) -> Vec<u8> {
    const ROWS: usize = 16;
    let mut float = model(bytes);
    simplify::fold_batch_norms(&mut float.graph).expect("a valid model");
    let values = quantize::observed(&float, options).expect("a model that can be quantized");
    let mut observed = model(&float.to_bytes());
    let inner = values.iter().filter(|name| *name != "x");
    observed.graph.outputs =
        inner.clone().map(|name| Value { name: name.clone(), ..float.graph.outputs[0].clone() }).collect();
    observed.graph.outputs.iter_mut().for_each(|output| output.type_proto = Default::default());
    let mut executor = Executor::plain(observed, &Options::default()).expect("operators that exist");
    let mut random = Random::new(9, 0);
    let shape = [&[ROWS], shape].concat();
    let input: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal() as f32).collect();
    executor.run(&[View { shape: &shape, bytes: bytemuck::cast_slice(&input) }]).expect("a run");
    let mut calibrator = quantize::Calibrator::new(quantize::Method::MinMax).expect("a method");
    calibrator.observe("x", &input).expect("finite values");
    for (index, name) in inner.enumerate() {
        let batch: Vec<f32> = bytemuck::pod_collect_to_vec(executor.output(index).bytes);
        calibrator.observe(name, &batch).expect("finite values");
    }
    calibrator.end_pass();
    quantize::quantize(&mut float, &calibrator.ranges().expect("ranges"), options)
        .expect("a model that can be quantized");
    float.to_bytes()
}

/// As `export precision=int8` writes it for ONNX Runtime.
pub fn int8(bytes: &[u8], shape: &[usize]) -> Vec<u8> {
    quantized(bytes, shape, &quantize::Options::new(quantize::Target::OnnxRuntime))
}

/// As `export precision=fp16` writes it, with float32 inputs and outputs.
pub fn half(bytes: &[u8]) -> Vec<u8> {
    let mut half = model(bytes);
    simplify::fold_batch_norms(&mut half.graph).expect("a valid model");
    let keep_ops: Vec<String> = fp16::SENSITIVE.iter().map(|op| (*op).to_owned()).collect();
    fp16::convert(&mut half, &fp16::Options { keep_ops: &keep_ops, keep_nodes: &[], keep_io: true })
        .expect("a valid model");
    half.to_bytes()
}
