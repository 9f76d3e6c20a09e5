//! The real binary on models that are written here. The exported numbers are held against NumPy in `peer_onnx.py`.
//! Tests that compare with ONNX Runtime pass without it where its library is missing, but not in CI.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use nets::{Activation, Checkpoint, Graph, Model, OutputActivation, Parameters, Perceptron, Task};
use onnx::{cost::Work, proto::ModelProto};
use prost::Message;
use random::Random;
use records::DType;
use testkit::{Done, Folder, npy, tool};

fn export(folder: &Folder, args: &[&str]) -> Done {
    tool!("export").within(folder).args(args).run()
}

/// Whether ONNX Runtime's library was found.
fn has_library(done: &Done) -> bool {
    let is_missing = done.error.contains("ONNX Runtime's library is missing");
    assert!(!is_missing || std::env::var_os("CI").is_none(), "{}", done.error);
    !is_missing
}

/// A perceptron `x` `[3]` to `y` `[2]`.
fn model() -> Model {
    let perceptron = Perceptron { inputs: 3, hidden: vec![64, 64], outputs: 2, activation: Activation::Sigmoid };
    let graph = Graph::new((&perceptron).into()).unwrap();
    let task = Task {
        input_field: "x".into(),
        input_shape: vec![3],
        input_dtype: DType::F4,
        target_field: "y".into(),
        target_shape: vec![2],
        output_activation: OutputActivation::Identity,
    };
    let parameters = Parameters::random(&graph, &mut Random::new(5, 0));
    Model { features: task.features(), graph, task, scaling: None, target_scaling: None, parameters }
}

/// A folder with a finished run, `run`.
fn finished_run() -> Folder {
    let folder = Folder::new();
    folder.write("run/model.safetensors", model().to_safetensors().unwrap());
    folder
}

#[test]
fn a_run_folder_becomes_an_onnx_model() {
    let folder = finished_run();
    let done = export(&folder, &["run"]);
    if !has_library(&done) {
        return;
    }
    assert_eq!((done.status, done.out.as_str(), done.error.as_str()), (0, "", ""));
    assert_eq!(folder.names(), ["run"]);
    let bytes = folder.bytes("run/model.onnx");
    let model = ModelProto::decode(bytes.as_slice()).unwrap();
    assert_eq!(model.opset_import[0].version(), 17);
    let graph = model.graph.unwrap();
    let operators: Vec<_> = graph.node.iter().map(|node| node.op_type()).collect();
    assert_eq!(operators, ["Gemm", "Sigmoid", "Gemm", "Sigmoid", "Gemm", "Identity"]);
    assert_eq!((graph.input[0].name(), graph.output[0].name()), ("x", "prediction"));
    let manifest = folder.json("run/model.json");
    assert_eq!(manifest["source"]["file"], "model.safetensors");
    assert_eq!(manifest["source"]["sha256"], files::sha256(folder.bytes("run/model.safetensors")));
    assert_eq!(manifest["model"]["sha256"], files::sha256(&bytes));
    assert_eq!(manifest["model"]["inputs"][0]["shape"], serde_json::json!(["batch", 3]));
    // The same model gives the same bytes, here and there.
    assert_eq!(export(&folder, &["run", "-o", "again.onnx"]).status, 0);
    assert_eq!(folder.bytes("again.onnx"), bytes);
    let misnamed = export(&folder, &["run", "-o", "model.pt"]);
    assert_eq!(
        (misnamed.status, misnamed.error.as_str()),
        (2, "export: --out model.pt: the model is ONNX; name it model.onnx\n")
    );
    let piped = tool!("export").within(&folder).args(["run", "-o", "-", "opset=17"]).output();
    assert_eq!((piped.status.code(), piped.stdout), (Some(0), bytes));
}

#[test]
fn an_exported_graph_costs_what_the_network_does() {
    let folder = finished_run();
    if !has_library(&export(&folder, &["run"])) {
        return;
    }
    let exported = onnx::Model::from_bytes("model.onnx", &folder.bytes("run/model.onnx")).unwrap();
    let types = onnx::shape::infer(&exported, &[("batch".to_owned(), 1)].into()).unwrap();
    let exported: Work = onnx::cost::cost(&exported, &types).unwrap().into_iter().map(|cost| cost.work.unwrap()).sum();
    let graph = model().graph;
    let graph = graph.operations();
    assert_eq!(graph.nodes.iter().map(|node| graph.work(node)).sum::<Work>(), exported);
}

