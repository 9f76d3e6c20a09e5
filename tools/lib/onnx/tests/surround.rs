//! Normalization, softmax and argmax in the graph.

mod common;

use common::{floats, graph, model, node, operators, run};
use onnx::{
    DataType, Dim, Tensor,
    surround::{Layout, Normalize, argmax, normalize, softmax},
};

fn labels(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn bytes_with_channels_last_are_normalized() {
    let mut graph = graph(&[("x", &[0, 2, 1, 2])], &[("y", &[0, 2, 1, 2])], &[]);
    graph.nodes = vec![node("Relu", &["x"], "y")];
    let mut model = model(graph);
    let options = Normalize { input: None, mean: &[0.5, 0.0], std: &[0.25, 2.0], bytes: true, layout: Layout::Nhwc };
    normalize(&mut model, &options).expect("an image");
    assert_eq!(operators(&model.graph), ["Cast", "Transpose", "Sub", "Div", "Relu"]);
    let input = model.graph.inputs[0].tensor_type().expect("a tensor");
    let sizes = [Dim::Symbol("batch".into()), Dim::Known(1), Dim::Known(2), Dim::Known(2)];
    assert_eq!((input.dtype, input.shape.as_deref()), (DataType::Uint8, Some(&sizes[..])));
    // [1, 1, 2, 2] channels last: two pixels, (255, 51) and (0, 102).
    let x = Tensor::new(DataType::Uint8, &[1, 1, 2, 2], vec![255, 51, 0, 102]).expect("four bytes");
    let y = run(&model, &[&x])[0].to_f32().expect("floats");
    // (1 - 0.5) / 0.25, (0 - 0.5) / 0.25, 0.2 / 2, 0.4 / 2, after Relu
    for (found, expected) in y.iter().zip([2.0, 0.0, 0.1, 0.2]) {
        assert!((found - expected).abs() < 1e-6, "{y:?}");
    }
}

#[test]
fn floats_with_one_mean_for_all() {
    let mut graph = graph(&[("x", &[0, 3])], &[("y", &[0, 3])], &[]);
    graph.nodes = vec![node("Neg", &["x"], "y")];
    let mut model = model(graph);
    let options = Normalize { input: Some("x"), mean: &[1.0], std: &[2.0], bytes: false, layout: Layout::Nchw };
    normalize(&mut model, &options).expect("a matrix");
    let x = floats(&[1, 3], &[1.0, 3.0, -1.0]);
    assert_eq!(run(&model, &[&x])[0].to_f32(), Some(vec![-0.0, -1.0, 1.0]));
}

#[test]
fn unfit_statistics_are_refused() {
    let mut graph = graph(&[("x", &[0, 3])], &[("y", &[0, 3])], &[]);
    graph.nodes = vec![node("Neg", &["x"], "y")];
    let model = model(graph);
    let refused = |input, mean: &[f32], std: &[f32]| {
        let options = Normalize { input, mean, std, bytes: false, layout: Layout::Nchw };
        normalize(&mut model.clone(), &options).expect_err("refused").to_string()
    };
    let options = Normalize { input: None, mean: &[0.0], std: &[1.0], bytes: false, layout: Layout::Nhwc };
    let error = normalize(&mut model.clone(), &options).expect_err("refused").to_string();
    assert_eq!(error, "input \"x\": it has 2 axes, whose order no layout changes");
    assert_eq!(refused(None, &[1.0, 2.0], &[1.0, 2.0]), "input \"x\": 2 means for 3 channels (axis 1)");
    assert_eq!(refused(None, &[1.0], &[1.0, 2.0]), "input \"x\": 1 means and 2 standard deviations");
    let too_small = |std| format!("input \"x\": a standard deviation is {std}; expected at least 1.1754944e-38");
    assert_eq!(refused(None, &[1.0], &[0.0]), too_small("0.0"));
    assert_eq!(refused(None, &[1.0], &[1e-40]), too_small("1e-40"));
    assert_eq!(refused(None, &[f32::NAN], &[1.0]), "input \"x\": a mean or standard deviation is NaN");
    assert_eq!(refused(Some("z"), &[1.0], &[1.0]), "no input is called \"z\"");
}

#[test]
fn softmax_takes_the_output_name_and_argmax_reads_the_scores() {
    let mut graph = graph(&[("x", &[0, 3])], &[("y", &[0, 3])], &[]);
    graph.nodes = vec![node("Identity", &["x"], "y")];
    let mut model = model(graph);
    softmax(&mut model, None).expect("scores");
    let names = argmax(&mut model, Some("y"), &labels(&["cat", "dog", "owl"])).expect("scores");
    assert_eq!((names.class.as_str(), names.label.as_deref()), ("class", Some("label")));
    assert_eq!(operators(&model.graph), ["Identity", "Softmax", "ArgMax", "Gather"]);
    assert_eq!(model.graph.nodes[2].inputs, ["y.logits"]);
    let x = floats(&[2, 3], &[0.0, 2f32.ln(), 0.0, 0.0, 0.0, 200.0]);
    let outputs = run(&model, &[&x]);
    let y = outputs[0].to_f32().expect("floats");
    assert!((y[1] - 0.5).abs() < 1e-6 && (y[0] - 0.25).abs() < 1e-6, "{y:?}");
    assert_eq!(outputs[1], Tensor::from_i64(&[2], &[1, 2]));
    assert_eq!(outputs[2], Tensor::from_strings(&[2], &labels(&["dog", "owl"])).expect("two"));
}

#[test]
fn probabilities_and_unfit_labels_are_refused() {
    let mut graph = graph(&[("x", &[0, 2])], &[("y", &[0, 2])], &[]);
    graph.nodes = vec![node("Softmax", &["x"], "p").with("axis", 1), node("Identity", &["p"], "y")];
    let mut model = model(graph);
    let message = "output \"y\": it is computed by \"p\" (Softmax): softmax would be applied to probabilities";
    assert_eq!(softmax(&mut model, None).expect_err("a softmax").to_string(), message);
    let mut refused = |names: &[&str]| argmax(&mut model, None, &labels(names)).expect_err("refused").to_string();
    assert_eq!(refused(&["a"]), "output \"y\": 1 labels for 2 classes");
    assert_eq!(refused(&["a", "b\n"]), "output \"y\": label \"b\\n\" has a line break");
    assert_eq!(argmax(&mut model, None, &[]).expect("scores").label, None);
}
