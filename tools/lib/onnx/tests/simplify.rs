//! Clean-up of graphs, each pass on a graph of a few nodes, and their outputs in ONNX Runtime before and after.

mod common;

use common::{branches, error, evaluate, floats, graph, model, node, noise, operators, run};
use onnx::{
    Attribute, Graph, Model, Tensor,
    simplify::{Options, Simplified, simplify},
};

/// Simplifies a graph in ONNX Runtime's hands.
fn simplified(graph: Graph) -> (Model, Simplified) {
    let mut model = model(graph);
    let counts = simplify(&mut model, &Options::default(), &mut evaluate).expect("a sound model");
    let again = simplify(&mut model, &Options::default(), &mut evaluate).expect("a sound model");
    assert_eq!(again, Simplified::default(), "a fixed point is reached");
    (model, counts)
}

/// Simplifies a graph whose outputs must stay equal bit for bit.
fn exact(graph: &Graph, input: &Tensor) -> (Model, Simplified) {
    let (after, counts) = simplified(graph.clone());
    assert_eq!(run(&after, &[input]), run(&model(graph.clone()), &[input]));
    (after, counts)
}

/// Simplifies a graph whose outputs may round differently.
fn close(graph: &Graph, input: &Tensor) -> (Model, Simplified) {
    let (after, counts) = simplified(graph.clone());
    let (found, expected) = (run(&after, &[input]), run(&model(graph.clone()), &[input]));
    let error = error(&found[0], &expected[0]);
    assert!(error < 1e-5, "off by {error}");
    (after, counts)
}

fn ints(values: &[i64]) -> Tensor {
    Tensor::from_i64(&[values.len()], values)
}

#[test]
fn dead_nodes_and_unused_initializers_go() {
    let mut graph = graph(&[("x", &[0, 2])], &[("y", &[0, 2])], &[("unused", floats(&[1], &[1.0]))]);
    graph.nodes = vec![node("Relu", &["x"], "y"), node("Neg", &["x"], "dead"), node("Abs", &["dead"], "deader")];
    let (model, counts) = exact(&graph, &noise(1, &[3, 2]));
    assert_eq!(operators(&model.graph), ["Relu"]);
    assert!(model.graph.initializers.is_empty());
    assert_eq!(counts, Simplified { dead_nodes: 2, unused_initializers: 1, ..Simplified::default() });
}

#[test]
fn identities_go_and_inputs_and_outputs_keep_their_names() {
    let constants = [("zero", floats(&[], &[0.0])), ("one", floats(&[1, 1], &[1.0])), ("shape", ints(&[-1, 2]))];
    let mut graph = graph(&[("x", &[0, 2])], &[("y", &[0, 2]), ("z", &[0, 2])], &constants);
    graph.nodes = vec![
        node("Identity", &["x"], "a"),
        node("Dropout", &["a"], "b"),
        node("Relu", &["b"], "c"),
        node("Mul", &["c", "one"], "d"),
        node("Sub", &["d", "zero"], "e"),
        node("Cast", &["e"], "f").with("to", 1),
        node("Transpose", &["f"], "g").with("perm", [0i64, 1].as_slice()),
        node("Reshape", &["g", "shape"], "h"),
        node("Identity", &["h"], "y"),
        node("Identity", &["x"], "z"),
    ];
    let (model, counts) = exact(&graph, &noise(1, &[3, 2]));
    // An output that is an input needs a node.
    assert_eq!(operators(&model.graph), ["Relu", "Identity"]);
    assert_eq!((model.graph.nodes[0].inputs[0].as_str(), model.graph.nodes[0].outputs[0].as_str()), ("x", "y"));
    assert_eq!(counts.identities, 8);
}

