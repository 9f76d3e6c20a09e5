//! The real binary on models that are built here. Models of other programs are in `peer_infer.py`, those of `train` and
//! `export` in their tests. Tests that run a model pass without ONNX Runtime's library where it is missing, but not in CI.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use onnx::{GraphBuilder, ModelInfo};
use std::{fs, path::Path};
use testkit::{Folder, npy, system, tool};

fn infer(folder: &Path, args: &[&str], stdin: &str) -> (i32, String, String) {
    tool!("infer").within(folder).args(args).stdin(stdin).run().parts()
}

#[test]
fn a_model_must_be_named_and_be_there() {
    let folder = Folder::new();
    let (status, _, error) = infer(&folder, &[], "{\"x\":1}\n");
    assert_eq!((status, error.starts_with("infer: name the model with --model")), (2, true), "{error}");
    let (status, _, error) = infer(&folder, &["-m", "nowhere.onnx"], "{\"x\":1}\n");
    assert_eq!((status, error.starts_with("infer: nowhere.onnx: ")), (2, true), "{error}");
    folder.write("bad.onnx", "garbage");
    let (status, _, error) = infer(&folder, &["-m", "bad.onnx"], "{\"x\":1}\n");
    assert_eq!((status, error.lines().count()), (2, 1), "{error}");
}

#[test]
fn settings_are_checked() {
    let folder = Folder::new();
    for (setting, expected) in [
        ("infer.batch_size=0", "infer.batch_size: 0"),
        ("infer.label_field=prediction", "infer.label_field: \"prediction\" is also infer.out_field"),
    ] {
        let (status, _, error) = infer(&folder, &["-m", "m.onnx", setting], "");
        assert!(status == 2 && error.contains(expected), "{error}");
    }
}

#[test]
fn a_dash_is_no_model() {
    let folder = Folder::new();
    let (status, _, error) = infer(&folder, &["-m", "-"], "{\"x\":1}\n");
    assert_eq!(status, 2);
    assert!(error.starts_with("infer: --model -: expected the name of a file"), "{error}");
}

#[test]
#[cfg(unix)]
fn what_has_no_end_is_no_model() {
    let folder = Folder::new();
    let (status, _, error) = infer(&folder, &["-m", "/dev/zero"], "{\"x\":1}\n");
    assert_eq!((status, error.as_str()), (2, "infer: /dev/zero: a device; expected a file\n"));
    let sparse = fs::File::create(folder.join("m.onnx")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let (status, _, error) = infer(&folder, &["-m", "m.onnx"], "{\"x\":1}\n");
    assert_eq!(status, 2);
    assert_eq!(error, "infer: m.onnx: more than 2000000000 bytes (the setting infer.model_bytes)\n");
    let pipe = folder.join("pipe");
    system::fifo(&pipe);
    let mut endless = std::process::Command::new("sh")
        .args(["-c", "exec cat /dev/zero > \"$0\""])
        .arg(&pipe)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (status, _, error) = infer(&folder, &["-m", "pipe", "infer.model_bytes=1000"], "{\"x\":1}\n");
    endless.wait().unwrap();
    assert!(status == 2 && error.contains("more than 1000 bytes"), "{error}");
}

/// A library in `.venv` of the project, or of a folder above, is code: another user's is not run.
#[test]
#[cfg(unix)]
fn a_library_that_others_may_write_is_not_loaded_and_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let capi = folder.join(".venv/lib/python3.99/site-packages/onnxruntime/capi");
    fs::create_dir_all(&capi).unwrap();
    let library = capi.join("libonnxruntime.so.9");
    fs::write(&library, "no library").unwrap();
    folder.write("m.onnx", "");
    let below = folder.join("a/b");
    fs::create_dir_all(&below).unwrap();
    let run = || {
        // The program's own project may have a library; then it comes first.
        let command = tool!("infer").within(&below).without_env(["ORT_DYLIB_PATH", "VIRTUAL_ENV"]);
        let (status, _, error) = command.args(["-m", "../../m.onnx"]).stdin("{\"x\":1}\n").run().parts();
        assert_eq!(status, 2);
        error
    };
    let own = run();
    if !own.contains(".venv/lib/python3.99") {
        return;
    }
    for path in [library.as_path(), capi.as_path(), &folder.join(".venv"), &folder] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o002)).unwrap();
        let error = run();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(error.contains("is not loaded") && error.contains("may be written by other users"), "{error}");
    }
    // It ends at the project's root.
    folder.write("a/dvc.yaml", "");
    assert!(!run().contains("python3.99"));
}

/// A model that doubles rows `x` of two values.
fn doubling(metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut graph = GraphBuilder::new("doubling");
    let x = graph.input("x", &[2], ""); // [batch, 2]
    let y = graph.node("Add", &[&x, &x], "y", &[]);
    graph.output(&y, &[2], "");
    let metadata = metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    graph.to_bytes(&ModelInfo { opset: 17, description: String::new(), metadata })
}

/// Whether ONNX Runtime's library was found. In CI it must be.
fn has_library(error: &str) -> bool {
    let is_missing = error.contains("ONNX Runtime's library is missing");
    assert!(!is_missing || std::env::var_os("CI").is_none(), "{error}");
    !is_missing
}

