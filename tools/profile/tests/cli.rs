//! The real binary on small models: tables, JSON, devices, and what it says of bad input.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use onnx::{Attribute, DataType, Dim, GraphBuilder, Model, ModelInfo, TensorType};
use serde_json::{Value, json};
use testkit::{Done, Folder, tool};

/// A convolution with ReLU, and a linear layer: an image `[batch, 3, 8, 8]` to 10 numbers.
fn network() -> Vec<u8> {
    let mut graph = GraphBuilder::new("net");
    let x = graph.input("x", &[3, 8, 8], "an image");
    let weight = graph.weights("conv.weight", &[4, 3, 3, 3], &[0.5; 108]);
    let bias = graph.weights("conv.bias", &[4], &[0.5; 4]);
    let pads = Attribute::from(&[1i64, 1, 1, 1][..]);
    let conv = graph.node("Conv", &[&x, &weight, &bias], "conv", &[("pads", pads)]);
    let relu = graph.node("Relu", &[&conv], "relu", &[]);
    let flat = graph.node("Flatten", &[&relu], "flat", &[]);
    let weight = graph.weights("fc.weight", &[10, 256], &[0.5; 2560]);
    let bias = graph.weights("fc.bias", &[10], &[0.5; 10]);
    let y = graph.node("Gemm", &[&flat, &weight, &bias], "fc", &[("transB", Attribute::Int(1))]);
    graph.output(&y, &[10], "scores");
    graph.to_bytes(&ModelInfo { opset: 17, description: String::new(), metadata: Vec::new() })
}

/// The network's first two nodes, changed by `change`.
fn head(change: impl FnOnce(&mut Model)) -> Vec<u8> {
    let mut model = Model::from_bytes("net", &network()).unwrap();
    model.graph.nodes.truncate(2);
    let unknown = TensorType { dtype: DataType::Float, shape: None };
    model.graph.outputs = vec![onnx::Value::tensor("relu", &unknown)];
    change(&mut model);
    model.to_bytes()
}

/// A folder with the network as `net.onnx`.
fn folder() -> Folder {
    let folder = Folder::with(&[]);
    folder.write("net.onnx", network());
    folder
}

fn profile(folder: &Folder, args: &[&str]) -> Done {
    tool!("profile").within(folder).args(args).run()
}

fn document(folder: &Folder, args: &[&str]) -> Value {
    let done = profile(folder, &[args, &["--to", "json"]].concat());
    assert_eq!(done.status, 0, "{}", done.error);
    serde_json::from_str(&done.out).unwrap()
}

/// Fails with status 2 and one line that has `expected` in it.
fn fails(folder: &Folder, args: &[&str], expected: &str) {
    let done = profile(folder, args);
    assert_eq!((done.status, done.out.as_str()), (2, ""), "{args:?}: {}", done.error);
    assert!(done.error.contains(expected), "{args:?}: {}", done.error);
    assert_eq!(done.error.lines().count(), 1, "{args:?}: {}", done.error);
}