#[test]
fn a_zero_added_stays_for_it_changes_the_sign_of_zero() {
    let constants = [("zero", floats(&[], &[0.0])), ("wide", floats(&[2, 1, 2], &[1.0; 4]))];
    let mut graph = graph(&[("x", &[1, 2])], &[("y", &[1, 2]), ("z", &[2, 1, 2])], &constants);
    // A factor of ones that makes the result wider is no identity.
    graph.nodes = vec![node("Add", &["x", "zero"], "y"), node("Mul", &["x", "wide"], "z")];
    let (model, counts) = exact(&graph, &floats(&[1, 2], &[-0.0, 1.0]));
    assert_eq!(operators(&model.graph), ["Add", "Mul"]);
    assert_eq!(counts, Simplified::default());
}

#[test]
fn constants_of_all_kinds_are_folded() {
    let mut graph = graph(&[("x", &[0, 2])], &[("y", &[0, 2])], &[("w", floats(&[2], &[1.0, 4.0]))]);
    let mut two = node("Constant", &[], "two");
    two.set("value_float", 2.0);
    graph.nodes = vec![
        two,
        node("Sqrt", &["w"], "root"),
        node("Mul", &["root", "two"], "scaled"),
        node("Add", &["x", "scaled"], "y"),
    ];
    let (model, counts) = exact(&graph, &noise(1, &[3, 2]));
    assert_eq!(operators(&model.graph), ["Add"]);
    assert_eq!(model.graph.initializers["scaled"], floats(&[2], &[2.0, 4.0]));
    assert_eq!((counts.constants, counts.folded, model.graph.initializers.len()), (1, 2, 1));
}

#[test]
fn large_and_random_values_and_weights_of_quantized_models_stay() {
    let constants = [
        ("dims", ints(&[1 << 19, 2])),
        ("w", Tensor::new(onnx::DataType::Int8, &[2], vec![1, 2]).expect("two bytes")),
        ("scale", floats(&[], &[0.5])),
    ];
    let mut graph = graph(&[("x", &[0, 2])], &[("y", &[]), ("z", &[0, 2]), ("r", &[2])], &constants);
    let random = node("RandomNormal", &[], "random").with("shape", [2i64].as_slice()).with("seed", 1.0);
    graph.nodes = vec![
        node("ConstantOfShape", &["dims"], "large"),
        node("ReduceMax", &["large"], "y").with("keepdims", 0),
        node("DequantizeLinear", &["w", "scale"], "weight"),
        node("Mul", &["x", "weight"], "z"),
        random,
        node("Relu", &["random"], "r"),
    ];
    let (model, counts) = simplified(graph);
    assert_eq!(model.graph.nodes.len(), 6);
    assert_eq!(counts, Simplified::default());
}

#[test]
fn arithmetic_on_known_sizes_is_folded() {
    // x.reshape(x.shape[0], x.shape[1] * x.shape[2]), as PyTorch exports it.
    let constants = [("i0", ints(&[0])), ("i1", ints(&[1])), ("i2", ints(&[2]))];
    let mut graph = graph(&[("x", &[0, 3, 4])], &[("y", &[0, 12])], &constants);
    graph.nodes = vec![
        node("Shape", &["x"], "s"),
        node("Gather", &["s", "i0"], "n"),
        node("Gather", &["s", "i1"], "c"),
        node("Gather", &["s", "i2"], "l"),
        node("Mul", &["c", "l"], "m"),
        node("Concat", &["n", "m"], "shape").with("axis", 0),
        node("Reshape", &["x", "shape"], "y"),
    ];
    let (model, counts) = exact(&graph, &noise(1, &[2, 3, 4]));
    assert_eq!(operators(&model.graph), ["Shape", "Gather", "Concat", "Reshape"]);
    assert_eq!(model.graph.initializers["m"], ints(&[12]));
    assert_eq!(counts.shapes, 3);
}

