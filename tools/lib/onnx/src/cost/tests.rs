//! Costs of small graphs, worked out by hand; the arithmetic stands beside each.

use super::*;
use crate::{Graph, Node, Tensor, TensorType, Value, fuse, shape, value::Dim};
use std::collections::BTreeMap;

/// A graph under construction.
struct Net(Model);

impl Net {
    /// With float32 inputs, `x` first.
    fn new(inputs: &[(&str, &[usize])]) -> Self {
        let input = |(name, dims): &(&str, &[usize])| Value::tensor(name, &float(dims));
        let graph = Graph { name: "test".into(), inputs: inputs.iter().map(input).collect(), ..Graph::default() };
        Self(Model::new("test.onnx", graph, 21))
    }

    fn weights(mut self, name: &str, dims: &[usize]) -> Self {
        let values = vec![0.5; dims.iter().product()];
        self.0.graph.initializers.insert(name.into(), Tensor::from_f32(dims, &values));
        self
    }

    fn bytes(mut self, name: &str, dims: &[usize]) -> Self {
        let tensor = Tensor::new(DataType::Int8, dims, vec![1; dims.iter().product()]);
        self.0.graph.initializers.insert(name.into(), tensor.expect("one byte an element"));
        self
    }

    fn node(mut self, node: Node) -> Self {
        self.0.graph.nodes.push(node);
        self
    }

    /// With one node more, whose output is `output`.
    fn op(self, op_type: &str, inputs: &[&str], output: &str) -> Self {
        self.node(Node::new(op_type, inputs, output))
    }

    fn output(mut self, name: &str) -> Self {
        let unknown = TensorType { dtype: DataType::Float, shape: None };
        self.0.graph.outputs.push(Value::tensor(name, &unknown));
        self
    }

    fn types(&self) -> Types {
        shape::infer(&self.0, &BTreeMap::new()).expect("a sound graph")
    }

    fn costs(&self) -> Vec<NodeCost> {
        cost(&self.0, &self.types()).expect("sound attributes")
    }

    /// Operators and cost of each layer.
    fn layers(&self) -> Vec<(String, LayerCost)> {
        let layers = fuse(&self.0.graph);
        let costs = layer_costs(&self.0, &self.types(), &self.costs(), &layers);
        let name = |nodes: &[usize]| {
            let operators: Vec<&str> = nodes.iter().map(|&i| self.0.graph.nodes[i].op_type.as_str()).collect();
            operators.join("+")
        };
        layers.iter().map(|layer| name(&layer.nodes)).zip(costs).collect()
    }

    /// MACs and FLOPs of the last node.
    fn work(&self) -> (u64, u64) {
        let work = self.costs().pop().expect("a node").work.expect("known");
        (work.macs, work.flops)
    }

    fn traffic(&self) -> (u64, u64, u64) {
        let traffic = self.costs().pop().expect("a node").traffic.expect("known");
        (traffic.read, traffic.constants, traffic.written)
    }
}

fn float(dims: &[usize]) -> TensorType {
    TensorType { dtype: DataType::Float, shape: Some(dims.iter().map(|&dim| Dim::Known(dim)).collect()) }
}

fn pads(node: Node) -> Node {
    node.with("pads", &[1i64, 1, 1, 1][..])
}

#[test]
fn a_convolution_is_a_filter_for_each_output_element() {
    let net = Net::new(&[("x", &[2, 3, 8, 8])]).weights("w", &[4, 3, 3, 3]).weights("b", &[4]);
    let net = net.node(pads(Node::new("Conv", &["x", "w", "b"], "y"))).output("y");
    // 2 images × 4 channels × 64 pixels = 512 output elements, each of 3 × 3 × 3 = 27 MACs; a bias addition each.
    assert_eq!(net.work(), (512 * 27, 2 * 512 * 27 + 512));
    // Float32: 2 · 3 · 64 elements in, 108 weights and 4 biases, 512 out.
    assert_eq!(net.traffic(), (4 * 384, 4 * 112, 4 * 512));
    assert_eq!(net.costs()[0].parameters, 112);
}