#[test]
fn layers_have_the_costs_of_hand_counts() {
    let folder = folder();
    let document = document(&folder, &["net.onnx"]);
    let layers = document["models"][0]["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    let (conv, fc) = (&layers[0], &layers[1]);
    assert_eq!(conv["operators"], json!(["Conv", "Relu", "Flatten"]));
    // 4 × 8 × 8 = 256 output elements, each of 27 MACs, a bias and a ReLU.
    assert_eq!([&conv["macs"], &conv["flops"]], [256 * 27, 2 * 256 * 27 + 512]);
    assert_eq!([&conv["bytes_read"], &conv["bytes_weights"], &conv["bytes_written"]], [768, 448, 1024]);
    assert_eq!([&fc["macs"], &fc["flops"], &fc["parameters"]], [2560, 2 * 2560 + 10, 2570]);
    let total = &document["models"][0]["total"];
    assert_eq!([&total["macs"], &total["parameters"]], [256 * 27 + 2560, 112 + 2570]);
    // The T4: no TF32, 8.1 TFLOP/s; 320 GB/s.
    let seconds = (768.0 + 448.0 + 1024.0) / 320e9;
    assert!((conv["floor_seconds"].as_f64().unwrap() / seconds - 1.0).abs() < 1e-12);
    assert_eq!([&conv["bound"], &conv["arithmetic"]], ["memory", "float32"]);
}

#[test]
fn weights_are_read_once_whatever_the_batch_size() {
    let folder = folder();
    let total = |args: &[&str]| document(&folder, args)["models"][0]["total"].clone();
    let (one, eight) = (total(&["net.onnx"]), total(&["net.onnx", "profile.batch_size=8"]));
    let per_run = ["bytes_weights", "parameters"].map(|key| (key, 1));
    let per_row = ["macs", "flops", "bytes_read", "bytes_written"].map(|key| (key, 8));
    for (key, factor) in per_run.into_iter().chain(per_row) {
        assert_eq!(eight[key].as_u64().unwrap(), factor * one[key].as_u64().unwrap(), "{key}");
    }
}

#[test]
fn the_table_has_a_row_a_layer_and_a_sum() {
    let folder = folder();
    let done = profile(&folder, &["net.onnx"]);
    assert_eq!((done.status, done.error.as_str()), (0, ""));
    let lines: Vec<Vec<&str>> = done.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(done.out.starts_with("net.onnx: 2 layers of 4 nodes, opset 17; NVIDIA T4: float32 8.1, "), "{}", done.out);
    assert_eq!(lines[2][..4], ["layer", "operators", "output", "type"]);
    assert_eq!(lines[3][..7], ["conv", "Conv+Relu+Flatten", "1,256", "float32", "112", "6.912", "k"]);
    assert_eq!((lines[4][0], lines[5][0], lines.len()), ("fc", "total", 6));
    let nodes = profile(&folder, &["net.onnx", "--nodes", "--to", "md"]);
    assert_eq!(nodes.out.lines().filter(|line| line.starts_with('|')).count(), 2 + 4 + 1, "{}", nodes.out);
    // The rest is summed up.
    let short = profile(&folder, &["net.onnx", "--nodes", "profile.max_rows=1"]);
    assert!(short.out.contains("[other: 3]"), "{}", short.out);
}

#[test]
fn several_models_are_a_row_each() {
    let folder = folder();
    folder.write("other.onnx", network());
    let done = profile(&folder, &["net.onnx", "other.onnx", "devices=h100"]);
    let rows: Vec<&str> = done.out.lines().filter(|line| line.contains(".onnx")).collect();
    assert_eq!(rows.len(), 2, "{}", done.out);
    assert!(done.out.starts_with("NVIDIA H100 SXM: float32 67, tf32 494.5, "), "{}", done.out);
    let csv = profile(&folder, &["net.onnx", "other.onnx", "--to", "csv"]);
    assert_eq!(csv.out.lines().count(), 1 + 2 * 2);
}

#[test]
fn standard_input_and_an_output_file() {
    let folder = folder();
    let done = tool!("profile").within(&folder).args(["-o", "out.json"]).stdin(network()).run();
    assert_eq!(done.parts(), (0, String::new(), String::new()));
    assert_eq!(folder.json("out.json")["models"][0]["model"], "stdin");
}

#[test]
fn a_device_is_a_group_or_a_file() {
    let folder = folder();
    let device = |peaks: &str| format!("name: mine\nsource: guessed\npeak_tflops: {{{peaks}}}\nbandwidth_gbs: 1000\n");
    folder.write("mine.yaml", device("float32: 1"));
    let mine = document(&folder, &["net.onnx", "--device", "mine.yaml"]);
    assert_eq!(mine["models"][0]["layers"][0]["bound"], "compute");
    let arithmetic = |args: &[&str]| document(&folder, args)["models"][0]["layers"][0]["arithmetic"].clone();
    assert_eq!(arithmetic(&["net.onnx", "devices=a100"]), "tf32");
    assert_eq!(arithmetic(&["net.onnx", "devices=a100", "profile.tf32=false"]), "float32");
    folder.write("bad.yaml", device("float32: 0"));
    fails(&folder, &["net.onnx", "--device", "bad.yaml"], "bad.yaml: peak_tflops.float32: 0; expected above 0");
    folder.write("odd.yaml", device("float32: 1, float23: 1"));
    fails(&folder, &["net.onnx", "--device", "odd.yaml"], "float23");
    fails(&folder, &["net.onnx", "--device", "none.yaml"], "none.yaml");
    let both = ["net.onnx", "--device", "mine.yaml", "devices=a100"];
    fails(&folder, &both, "devices=a100 has no effect beside --device");
}

#[test]
fn a_device_that_lacks_keys_is_told_all_of_them_and_an_example_that_works() {
    let folder = folder();
    for (file, missing) in [
        ("", "name, source, peak_tflops.float32, bandwidth_gbs missing"),
        ("name: mine\npeak_tflops: {tf32: 8}\n", "source, peak_tflops.float32, bandwidth_gbs missing"),
    ] {
        folder.write("part.yaml", file);
        let done = profile(&folder, &["net.onnx", "--device", "part.yaml"]);
        let (what, example) = done.error.split_once("; a device is for instance ").unwrap();
        assert_eq!((done.status, what), (2, format!("profile: --device part.yaml: {missing}").as_str()));
        folder.write("part.yaml", example);
        assert_eq!(document(&folder, &["net.onnx", "--device", "part.yaml"])["device"]["name"], "mine");
    }
}

/// A float64 or integer product has no tensor core of TF32.
#[test]
fn float64_runs_at_its_own_peak() {
    let folder = folder();
    let mut graph = GraphBuilder::new("net");
    let x = graph.input("x", &[4], "values");
    let cast = graph.node("Cast", &[&x], "cast", &[("to", Attribute::Int(11))]);
    let square = graph.node("Mul", &[&cast, &cast], "square", &[]);
    let y = graph.node("Cast", &[&square], "y", &[("to", Attribute::Int(1))]);
    graph.output(&y, &[4], "squares");
    folder.write("double.onnx", graph.to_bytes(&ModelInfo { opset: 17, description: String::new(), metadata: vec![] }));
    let layers = document(&folder, &["double.onnx", "devices=l4"])["models"][0]["layers"].clone();
    let square = layers.as_array().unwrap().iter().find(|layer| layer["name"] == "square").unwrap();
    assert_eq!(square["arithmetic"], "float64");
}

#[test]
fn settings_out_of_range_are_told_with_the_range() {
    let folder = folder();
    for (setting, expected) in [
        ("max_runs=1000000000", "profile.run.max_runs: 1000000000; expected at most 10000000"),
        ("node_runs=1000000", "profile.run.node_runs: 1000000; expected at most 100000"),
        (
            "limit_seconds=1",
            "profile.run.limit_seconds: 1; expected above 1.2, which warm_up_seconds and seconds take, to 86400",
        ),
        ("limit_seconds=1e6", "profile.run.limit_seconds: 1000000; expected above 1.2"),
        ("batch_sizes=[1,0]", "profile.run.batch_sizes: 0; expected at least 1"),
    ] {
        fails(&folder, &["net.onnx", &format!("profile.run.{setting}")], expected);
    }
    let done = profile(&folder, &["net.onnx", "profile.threads=1000000"]);
    assert_eq!(done.status, 0, "{}", done.error);
    assert!(done.error.starts_with("profile: profile.threads: 1000000 threads are more than may be"), "{}", done.error);
}

#[test]
fn a_model_of_a_fixed_batch_size_is_told_at_that_size() {
    let folder = folder();
    let shape = Some([2, 3, 8, 8].map(Dim::Known).to_vec());
    let input = onnx::Value::tensor("x", &TensorType { dtype: DataType::Float, shape });
    folder.write("fixed.onnx", head(|model| model.graph.inputs = vec![input]));
    let done = profile(&folder, &["fixed.onnx", "profile.batch_size=8", "--to", "json"]);
    assert_eq!(done.error, "profile: fixed.onnx: the batch size is fixed: 2; profile.batch_size has no effect\n");
    let told: Value = serde_json::from_str(&done.out).unwrap();
    let model = &told["models"][0];
    assert_eq!([&model["batch_size"], &model["total"]["macs"]], [2, 2 * 256 * 27]);
    // A size that is given by name is no surprise.
    let done = profile(&folder, &["net.onnx", "--dim", "batch=5", "--to", "json"]);
    assert_eq!(done.error, "");
    let told: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(told["models"][0]["batch_size"], 5);
}

#[test]
fn this_machine_is_measured_and_is_a_device() {
    let folder = folder();
    let quick = ["profile.measure_seconds=0.02", "profile.measure_bytes=8388608"];
    let done = profile(&folder, &[&["--measure-device", "-o", "here.yaml"][..], &quick].concat());
    assert_eq!(done.parts(), (0, String::new(), String::new()));
    let here = document(&folder, &["net.onnx", "--device", "here.yaml"]);
    assert!(here["device"]["peak_tflops"]["float32"].as_f64().unwrap() > 0.0, "{here}");
    fails(&folder, &["net.onnx", "--measure-device"], "--measure-device reads no model");
    for flag in [&["--run"][..], &["--dim", "n=1"], &["--nodes"], &["--to", "json"]] {
        fails(&folder, &[&["--measure-device"], flag].concat(), "--measure-device takes -o and no other flag");
    }
}

#[test]
fn dimensions_without_a_size_are_told_with_the_flag_that_gives_it() {
    let folder = folder();
    let symbol = |name: &str| Dim::Symbol(name.into());
    let shape = Some(vec![symbol("n"), Dim::Known(3), symbol("height"), symbol("width")]);
    let input = onnx::Value::tensor("x", &TensorType { dtype: DataType::Float, shape });
    folder.write("free.onnx", head(|model| model.graph.inputs = vec![input]));
    fails(&folder, &["free.onnx"], "the size of dimension 2 is not known; give it: --dim 'height=224'");
    fails(&folder, &["free.onnx", "--dim", "hight=8", "--dim", "height=8", "--dim", "width=8"], "did you mean height");
    fails(&folder, &["free.onnx", "--dim", "height"], "expected name=size");
    let args = ["free.onnx", "--dim", "height=8", "profile.dims={width: 8}", "profile.batch_size=2"];
    assert_eq!(document(&folder, &args)["models"][0]["total"]["macs"], 2 * 256 * 27);
}

#[test]
fn an_operator_without_a_rule_is_a_question_mark_and_a_note() {
    let folder = folder();
    let odd = head(|model| {
        model.graph.nodes[1].op_type = "Frobnicate".into();
        model.graph.nodes[1].domain = "com.example".into();
        model.opsets.insert("com.example".into(), 1);
    });
    folder.write("odd.onnx", odd);
    let done = profile(&folder, &["odd.onnx"]);
    assert_eq!(done.status, 0, "{}", done.error);
    assert!(done.error.contains("\"relu\": no rule for com.example.Frobnicate"), "{}", done.error);
    let total = done.out.lines().last().unwrap();
    assert!(total.starts_with("total") && total.contains("≥ 6.912 k"), "{}", done.out);
}

#[test]
fn what_is_no_model_is_one_line() {
    let folder = folder();
    for (name, bytes) in [("empty.onnx", &b""[..]), ("text.onnx", b"hello"), ("cut.onnx", &network()[..400])] {
        folder.write(name, bytes);
        fails(&folder, &[name], name);
    }
    fails(&folder, &["none.onnx"], "none.onnx");
    fails(&folder, &["."], ".");
    let stdin = tool!("profile").within(&folder).run();
    assert_eq!(stdin.parts(), (2, String::new(), "profile: stdin: empty; expected an ONNX model\n".into()));
    fails(&folder, &["net.onnx", "-o", "./net.onnx"], "--out ./net.onnx: the model is that file");
    fails(&folder, &["net.onnx", "-o", "cost.npy"], "cost.npy: a table is written as .txt, .md, .csv or .json");
    fails(&folder, &["net.onnx", "profile.batch_size=0"], "profile.batch_size: 0; expected at least 1");
    fails(&folder, &["net.onnx", "profile.model_bytes=100"], "profile.model_bytes");
}