#[test]
fn arithmetic_with_one_value_a_channel_folds_into_convolutions() {
    let constants = [
        ("w", noise(1, &[3, 2, 1, 1])),
        ("scale", noise(2, &[3, 1, 1])),
        ("shift", noise(3, &[1, 3, 1, 1])),
        ("two", floats(&[], &[2.0])),
        ("columns", noise(4, &[4])),
    ];
    let mut graph = graph(&[("x", &[0, 2, 4, 4])], &[("y", &[0, 3, 4, 4])], &constants);
    graph.nodes = vec![
        node("Conv", &["x", "w"], "a"),
        node("Mul", &["scale", "a"], "b"),
        node("Add", &["b", "shift"], "c"),
        node("Sub", &["two", "c"], "d"),
        node("Div", &["d", "two"], "e"),
        node("Add", &["e", "columns"], "y"),
    ];
    let (model, counts) = close(&graph, &noise(5, &[2, 2, 4, 4]));
    assert_eq!(operators(&model.graph), ["Conv", "Add"]);
    assert_eq!(counts.arithmetic, 4);
}

#[test]
fn matmul_with_a_bias_and_batch_norm_becomes_gemm() {
    let constants = [
        ("w", noise(1, &[3, 4])),
        ("b", noise(2, &[4])),
        ("gamma", noise(3, &[4])),
        ("beta", noise(4, &[4])),
        ("mean", noise(5, &[4])),
        ("variance", floats(&[4], &[1.0, 2.0, 0.5, 3.0])),
    ];
    let mut graph = graph(&[("x", &[0, 3])], &[("y", &[0, 4])], &constants);
    graph.nodes = vec![
        node("MatMul", &["x", "w"], "a"),
        node("Add", &["b", "a"], "c"),
        node("BatchNormalization", &["c", "gamma", "beta", "mean", "variance"], "y"),
    ];
    let (model, counts) = close(&graph, &noise(5, &[2, 3]));
    assert_eq!(operators(&model.graph), ["Gemm"]);
    assert_eq!((counts.gemms, counts.arithmetic, counts.batch_norms), (1, 1, 1));
}

#[test]
fn zero_padding_folds_into_convolution_and_average_pooling() {
    let pads = ints(&[0, 0, 1, 2, 0, 0, 0, 1]);
    for (op, shape) in [("Conv", [0, 3, 4, 6]), ("AveragePool", [0, 2, 4, 6])] {
        let constants = [("pads", pads.clone()), ("w", noise(1, &[3, 2, 3, 3]))];
        let mut graph = graph(&[("x", &[0, 2, 5, 5])], &[("y", &shape)], &constants);
        let inputs: &[&str] = if op == "Conv" { &["p", "w"] } else { &["p"] };
        let kernel = Attribute::Ints(vec![3, 3]);
        graph.nodes = vec![node("Pad", &["x", "pads"], "p"), node(op, inputs, "y").with("kernel_shape", kernel)];
        let (model, counts) = close(&graph, &noise(5, &[2, 2, 5, 5]));
        assert_eq!((operators(&model.graph), counts.pads), (vec![op], 1));
    }
}

#[test]
fn padding_of_channels_or_with_ones_stays() {
    for (pads, fill) in
        [([0, 1, 0, 0, 0, 0, 0, 0], 0.0), ([0, 0, 1, 1, 0, 0, 1, 1], 1.0), ([0, 0, -1, 0, 0, 0, 0, 0], 0.0)]
    {
        let channels = 2 + pads[1] as usize;
        let constants = [("pads", ints(&pads)), ("fill", floats(&[], &[fill])), ("w", noise(1, &[3, channels, 1, 1]))];
        let mut graph = graph(&[("x", &[0, 2, 5, 5])], &[("y", &[0, 3, 0, 0])], &constants);
        graph.outputs[0] = onnx::Value::tensor("y", &onnx::TensorType { dtype: onnx::DataType::Float, shape: None });
        graph.nodes = vec![node("Pad", &["x", "pads", "fill"], "p"), node("Conv", &["p", "w"], "y")];
        let (model, _) = exact(&graph, &noise(5, &[2, 2, 5, 5]));
        assert_eq!(operators(&model.graph), ["Pad", "Conv"]);
    }
}

