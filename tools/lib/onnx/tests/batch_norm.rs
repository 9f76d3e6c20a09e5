//! Batch normalization folded into what is before it, against values worked by hand and ONNX Runtime.

mod common;

use common::{error, floats, graph, model, node, noise, operators, run};
use onnx::{Graph, Node, Tensor, simplify::fold_batch_norms};

/// γ, β, mean and variance of `channels` channels, drawn; the variance is positive.
fn statistics(channels: usize) -> Vec<(&'static str, Tensor)> {
    let variance: Vec<f32> = noise(9, &[channels]).to_f32().expect("floats").iter().map(|v| v + 1.5).collect();
    vec![
        ("gamma", noise(6, &[channels])),
        ("beta", noise(7, &[channels])),
        ("mean", noise(8, &[channels])),
        ("variance", floats(&[channels], &variance)),
    ]
}

fn norm(input: &str, output: &str) -> Node {
    node("BatchNormalization", &[input, "gamma", "beta", "mean", "variance"], output)
}

/// Folds the graph's only batch norm and compares the outputs before and after.
fn folds(graph: &Graph, input: &Tensor, expected: &[&str]) {
    let before = model(graph.clone());
    let mut after = before.clone();
    assert_eq!(fold_batch_norms(&mut after.graph).expect("a sound graph"), 1);
    assert_eq!(operators(&after.graph), expected);
    after.graph.sort().expect("a sound graph");
    let (expected, found) = (run(&before, &[input]), run(&after, &[input]));
    let error = error(&found[0], &expected[0]);
    assert!(error < 1e-5, "off by {error}");
}

#[test]
fn values_by_hand() {
    let constants = [
        ("w", floats(&[2, 1, 1], &[3.0, 5.0])),
        ("gamma", floats(&[2], &[2.0, 1.0])),
        ("beta", floats(&[2], &[1.0, 0.0])),
        ("mean", floats(&[2], &[4.0, -1.0])),
        ("variance", floats(&[2], &[0.25, 4.0])),
    ];
    let mut graph = graph(&[("x", &[1, 1, 3])], &[("y", &[1, 2, 3])], &constants);
    graph.nodes = vec![node("Conv", &["x", "w"], "c"), norm("c", "y").with("epsilon", 0.0)];
    assert_eq!(fold_batch_norms(&mut graph).expect("a sound graph"), 1);
    // Scales: 2 / √0.25 = 4 and 1 / √4 = 0.5; shifts: 1 - 4 · 4 = -15 and 0 + 1 · 0.5.
    let conv = &graph.nodes[0];
    assert_eq!(
        (conv.inputs.as_slice(), conv.outputs.as_slice()),
        (&["x", "w", "w.bias"].map(String::from)[..], &["y".to_owned()][..])
    );
    assert_eq!(graph.initializers["w"], floats(&[2, 1, 1], &[12.0, 2.5]));
    assert_eq!(graph.initializers["w.bias"], floats(&[2], &[-15.0, 0.5]));
    assert_eq!(graph.initializers.len(), 2);
}

#[test]
fn convolutions() {
    for (groups, bias) in [(1, false), (1, true), (2, false), (2, true)] {
        let mut constants = statistics(6);
        constants.extend([("w", noise(1, &[6, 4 / groups, 3, 3])), ("b", noise(2, &[6]))]);
        let mut graph = graph(&[("x", &[0, 4, 5, 5])], &[("y", &[0, 6, 3, 3])], &constants);
        let inputs = ["x", "w", "b"];
        let conv = node("Conv", &inputs[..2 + usize::from(bias)], "c").with("group", groups as i64);
        graph.nodes = vec![conv, norm("c", "n"), node("Relu", &["n"], "y")];
        folds(&graph, &noise(3, &[2, 4, 5, 5]), &["Conv", "Relu"]);
    }
}

#[test]
fn transposed_convolutions_scale_axis_1_of_each_group() {
    for groups in [1, 2] {
        let mut constants = statistics(6);
        constants.push(("w", noise(1, &[4, 6 / groups, 2, 2])));
        let mut graph = graph(&[("x", &[0, 4, 3, 3])], &[("y", &[0, 6, 4, 4])], &constants);
        let conv = node("ConvTranspose", &["x", "w"], "c").with("group", groups as i64);
        graph.nodes = vec![conv, norm("c", "y")];
        folds(&graph, &noise(3, &[2, 4, 3, 3]), &["ConvTranspose"]);
    }
}