#[test]
fn groups_and_strides_are_in_the_shapes() {
    let depthwise = Net::new(&[("x", &[1, 6, 8, 8])]).weights("w", &[6, 1, 3, 3]);
    let node = pads(Node::new("Conv", &["x", "w"], "y")).with("group", 6).with("strides", &[2i64, 2][..]);
    // 6 channels × 4 × 4 pixels × 9.
    assert_eq!(depthwise.node(node).output("y").work(), (96 * 9, 2 * 96 * 9));
    let transposed = Net::new(&[("x", &[1, 6, 4, 4])]).weights("w", &[6, 5, 2, 2]).weights("b", &[5]);
    let node = Node::new("ConvTranspose", &["x", "w", "b"], "y").with("strides", &[2i64, 2][..]);
    // 96 input elements × 5 outputs × 4; the bias on 5 × 8 × 8 elements.
    assert_eq!(transposed.node(node).output("y").work(), (96 * 20, 2 * 96 * 20 + 320));
}

#[test]
fn matrix_products_are_rows_by_columns_by_inner_size() {
    let gemm = Net::new(&[("x", &[8, 16])]).weights("w", &[10, 16]).weights("b", &[10]);
    let gemm = gemm.node(Node::new("Gemm", &["x", "w", "b"], "y").with("transB", 1)).output("y");
    assert_eq!(gemm.work(), (8 * 10 * 16, 2 * 8 * 10 * 16 + 80));
    let matmul = Net::new(&[("x", &[2, 3, 5, 7]), ("y", &[3, 7, 4])]).op("MatMul", &["x", "y"], "z").output("z");
    // 2 × 3 products of 5 × 4 × 7.
    assert_eq!(matmul.work(), (6 * 140, 12 * 140));
    let einsum = Net::new(&[("q", &[2, 4, 5, 8]), ("k", &[2, 4, 6, 8])]);
    let einsum = einsum.node(Node::new("Einsum", &["q", "k"], "s").with("equation", "bhqd,bhkd->bhqk")).output("s");
    assert_eq!(einsum.work(), (2 * 4 * 5 * 6 * 8, 2 * 2 * 4 * 5 * 6 * 8));
}

#[test]
fn recurrent_layers_multiply_input_and_state_in_each_step() {
    let net = Net::new(&[("x", &[5, 2, 3])]).weights("w", &[1, 16, 3]).weights("r", &[1, 16, 4]).weights("b", &[1, 32]);
    let node = Node::new("LSTM", &["x", "w", "r", "b"], "y").with("hidden_size", 4);
    // 5 steps × 2 rows × (16 · 3 + 16 · 4) MACs; 16 gates add two products and two biases, 4 units take 18 operations.
    assert_eq!(net.node(node).output("y").work(), (10 * 112, 20 * 112 + 10 * (16 * 3 + 4 * 18)));
}

#[test]
fn elementwise_work_is_in_flops_alone() {
    let of = |op_type: &str| Net::new(&[("x", &[2, 10])]).op(op_type, &["x"], "y").output("y").work();
    assert_eq!((of("Relu"), of("Sigmoid"), of("Softmax"), of("Transpose")), ((0, 20), (0, 80), (0, 100), (0, 0)));
    let pool = Net::new(&[("x", &[1, 3, 8, 8])]);
    let node = Node::new("MaxPool", &["x"], "y").with("kernel_shape", &[2i64, 2][..]).with("strides", &[2i64, 2][..]);
    assert_eq!(pool.node(node).output("y").work(), (0, 3 * 16 * 4));
}

#[test]
fn what_has_no_rule_is_told_and_not_zero() {
    let mut node = Node::new("Frobnicate", &["x"], "y");
    node.domain = "com.example".into();
    let costs = Net::new(&[("x", &[2, 10])]).node(node).output("y").costs();
    assert_eq!(costs[0].work, Err(Unknown::Operator("com.example.Frobnicate".into())));
    assert_eq!(costs[0].traffic, Err(Unknown::Type("y".into())));
}

#[test]
fn views_move_nothing_and_gathers_what_they_take() {
    let mut net = Net::new(&[("x", &[2, 3, 4])]).op("Identity", &["x"], "i");
    net.0.graph.initializers.insert("shape".into(), Tensor::from_i64(&[2], &[2, 12]));
    let net = net.op("Reshape", &["i", "shape"], "y").output("y");
    assert_eq!((net.work(), net.traffic(), net.costs()[1].parameters), ((0, 0), (0, 0, 0), 0));
    let mut net = Net::new(&[]).weights("table", &[1000, 8]);
    net.0.graph.inputs.push(Value::tensor("i", &TensorType { dtype: DataType::Int64, ..float(&[3]) }));
    let net = net.op("Gather", &["table", "i"], "y").output("y");
    // 3 rows of 8, and 3 indices of 8 bytes; out 3 rows.
    assert_eq!((net.traffic(), net.costs()[0].parameters), ((24, 96, 96), 8000));
}