#[test]
fn a_prediction_is_added_and_the_other_fields_stay() {
    let folder = Folder::new();
    folder.write("m.onnx", doubling(&[]));
    let rows = "{\"id\":7,\"x\":[1,2]}\n{\"id\":8.50,\"x\":[-0.25,0]}\n";
    let (status, out, error) = infer(&folder, &["-m", "m.onnx"], rows);
    if !has_library(&error) {
        return;
    }
    let expected =
        "{\"id\":7,\"x\":[1,2],\"prediction\":[2.0,4.0]}\n{\"id\":8.50,\"x\":[-0.25,0],\"prediction\":[-0.5,0.0]}\n";
    assert_eq!((status, out.as_str(), error.as_str()), (0, expected, ""));
    // Blocks of any size, another name, and a file.
    let args = ["-m", "m.onnx", "--out-field", "twice", "infer.batch_size=1", "-o", "out.ndjson"];
    assert_eq!(infer(&folder, &args, rows), (0, String::new(), String::new()));
    assert_eq!(folder.text("out.ndjson"), expected.replace("prediction", "twice"));
    let (status, out, error) = infer(&folder, &["-m", "m.onnx"], "{\"x\":[1,2]}\n{\"x\":[1,2,3]}\n");
    assert_eq!((status, error.lines().count()), (2, 1), "{out}{error}");
    assert!(error.starts_with("infer: stdin:2: "), "{error}");
}

#[test]
fn npy_goes_in_and_out() {
    let folder = Folder::new();
    folder.write("m.onnx", doubling(&[]));
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    folder.write("rows.npy", npy::file("[('x', '<f4', (2,))]", 2, &bytes(&[1.0, 2.0, 3.0, 4.0])));
    let (status, _, error) = infer(&folder, &["-m", "m.onnx", "rows.npy", "-o", "out.npy"], "");
    if !has_library(&error) {
        return;
    }
    assert_eq!((status, error.as_str()), (0, ""));
    assert_eq!(npy::data(&folder.bytes("out.npy")), bytes(&[1.0, 2.0, 2.0, 4.0, 3.0, 4.0, 6.0, 8.0]));
}

#[test]
fn classes_are_named_where_the_model_names_them() {
    let folder = Folder::new();
    let features = r#"{"version":1,"inputs":[{"kind":"number","name":"x","shape":[2]}],
        "target":{"name":"kind","shape":[2],"classes":["apple","plum"]}}"#;
    folder.write("m.onnx", doubling(&[("pipegrad.features", features)]));
    let args = ["-m", "m.onnx", "infer.probabilities=true"];
    let (status, out, error) = infer(&folder, &args, "{\"x\":[0.125,0.375]}\n");
    if !has_library(&error) {
        return;
    }
    let expected = "{\"x\":[0.125,0.375],\"prediction\":[0.25,0.75],\"predicted_label\":\"plum\",\
                    \"probability_apple\":0.25,\"probability_plum\":0.75}\n";
    assert_eq!((status, out.as_str(), error.as_str()), (0, expected, ""));
    let (status, _, error) = infer(&folder, &["-m", "m.onnx"], "{\"x\":[1,2],\"predicted_label\":0}\n");
    assert!(status == 2 && error.contains("\"predicted_label\" is already there"), "{error}");
}

#[test]
fn a_model_of_two_inputs_is_refused() {
    let folder = Folder::new();
    let mut graph = GraphBuilder::new("sum");
    let (a, b) = (graph.input("a", &[2], ""), graph.input("b", &[2], ""));
    let y = graph.node("Add", &[&a, &b], "y", &[]);
    graph.output(&y, &[2], "");
    folder.write("m.onnx", graph.to_bytes(&ModelInfo { opset: 17, description: String::new(), metadata: vec![] }));
    let (status, _, error) = infer(&folder, &["-m", "m.onnx"], "{\"a\":[1,2],\"b\":[1,2]}\n");
    if has_library(&error) {
        let expected = "infer: m.onnx: expected one input, found \"a\", \"b\"; serve runs models of several\n";
        assert_eq!((status, error.as_str()), (2, expected));
    }
}

#[test]
fn one_of_several_outputs_is_the_prediction() {
    let folder = Folder::new();
    let mut graph = GraphBuilder::new("two");
    let x = graph.input("x", &[2], ""); // [batch, 2]
    let (y, z) = (graph.node("Add", &[&x, &x], "y", &[]), graph.node("Neg", &[&x], "z", &[]));
    graph.output(&y, &[2], "");
    graph.output(&z, &[2], "");
    folder.write("m.onnx", graph.to_bytes(&ModelInfo { opset: 17, description: String::new(), metadata: vec![] }));
    let run = |settings: &[&str]| infer(&folder, &[&["-m", "m.onnx"][..], settings].concat(), "{\"x\":[1,2]}\n");
    let (status, out, error) = run(&[]);
    if !has_library(&error) {
        return;
    }
    let expected = "infer: m.onnx: several float32 outputs; choose one with infer.output=NAME, of \"y\", \"z\"\n";
    assert_eq!((status, out.as_str(), error.as_str()), (2, "", expected));
    for (name, prediction) in [("y", "[2.0,4.0]"), ("z", "[-1.0,-2.0]")] {
        let expected = format!("{{\"x\":[1,2],\"prediction\":{prediction}}}\n");
        assert_eq!(run(&[&format!("infer.output={name}")]), (0, expected, String::new()));
    }
    let (status, _, error) = run(&["infer.output=w"]);
    assert_eq!((status, error.as_str()), (2, "infer: m.onnx: no output is called \"w\"; there are \"y\", \"z\"\n"));
}
