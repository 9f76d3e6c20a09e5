//! The real binary on models that are built here. Models of other programs are in `peer_infer.py`, those of `train` and
//! `export` in their tests. None needs ONNX Runtime's library.

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
    let (status, _, error) = infer(&folder, &["m.onnx"], "{\"x\":1}\n");
    assert_eq!((status, error.as_str()), (2, "infer: m.onnx: name the model with --model, in front of its path\n"));
    let (status, _, error) = infer(&folder, &["m.onnx", "rows.ndjson"], "");
    assert_eq!((status, error.as_str()), (2, "infer: m.onnx: name the model with --model, in front of its path\n"));
    let (status, _, error) = infer(&folder, &["-m", "nowhere.onnx"], "{\"x\":1}\n");
    assert_eq!((status, error.starts_with("infer: nowhere.onnx: ")), (2, true), "{error}");
    folder.write("bad.onnx", "garbage");
    let (status, _, error) = infer(&folder, &["-m", "bad.onnx"], "{\"x\":1}\n");
    assert_eq!((status, error.lines().count()), (2, 1), "{error}");
}

#[test]
fn an_unknown_instruction_set_is_refused() {
    let folder = Folder::new();
    let mut graph = GraphBuilder::new("twice");
    let x = graph.input("x", &[2], "a row");
    let y = graph.node("Add", &[&x, &x], "y", &[]);
    graph.output(&y, &[2], "twice the row");
    let info = ModelInfo { opset: 17, description: String::new(), metadata: vec![] };
    folder.write("m.onnx", graph.to_bytes(&info));
    let run = tool!("infer").within(&folder).env("PIPEGRAD_ISA", "mmx").args(["-m", "m.onnx"]).stdin("{\"x\":[1,2]}\n");
    let (status, _, error) = run.run().parts();
    let expected = "infer: m.onnx: PIPEGRAD_ISA: \"mmx\"; expected baseline, avx2, avx512\n";
    assert_eq!((status, error.as_str()), (2, expected));
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
        let (status, _, error) =
            command.args(["-m", "../../m.onnx", "infer.runtime=ort"]).stdin("{\"x\":1}\n").run().parts();
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

#[test]
fn a_prediction_is_added_and_the_other_fields_stay() {
    let folder = Folder::new();
    folder.write("m.onnx", doubling(&[]));
    let rows = "{\"id\":7,\"x\":[1,2]}\n{\"id\":8.50,\"x\":[-0.25,0]}\n";
    let (status, out, error) = infer(&folder, &["-m", "m.onnx"], rows);
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
    let expected = "{\"x\":[0.125,0.375],\"prediction\":[0.25,0.75],\"predicted_label\":\"plum\",\
                    \"probability_apple\":0.25,\"probability_plum\":0.75}\n";
    assert_eq!((status, out.as_str(), error.as_str()), (0, expected, ""));
    let (status, _, error) = infer(&folder, &["-m", "m.onnx"], "{\"x\":[1,2],\"predicted_label\":0}\n");
    assert!(status == 2 && error.contains("\"predicted_label\" is already there"), "{error}");
}

/// A graph as the bytes of a file.
fn file(graph: GraphBuilder) -> Vec<u8> {
    graph.to_bytes(&ModelInfo { opset: 17, description: String::new(), metadata: vec![] })
}

/// Inputs `a` and `b` of two values, outputs `sum` and `twice` (of `a`).
fn two_by_two() -> Vec<u8> {
    let mut graph = GraphBuilder::new("two by two");
    let (a, b) = (graph.input("a", &[2], ""), graph.input("b", &[2], "")); // [batch, 2]
    let (sum, twice) = (graph.node("Add", &[&a, &b], "sum", &[]), graph.node("Add", &[&a, &a], "twice", &[]));
    graph.output(&sum, &[2], "");
    graph.output(&twice, &[2], "");
    file(graph)
}

#[test]
fn each_input_is_the_field_of_its_name() {
    let folder = Folder::new();
    folder.write("m.onnx", two_by_two());
    let rows = "{\"b\":[10,20],\"a\":[1,2]}\n{\"b\":[0,0.5],\"a\":[3,4]}\n";
    let (status, out, error) = infer(&folder, &["-m", "m.onnx", "infer.output=sum", "infer.batch_size=1"], rows);
    let expected = "{\"b\":[10,20],\"a\":[1,2],\"prediction\":[11.0,22.0]}\n\
                    {\"b\":[0,0.5],\"a\":[3,4],\"prediction\":[3.0,4.5]}\n";
    assert_eq!((status, out.as_str(), error.as_str()), (0, expected, ""));
}

#[test]
fn inputs_and_outputs_are_mapped_to_fields() {
    let folder = Folder::new();
    folder.write("m.onnx", two_by_two());
    let args = ["-m", "m.onnx", "infer.inputs={b: other}", "infer.outputs={twice: t, sum: s}"];
    let (status, out, error) = infer(&folder, &args, "{\"a\":[1,2],\"other\":[10,20]}\n");
    let expected = "{\"a\":[1,2],\"other\":[10,20],\"t\":[2.0,4.0],\"s\":[11.0,22.0]}\n";
    assert_eq!((status, out.as_str(), error.as_str()), (0, expected, ""));
    // One field for both inputs.
    let args = ["-m", "m.onnx", "infer.inputs={b: a}", "infer.outputs={sum: s}"];
    assert_eq!(infer(&folder, &args, "{\"a\":[1,2]}\n").1, "{\"a\":[1,2],\"s\":[2.0,4.0]}\n");
}

#[test]
fn names_that_a_model_does_not_have_are_one_line() {
    let folder = Folder::new();
    folder.write("m.onnx", two_by_two());
    let rows = "{\"a\":[1,2],\"b\":[1,2]}\n";
    for (settings, expected) in [
        (&["infer.inputs={c: a}"][..], "m.onnx: infer.inputs: no input is called \"c\"; there are \"a\", \"b\""),
        (&["infer.outputs={c: p}"], "m.onnx: infer.outputs: no output is called \"c\"; there are \"sum\", \"twice\""),
        (&["infer.outputs={}"], "m.onnx: infer.outputs: names no output; there are \"sum\", \"twice\""),
        (&["infer.outputs={sum: p, twice: p}"], "m.onnx: infer.outputs: two outputs are to become field \"p\""),
        (&["infer.outputs={sum: a}"], "stdin:1: field \"a\" is already there; choose another name with infer.outputs"),
        (&["infer.inputs={a: x}", "infer.output=sum"], "stdin:1: no field \"x\""),
        (&["infer.outputs={sum: p}", "infer.output=sum"], "infer.output: the name of the prediction"),
        (&["infer.outputs={sum: p}", "infer.probabilities=true"], "infer.probabilities: of the prediction"),
    ] {
        let (status, out, error) = infer(&folder, &[&["-m", "m.onnx"], settings].concat(), rows);
        assert_eq!((status, out.as_str(), error.lines().count()), (2, "", 1), "{error}");
        assert!(error.starts_with(&format!("infer: {expected}")), "{error}");
    }
}

#[test]
fn the_library_is_not_looked_for_where_the_model_runs_natively() {
    let folder = Folder::new();
    folder.write("m.onnx", doubling(&[]));
    let run = |runtime: &str| {
        let command = tool!("infer").within(&folder).env("ORT_DYLIB_PATH", "/nowhere.so");
        command.args(["-m", "m.onnx", &format!("infer.runtime={runtime}")]).stdin("{\"x\":[1,2]}\n").run().parts()
    };
    for runtime in ["auto", "native"] {
        let expected = "{\"x\":[1,2],\"prediction\":[2.0,4.0]}\n";
        assert_eq!(run(runtime), (0, expected.to_owned(), String::new()));
    }
    let (status, _, error) = run("ort");
    assert_eq!((status, error.lines().count()), (2, 1));
    assert!(error.starts_with("infer: ONNX Runtime's library is missing (/nowhere.so: "), "{error}");
    let (status, _, error) = run("tract");
    assert!(status == 2 && error.contains("infer.runtime") && error.contains("native"), "{error}");
}

#[test]
fn operators_without_an_implementation_are_named() {
    let folder = Folder::new();
    let mut graph = GraphBuilder::new("unknown");
    let x = graph.input("x", &[2], "");
    let y = graph.node("NoSuchOperator", &[&x], "y", &[]);
    let z = graph.node("NoOtherOperator", &[&y], "z", &[]);
    graph.output(&z, &[2], "");
    folder.write("m.onnx", file(graph));
    let run = |runtime: &str| {
        let command = tool!("infer").within(&folder).env("ORT_DYLIB_PATH", "/nowhere.so");
        command.args(["-m", "m.onnx", &format!("infer.runtime={runtime}")]).stdin("{\"x\":[1,2]}\n").run().parts()
    };
    let operators = "infer: m.onnx: operators without a native implementation: \
                     NoOtherOperator (node \"z\"), NoSuchOperator (node \"y\"); ";
    let (status, _, error) = run("native");
    assert_eq!((status, error), (2, format!("{operators}infer.runtime=auto takes ONNX Runtime for it\n")));
    let (status, _, error) = run("auto");
    assert_eq!((status, error.lines().count()), (2, 1));
    assert!(error.starts_with(&format!("{operators}ONNX Runtime's library is missing (/nowhere.so: ")), "{error}");
    assert!(error.contains("correct ORT_DYLIB_PATH"), "{error}");
}

#[test]
fn faults_of_a_graph_are_one_line_that_names_the_node() {
    let folder = Folder::new();
    let whole = two_by_two();
    let mut cyclic = GraphBuilder::new("cyclic");
    let x = cyclic.input("x", &[2], "");
    let y = cyclic.node("Add", &[&x, "z"], "y", &[]);
    let z = cyclic.node("Add", &[&x, &y], "z", &[]);
    cyclic.output(&z, &[2], "");
    for (bytes, expected) in [
        (b"garbage".to_vec(), "infer: m.onnx: no ONNX model: "),
        (whole[..whole.len() / 2].to_vec(), "infer: m.onnx: no ONNX model: "),
        (Vec::new(), "infer: m.onnx: "),
        (file(cyclic), "infer: m.onnx: node "),
    ] {
        folder.write("m.onnx", bytes);
        for runtime in ["auto", "native"] {
            let args = ["-m", "m.onnx", &format!("infer.runtime={runtime}")];
            let (status, _, error) = infer(&folder, &args, "{\"x\":[1,2]}\n");
            assert_eq!((status, error.lines().count()), (2, 1), "{error}");
            assert!(error.starts_with(expected), "{error}");
        }
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
    let expected = "infer: m.onnx: several float32 outputs; choose one with infer.output=NAME, or several with infer.outputs, of \"y\", \"z\"\n";
    assert_eq!((status, out.as_str(), error.as_str()), (2, "", expected));
    for (name, prediction) in [("y", "[2.0,4.0]"), ("z", "[-1.0,-2.0]")] {
        let expected = format!("{{\"x\":[1,2],\"prediction\":{prediction}}}\n");
        assert_eq!(run(&[&format!("infer.output={name}")]), (0, expected, String::new()));
    }
    let (status, _, error) = run(&["infer.output=w"]);
    assert_eq!((status, error.as_str()), (2, "infer: m.onnx: no output is called \"w\"; there are \"y\", \"z\"\n"));
}