#[test]
fn gemm_with_its_factors_and_broadcast_bias() {
    for transposed in [0, 1] {
        for bias in [vec![], vec![1], vec![5], vec![1, 5]] {
            let mut constants = statistics(5);
            let weight = if transposed == 1 { [5, 3] } else { [3, 5] };
            constants.extend([("w", noise(1, &weight)), ("b", noise(2, &bias))]);
            let mut graph = graph(&[("x", &[0, 3])], &[("y", &[0, 5])], &constants);
            let gemm = node("Gemm", &["x", "w", "b"], "c").with("transB", transposed);
            graph.nodes = vec![gemm.with("alpha", 0.5).with("beta", 3.0), norm("c", "y")];
            folds(&graph, &noise(3, &[4, 3]), &["Gemm"]);
        }
    }
}

#[test]
fn a_shared_weight_is_copied() {
    let mut constants = statistics(4);
    constants.extend([("w", noise(1, &[4, 4, 1, 1])), ("b", noise(2, &[4]))]);
    let mut graph = graph(&[("x", &[0, 4, 2, 2])], &[("y", &[0, 4, 2, 2])], &constants);
    graph.nodes =
        vec![node("Conv", &["x", "w", "b"], "first"), norm("first", "n"), node("Conv", &["n", "w", "b"], "y")];
    folds(&graph, &noise(3, &[1, 4, 2, 2]), &["Conv", "Conv"]);
    let original = (graph.initializers["w"].clone(), graph.initializers["b"].clone());
    fold_batch_norms(&mut graph).expect("a sound graph");
    assert_eq!(graph.nodes[0].inputs, ["x", "w_", "b_"]);
    assert_eq!((graph.initializers["w"].clone(), graph.initializers["b"].clone()), original);
}

#[test]
fn two_norms_fold_into_two_readers_of_one_weight() {
    let mut constants = statistics(4);
    constants.push(("w", noise(1, &[4, 4, 1, 1])));
    let mut graph = graph(&[("x", &[0, 4, 2, 2])], &[("y", &[0, 4, 2, 2])], &constants);
    graph.nodes = vec![
        node("Conv", &["x", "w"], "first"),
        norm("first", "n"),
        node("Conv", &["n", "w"], "second"),
        norm("second", "y"),
    ];
    let before = model(graph.clone());
    assert_eq!(fold_batch_norms(&mut graph).expect("a sound graph"), 2);
    let x = noise(3, &[1, 4, 2, 2]);
    assert!(error(&run(&model(graph), &[&x])[0], &run(&before, &[&x])[0]) < 1e-5);
}

#[test]
fn what_is_read_elsewhere_or_trained_or_not_finite_stays() {
    let shape: &[usize] = &[0, 4, 2, 2];
    let build = |conv: Node, norm: Node, outputs: &[(&str, &[usize])], variance: f32| {
        let mut constants = statistics(4);
        constants.push(("w", noise(1, &[4, 4, 1, 1])));
        constants[3].1 = floats(&[4], &[variance, 1.0, 1.0, 1.0]);
        let mut graph = graph(&[("x", shape)], outputs, &constants);
        graph.nodes = vec![conv, norm];
        graph
    };
    let conv = || node("Conv", &["x", "w"], "c");
    let stays = [
        build(conv(), norm("c", "y"), &[("y", shape), ("c", shape)], 1.0),
        build(conv(), norm("c", "y").with("training_mode", 1), &[("y", shape)], 1.0),
        build(conv(), norm("c", "y"), &[("y", shape)], -1.0),
        build(node("Conv", &["x", "x"], "c"), norm("c", "y"), &[("y", shape)], 1.0),
    ];
    for mut graph in stays {
        assert_eq!(fold_batch_norms(&mut graph).expect("a sound graph"), 0);
        assert_eq!(operators(&graph), ["Conv", "BatchNormalization"]);
    }
}