#[test]
fn a_checkpoint_is_exported_beside_itself_with_the_weights_that_were_evaluated() {
    let folder = finished_run();
    let checkpoint = |scale: f32| {
        let average: Vec<f32> = model().parameters.values.iter().map(|x| scale * x).collect();
        let buffers = vec![(nets::AVERAGE.to_owned(), average)];
        Checkpoint { model: model(), buffers, progress: serde_json::json!({}) }.to_safetensors().unwrap()
    };
    folder.write("run/checkpoints/last.safetensors", checkpoint(1.0));
    folder.write("run/checkpoints/other.safetensors", checkpoint(2.0));
    let done = export(&folder, &["run/checkpoints/last.safetensors"]);
    if !has_library(&done) {
        return;
    }
    assert_eq!((done.status, done.error.as_str()), (0, ""));
    assert_eq!(export(&folder, &["run/checkpoints/other.safetensors"]).status, 0);
    assert_eq!(export(&folder, &["run"]).status, 0);
    let [run, last, other] = ["model.onnx", "checkpoints/last.onnx", "checkpoints/other.onnx"]
        .map(|file| folder.bytes(format!("run/{file}")));
    assert_eq!(run, last);
    assert_ne!(run, other);
}

#[test]
fn a_difference_beyond_the_tolerance_is_exit_status_1_and_no_file() {
    let folder = finished_run();
    let done = export(&folder, &["run", "tolerance=0"]);
    if !has_library(&done) {
        return;
    }
    assert_eq!((done.status, done.out.as_str()), (1, ""));
    assert!(done.error.starts_with("export: ONNX and candle differ by "), "{}", done.error);
    assert_eq!(done.error.lines().count(), 1);
    assert!(!folder.join("run/model.onnx").exists());
}

#[test]
fn rows_that_say_nothing_of_the_model_are_refused() {
    let folder = finished_run();
    let row = |x: f32| [1.0, 2.0, x].iter().flat_map(|x: &f32| x.to_le_bytes()).collect::<Vec<u8>>();
    folder.write("rows.npy", npy::file("[('x', '<f4', (3,))]", 2, &[row(3.0), row(f32::NAN)].concat()));
    let done = export(&folder, &["run", "check_input=rows.npy", "check_rows=null"]);
    if !has_library(&done) {
        return;
    }
    let expected = "export: rows.npy: row 1: field \"x\" is NaN, which tells nothing of the model\n";
    assert_eq!((done.status, done.error.as_str()), (2, expected));
    assert!(!folder.join("run/model.onnx").exists());
    // They are not read where fewer are asked for.
    assert_eq!(export(&folder, &["run", "check_input=rows.npy", "check_rows=1"]).status, 0);
}

#[test]
fn what_is_no_run_is_one_line_that_says_what_to_do() {
    let folder = finished_run();
    folder.write("empty/notes.txt", "");
    folder.write("killed/config.yaml", "");
    folder.write("resumable/config.yaml", "");
    folder.write("resumable/checkpoints/last.safetensors", "");
    let whole = folder.bytes("run/model.safetensors");
    folder.write("damaged/model.safetensors", &whole[..whole.len() - 1]);
    for (args, expected) in [
        (&[][..], "export: name the run folder, for instance runs/entropy, or an ONNX model with --from\n"),
        (&["nowhere"], "export: nowhere: no such run folder; train -o nowhere makes one\n"),
        (&["empty"], "export: empty: no run folder: there is no model.safetensors; train -o empty makes one\n"),
        (&["empty/notes.txt"], "export: empty/notes.txt: neither a run folder nor a .safetensors file of one\n"),
        (&["killed"], "export: killed: no model.safetensors: the run ended before its first checkpoint."),
        (&["resumable"], "export: resumable: no model.safetensors: the run did not finish. To finish it: train ROWS "),
        (&["damaged"], "export: damaged/model.safetensors: no safetensors file: "),
        (&["run", "opset=12"], "export: export.opset: 12; expected 13 to 26\n"),
        (&["run", "opset=27"], "export: export.opset: 27; expected 13 to 26\n"),
        (&["run", "tolerance=-1"], "export: export.tolerance: -1; expected at least 0\n"),
        (&["run", "check_rows=0"], "export: export.check_rows: 0; at least 1 is needed\n"),
        (&["run", "onnxruntime=/nowhere.so"], "export: ONNX Runtime's library is missing (/nowhere.so: "),
    ] {
        let Done { status, out, error } = export(&folder, args);
        assert_eq!((status, out.as_str(), error.lines().count()), (2, "", 1), "{args:?}: {error}");
        assert!(error.starts_with(expected), "{args:?}: {error}");
    }
    assert!(!folder.join("run/model.onnx").exists());
}