#[test]
fn statistics_scalars_and_shared_weights_are_no_further_parameters() {
    let net =
        Net::new(&[("x", &[1, 3, 4, 4])]).weights("g", &[3]).weights("b", &[3]).weights("m", &[3]).weights("v", &[3]);
    let net = net.weights("half", &[]).op("BatchNormalization", &["x", "g", "b", "m", "v"], "n");
    let net = net.op("Mul", &["n", "half"], "h").output("h");
    assert_eq!(net.costs().iter().map(|cost| cost.parameters).collect::<Vec<_>>(), [6, 0]);
    let tied = Net::new(&[("x", &[2, 4])]).weights("w", &[4, 4]);
    let tied = tied.op("MatMul", &["x", "w"], "y").op("MatMul", &["y", "w"], "z").output("z");
    let costs = tied.costs();
    assert_eq!((costs[0].parameters, costs[1].parameters), (16, 0));
    assert_eq!(costs[1].traffic, Ok(Traffic { read: 32, constants: 64, written: 32 }));
}

#[test]
fn a_layer_writes_only_its_last_value() {
    let net = Net::new(&[("x", &[1, 3, 8, 8])]).weights("w", &[4, 3, 3, 3]).weights("g", &[4]).weights("b", &[4]);
    let net = net.weights("m", &[4]).weights("v", &[4]).node(pads(Node::new("Conv", &["x", "w"], "c")));
    let net = net.op("BatchNormalization", &["c", "g", "b", "m", "v"], "n").op("Relu", &["n"], "y").output("y");
    let layers = net.layers();
    assert_eq!(layers.len(), 1);
    let (name, cost) = &layers[0];
    // 256 output elements of 27 MACs; 2 for the norm and 1 for ReLU. Read 192 elements, 108 weights, 16 of the norm.
    assert_eq!((name.as_str(), cost.parameters), ("Conv+BatchNormalization+Relu", 108 + 8));
    assert_eq!(cost.work, Ok(Work { macs: 256 * 27, flops: 2 * 256 * 27 + 3 * 256 }));
    assert_eq!(cost.traffic, Ok(Traffic { read: 4 * 192, constants: 4 * (108 + 16), written: 4 * 256 }));
}

#[test]
fn the_later_convolution_takes_the_residual() {
    let net = Net::new(&[("x", &[1, 4, 8, 8])]).weights("a", &[4, 4, 1, 1]).weights("b", &[4, 4, 1, 1]);
    let net = net.op("Conv", &["x", "a"], "left").op("Conv", &["x", "b"], "right");
    let net = net.op("Add", &["left", "right"], "sum").op("Relu", &["sum"], "y").output("y");
    let layers = net.layers();
    assert_eq!(layers.iter().map(|layer| layer.0.as_str()).collect::<Vec<_>>(), ["Conv", "Conv+Add+Relu"]);
    // The input, the other branch, the weights; one value out.
    assert_eq!(layers[1].1.traffic, Ok(Traffic { read: 2 * 1024, constants: 64, written: 1024 }));
}