#[test]
fn equal_constants_and_nodes_are_merged() {
    let constants =
        [("a", floats(&[2], &[1.5, 2.0])), ("b", floats(&[2], &[1.5, 2.0])), ("c", floats(&[1, 2], &[1.5, 2.0]))];
    let mut graph = graph(&[("x", &[0, 2])], &[("y", &[0, 2]), ("z", &[0, 2])], &constants);
    graph.nodes = vec![
        node("Mul", &["x", "a"], "p"),
        node("Mul", &["x", "b"], "q"),
        node("Mul", &["x", "c"], "r"),
        node("Add", &["p", "q"], "s"),
        node("Add", &["s", "r"], "y"),
        // Equal to "y", but an output of its own.
        node("Add", &["s", "r"], "z"),
    ];
    let (model, counts) = exact(&graph, &noise(1, &[3, 2]));
    assert_eq!(operators(&model.graph), ["Mul", "Mul", "Add", "Add", "Add"]);
    assert_eq!((counts.duplicates, model.graph.initializers.len()), (2, 2));
}

#[test]
fn values_that_subgraphs_read_keep_their_names() {
    let mut graph = graph(&[("i", &[0, 2])], &[("y", &[0, 2])], &[("one", floats(&[2], &[1.0, 1.0]))]);
    graph.initializers.insert("same".into(), floats(&[2], &[1.0, 1.0]));
    graph.nodes = vec![
        node("Identity", &["i"], "x"),
        node("Add", &["one", "same"], "k"),
        node("ReduceSum", &["i"], "sum").with("keepdims", 0),
        node("Greater", &["sum", "sum"], "c"),
        branches("c", "y"),
    ];
    let (model, counts) = exact(&graph, &noise(1, &[3, 2]));
    assert_eq!(model.graph.initializers["k"], floats(&[2], &[2.0, 2.0]));
    assert_eq!(operators(&model.graph), ["Identity", "ReduceSum", "Greater", "If"]);
    assert_eq!(counts.folded, 1);
}

#[test]
fn a_subgraph_over_constants_is_folded() {
    let constants = [
        ("c", Tensor::new(onnx::DataType::Bool, &[], vec![1]).expect("one byte")),
        ("x", floats(&[1, 2], &[1.0, 2.0])),
        ("k", floats(&[2], &[10.0, 20.0])),
    ];
    let mut graph = graph(&[("i", &[0, 2])], &[("z", &[0, 2])], &constants);
    graph.nodes = vec![branches("c", "y"), node("Add", &["i", "y"], "z")];
    let (model, _) = exact(&graph, &noise(1, &[3, 2]));
    assert_eq!(operators(&model.graph), ["Add"]);
    assert_eq!(model.graph.initializers["y"], floats(&[1, 2], &[11.0, 22.0]));
}

#[test]
fn an_evaluator_that_fails_or_lies_is_an_error() {
    let mut graph = graph(&[("x", &[0, 2])], &[("y", &[0, 2])], &[("w", floats(&[2], &[1.0, 4.0]))]);
    graph.nodes = vec![node("Sqrt", &["w"], "root"), node("Add", &["x", "root"], "y")];
    let with = |result: Result<Vec<Tensor>, String>| {
        let mut evaluate = |_: &Model| result.clone();
        let error = simplify(&mut model(graph.clone()), &Options::default(), &mut evaluate).expect_err("no result");
        error.to_string()
    };
    assert_eq!(with(Err("no".into())), "its constant part cannot be computed: no");
    assert_eq!(with(Ok(vec![])), "its constant part has 0 results, expected 1");
    let lie = with(Ok(vec![Tensor::from_i64(&[], &[1])]));
    assert_eq!(lie, "tensor \"root\": its constant value has another type than the graph says");
}