#[test]
fn an_activation_may_be_several_nodes() {
    let net = || Net::new(&[("x", &[2, 4])]).weights("w", &[4, 4]).weights("b", &[4]);
    let linear = || net().op("MatMul", &["x", "w"], "p").op("Add", &["b", "p"], "h");
    let silu = linear().op("Sigmoid", &["h"], "s").op("Mul", &["h", "s"], "y").output("y");
    assert_eq!(silu.layers()[0].0, "MatMul+Add+Sigmoid+Mul");
    let gelu = linear().weights("r", &[]).weights("1", &[]).op("Div", &["h", "r"], "d").op("Erf", &["d"], "e");
    let gelu = gelu.op("Add", &["e", "1"], "f").op("Mul", &["h", "f"], "m").op("Mul", &["m", "r"], "y").output("y");
    let names: Vec<String> = gelu.layers().into_iter().map(|layer| layer.0).collect();
    assert_eq!(names, ["MatMul+Add+Div+Erf+Add+Mul+Mul"]);
    // Another activation does not take a factor.
    let scaled = linear().weights("r", &[]).op("Relu", &["h"], "m").op("Mul", &["m", "r"], "y").output("y");
    let names: Vec<String> = scaled.layers().into_iter().map(|layer| layer.0).collect();
    assert_eq!(names, ["MatMul+Add+Relu", "Mul"]);
    // A value that something else reads is written.
    let read = linear().op("Relu", &["h"], "y").op("Tanh", &["h"], "z").output("y").output("z");
    assert_eq!(read.layers().iter().map(|layer| layer.0.as_str()).collect::<Vec<_>>(), ["MatMul+Add", "Relu", "Tanh"]);
}

#[test]
fn quantized_layers_read_and_write_bytes() {
    let net = Net::new(&[("x", &[1, 3, 8, 8])]).weights("s", &[]).bytes("z", &[]).bytes("w", &[4, 3, 1, 1]);
    let net = net.op("QuantizeLinear", &["x", "s", "z"], "xq").op("DequantizeLinear", &["xq", "s", "z"], "xd");
    let net = net.op("DequantizeLinear", &["w", "s", "z"], "wd").op("Conv", &["xd", "wd"], "c").op("Relu", &["c"], "r");
    let net =
        net.op("QuantizeLinear", &["r", "s", "z"], "yq").op("DequantizeLinear", &["yq", "s", "z"], "y").output("y");
    let layers = net.layers();
    let names: Vec<&str> = layers.iter().map(|layer| layer.0.as_str()).collect();
    let conv = "DequantizeLinear+DequantizeLinear+Conv+Relu+QuantizeLinear";
    assert_eq!(names, ["QuantizeLinear", conv, "DequantizeLinear"]);
    let cost = &layers[1].1;
    assert_eq!((cost.dtype, cost.parameters), (DataType::Int8, 12));
    // 192 bytes in, 12 of weights and scale and zero point (5), 256 out.
    assert_eq!(cost.traffic, Ok(Traffic { read: 192, constants: 17, written: 256 }));
    // 256 output elements: 3 MACs, ReLU 1, quantization 5; dequantization 2 of 192.
    assert_eq!(cost.work, Ok(Work { macs: 768, flops: 2 * 768 + 256 * 6 + 192 * 2 }));
    assert_eq!(layers[2].1.traffic, Ok(Traffic { read: 256, constants: 5, written: 1024 }));
}

#[test]
fn every_node_is_in_one_layer() {
    let net =
        Net::new(&[("x", &[2, 4])]).weights("w", &[4, 4]).op("Identity", &["w"], "wi").op("MatMul", &["x", "wi"], "y");
    let net = net
        .op("Flatten", &["y"], "f")
        .op("Softmax", &["f"], "p")
        .op("Identity", &["w"], "spare")
        .output("p")
        .output("spare");
    let mut nodes: Vec<usize> = fuse(&net.0.graph).into_iter().flat_map(|layer| layer.nodes).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, [0, 1, 2, 3, 4]);
}

#[test]
fn sizes_beyond_64_bits_are_told() {
    let net = Net::new(&[("x", &[1 << 30, 1 << 30, 1 << 30])]).op("Relu", &["x"], "y").output("y");
    assert_eq!(net.costs()[0].work, Err(Unknown::TooLarge));
    assert_eq!(call::product([usize::MAX, usize::MAX, 0]), Ok(0));
    // 2⁶³ MACs are 2⁶⁴ FLOPs.
    let net = Net::new(&[("x", &[1 << 31, 1 << 30]), ("w", &[1 << 30, 4])]).op("MatMul", &["x", "w"], "y").output("y");
    assert_eq!(net.costs()[0].work, Err(Unknown::TooLarge));
    // 3·10⁹ elements have more than 32 bits.
    let net = Net::new(&[("x", &[3_000_000_000])]).op("Relu", &["x"], "y").output("y");
    assert_eq!((net.work(), net.traffic()), ((0, 3_000_000_000), (12_000_000_000, 0, 12_000_000_000)));
}
