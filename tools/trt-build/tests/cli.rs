//! The real binary without TensorRT's library: bad input, and what is written where a stand-in for `trt-run` answers. With
//! the library it is tested in `peer_trt.py`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use onnx::{GraphBuilder, ModelInfo};
use std::fs;
use testkit::{Done, Folder, Tool, tool, trt_run};
use trt_protocol::{Answer, Built, Failure, FailureKind, Layer, PROTOCOL, TensorInfo, frame};

/// `x` `[batch, 2]` to `y`, one Relu.
fn model() -> Vec<u8> {
    let mut graph = GraphBuilder::new("one");
    let x = graph.input("x", &[2], "two values");
    let y = graph.node("Relu", &[&x], "y", &[]);
    graph.output(&y, &[2], "not negative");
    graph.to_bytes(&ModelInfo { opset: 17, description: String::new(), metadata: vec![] })
}

/// A folder with `model.onnx`, a copy of `trt-build`, and a stand-in for `trt-run` that is ready and runs `script`; `frame 1`
/// sends `answer`.
fn with_stand_in(script: &str, answer: &Answer, payload: &[u8]) -> Folder {
    let folder = Folder::new();
    folder.write("model.onnx", model());
    fs::copy(env!("CARGO_BIN_EXE_trt-build"), folder.join("trt-build")).unwrap();
    let answers = [(Answer::Ready { protocol: PROTOCOL }, &[][..]), (answer.clone(), payload)];
    trt_run(&folder, &format!("frame 0\n{script}"), &answers);
    folder
}

fn run(folder: &Folder, args: &[&str]) -> Done {
    Tool::new(folder.join("trt-build")).within(folder).args(args).run()
}

/// An answer of one layer in float16.
fn built() -> Answer {
    let tensor = |name: &str, dtype: &str| TensorInfo { name: name.into(), dtype: dtype.into(), shape: vec![-1, 2] };
    let layer = Layer {
        name: "relu".into(),
        kind: "kgen".into(),
        onnx_nodes: vec!["y".into()],
        inputs: vec![tensor("x", "float16")],
        outputs: vec![tensor("y", "float16")],
    };
    Answer::Built(Box::new(Built {
        library: "TensorRT-RTX".into(),
        version: "1.7.1".into(),
        layers: vec![layer],
        inputs: vec![tensor("x", "float32")],
        outputs: vec![tensor("y", "float32")],
    }))
}

fn refused(args: &[&str]) -> String {
    let folder = Folder::new();
    folder.write("model.onnx", model());
    let done = tool!("trt-build").within(&folder).args(args).run();
    assert_eq!((done.status, done.out.as_str()), (2, ""), "{}", done.error);
    assert_eq!(done.error.lines().count(), 1, "{}", done.error);
    assert_eq!(folder.names(), ["model.onnx"]);
    done.error
}

#[test]
fn a_missing_library_is_one_line_that_says_how_to_get_it() {
    let folder = Folder::new();
    folder.write("model.onnx", model());
    for program in [env!("CARGO_BIN_EXE_trt-build"), env!("CARGO_BIN_EXE_trt-run")] {
        let name = std::path::Path::new(program).file_name().unwrap();
        fs::copy(program, folder.join(name)).unwrap();
    }
    let names = ["TENSORRT_DYLIB_PATH", "VIRTUAL_ENV"];
    let done = Tool::new(folder.join("trt-build")).within(&folder).without_env(names).args(["model.onnx"]).run();
    let expected = "trt-build: model.onnx: TensorRT's library is missing; install it (python3 -m venv .venv && .venv/bin/pip \
                    install tensorrt-rtx-cu13-libs==1.7.1.116) or name libtensorrt_rtx.so.1 with TENSORRT_DYLIB_PATH\n";
    assert_eq!((done.status, done.error.as_str()), (2, expected));
    assert_eq!(folder.names(), ["model.onnx", "trt-build", "trt-run"]);
    let named = run(&folder, &["model.onnx", "library=/nonexistent/libtensorrt_rtx.so.1"]);
    assert!(
        named.error.contains("/nonexistent/libtensorrt_rtx.so.1: no libtensorrt_onnxparser_rtx.so beside it"),
        "{}",
        named.error
    );
}

#[test]
fn a_missing_program_is_told() {
    let folder = Folder::new();
    folder.write("model.onnx", model());
    fs::copy(env!("CARGO_BIN_EXE_trt-build"), folder.join("trt-build")).unwrap();
    let done =
        Tool::new(folder.join("trt-build")).within(&folder).env("PATH", "/nonexistent").args(["model.onnx"]).run();
    assert_eq!(done.status, 2);
    assert!(done.error.ends_with("cargo build --release -p trt-build builds it\n"), "{}", done.error);
}

#[test]
fn what_is_no_model_never_reaches_tensorrt() {
    let folder = Folder::new();
    let (model, out) = (model(), folder.join("model.engine"));
    let refused = |bytes: &[u8]| {
        folder.write("model.onnx", bytes);
        // Where a cut leaves a whole model, the library is missing.
        let done = tool!("trt-build").within(&folder).args(["model.onnx", "library=/nonexistent/x.so"]).run();
        assert_eq!((done.status, done.error.lines().count()), (2, 1), "{}", done.error);
        assert!(!out.exists());
        done.error
    };
    assert_eq!(refused(&[]), "trt-build: model.onnx: empty, expected an ONNX model\n");
    for garbage in [&b"not a model"[..], &[0xff; 100], b"<html></html>"] {
        assert!(refused(garbage).starts_with("trt-build: model.onnx: no ONNX model"), "{garbage:?}");
    }
    for length in 1..model.len() {
        refused(&model[..length]);
    }
}

#[test]
fn settings_that_cannot_be_are_refused_before_the_model_is_built() {
    let cases: [(&[&str], &str); 17] = [
        (&["compute_capabilities=[80,90]"], "trt.compute_capabilities: 90 (data center GPUs"),
        (
            &["compute_capabilities=[7]"],
            "trt.compute_capabilities: 7; TensorRT-RTX builds for 75, 80, 86, 89, 120, 121",
        ),
        (&["builder_optimization_level=6"], "trt.builder_optimization_level: 6; expected 0 to 5"),
        (&["mem_pool_size=512M"], "trt.mem_pool_size: \"512M\"; expected workspace:SIZE"),
        (&["batch.opt=100"], "trt.batch: 1, 100, 64; expected 0 < min <= opt <= max"),
        (&["shapes='x:1x2'", "--max-shapes", "x:2x2"], "trt.shapes fixes the shapes"),
        (&["build_seconds=0"], "trt.build_seconds: 0; expected above 0"),
        (&["--min-shapes", "x:1xa"], "trt.min_shapes: \"x:1xa\"; expected name:1x3x32x32"),
        (&["--max-shapes", "y:1x2"], "model.onnx: no input \"y\"; its inputs are x"),
        (&["--max-shapes", "x:1x3"], "model.onnx: input \"x\": shape 1x3, and the graph has batchx2"),
        (&["--max-shapes", "x:9223372036854775807x2"], "is larger than any memory"),
        (&["build_seconds=1e9"], "trt.build_seconds: 1000000000; expected above 0, to 604800 (a week)"),
        (&["-o", "model.onnx"], "-o model.onnx: the model is that file; name another with -o"),
        (&["-o", "./model.onnx"], "-o ./model.onnx: the model is that file"),
        (&["--manifest", "model.engine"], "--manifest model.engine: -o is that file; name another with --manifest"),
        (
            &["--export-layer-info", "model.engine.json"],
            "--export-layer-info model.engine.json: --manifest is that file",
        ),
        (&["model_bytes=10"], "more than 10 bytes (the setting trt.model_bytes)"),
    ];
    for (args, expected) in cases {
        let error = refused(&[&["model.onnx"], args].concat());
        assert!(error.contains(expected), "{error}");
    }
    assert!(refused(&["-"]).contains("a model on standard input: name the engine with -o"));
}

#[test]
fn an_engine_and_its_manifest_are_written() {
    let folder = with_stand_in("frame 1; cat > /dev/null", &built(), b"the engine");
    let done = run(&folder, &["model.onnx", "--export-layer-info", "layers.json"]);
    assert_eq!((done.status, done.out.as_str(), done.error.as_str()), (0, "", ""));
    assert_eq!(folder.bytes("model.engine"), b"the engine");
    let manifest = folder.json("model.engine.json");
    assert_eq!(manifest["onnx"]["sha256"], files::sha256(model()));
    assert_eq!(manifest["compute_capabilities"], serde_json::json!([80, 86, 89, 120, 121]));
    let profile = serde_json::json!({"min": [1, 2], "opt": [8, 2], "max": [64, 2]});
    assert_eq!(manifest["inputs"][0]["profile"], profile);
    assert_eq!(manifest["precision"], serde_json::json!({"float16": 2}));
    assert_eq!(manifest["layers"][0]["onnx_nodes"], serde_json::json!(["y"]));
    let layers = folder.json("layers.json");
    assert_eq!(layers["Layers"][0]["LayerType"], "kgen");
    assert_eq!(layers["Bindings"], serde_json::json!(["x", "y"]));
    // Another engine, the same manifest.
    let other = with_stand_in("frame 1; cat > /dev/null", &built(), b"another engine");
    assert_eq!(run(&other, &["model.onnx"]).status, 0);
    assert_eq!(other.bytes("model.engine.json"), folder.bytes("model.engine.json"));
}

#[test]
fn an_engine_goes_to_standard_output_without_a_manifest_unless_it_is_named() {
    let folder = with_stand_in("frame 1; cat > /dev/null", &built(), b"the engine");
    let before = folder.names();
    let program = Tool::new(folder.join("trt-build")).within(&folder);
    let done = program.clone().args(["-", "-o", "-"]).stdin(model()).run();
    assert_eq!((done.status, done.out.as_str()), (0, "the engine"));
    assert_eq!(folder.names(), before);
    assert_eq!(program.args(["-", "-o", "-", "--manifest", "m.json"]).stdin(model()).run().status, 0);
    assert!(folder.join("m.json").exists());
}

#[test]
fn a_refused_model_is_one_line_with_the_node() {
    let message = "node \"second\" (Unique): TensorRT has no operator Unique, or not in this form";
    let failure = Failure { kind: FailureKind::Model, message: message.into() };
    let folder = with_stand_in("frame 1; cat > /dev/null", &Answer::Failed(failure), &[]);
    let done = run(&folder, &["model.onnx"]);
    assert_eq!((done.status, done.error), (2, format!("trt-build: model.onnx: {message}\n")));
    assert!(!folder.join("model.engine").exists());
}

#[test]
fn a_crash_of_tensorrt_is_one_line_and_leaves_the_old_engine() {
    let folder = with_stand_in("echo 'I about to' >&2; kill -SEGV $$", &built(), &[]);
    folder.write("model.engine", "old");
    let done = run(&folder, &["model.onnx"]);
    let expected = "trt-build: model.onnx: TensorRT's process ended: signal 11 (SIGSEGV: it crashed); its last words: I about \
                    to\n";
    assert_eq!((done.status, done.error.as_str()), (2, expected));
    assert_eq!(folder.bytes("model.engine"), b"old");
    let folder = with_stand_in("exec sleep 1000", &built(), &[]);
    let done = run(&folder, &["model.onnx", "build_seconds=0.2"]);
    assert!(done.error.contains("no answer of TensorRT's process in 0.2 s"), "{}", done.error);
}

#[test]
fn the_log_is_shown_as_far_as_it_is_asked_for() {
    let script = "printf 'E bad\\nW odd\\nI so\\nV much\\nraw\\n' >&2; frame 1; cat > /dev/null; sleep 0.2";
    let cases: [(&str, &[&str]); 4] = [
        ("quiet", &[]),
        ("warning", &["odd"]),
        ("info", &["bad", "odd", "so", "raw"]),
        ("verbose", &["bad", "odd", "so", "much", "raw"]),
    ];
    for (verbosity, expected) in cases {
        let folder = with_stand_in(script, &built(), b"the engine");
        let done = run(&folder, &["model.onnx", &format!("verbosity={verbosity}")]);
        let lines: Vec<_> =
            done.error.lines().map(|line| line.strip_prefix("trt-build: TensorRT: ").unwrap()).collect();
        assert_eq!((done.status, lines.as_slice()), (0, expected), "{verbosity}");
    }
}

#[test]
fn trt_run_says_what_it_is_for() {
    let done = tool!("trt-run").args(["x"]).run();
    let expected = "trt-run: has no arguments: trt-build and servers start it, with requests on standard input\n";
    assert_eq!((done.status, done.out.as_str(), done.error.as_str()), (2, "", expected));
}

#[test]
fn trt_run_answers_requests_and_refuses_nonsense() {
    let ready = |done: &std::process::Output| frame::read::<Answer>(&mut done.stdout.as_slice()).unwrap().0;
    let done = tool!("trt-run").output();
    assert_eq!((done.status.code(), ready(&done)), (Some(0), Answer::Ready { protocol: PROTOCOL }));
    let done = tool!("trt-run").stdin("GET / HTTP/1.1\r\n").output();
    assert_eq!((done.status.code(), ready(&done)), (Some(2), Answer::Ready { protocol: PROTOCOL }));
    assert_eq!(String::from_utf8_lossy(&done.stderr), "trt-run: a frame begins with [47, 45, 54, 20], expected PGT1\n");
    let mut request = Vec::new();
    frame::write(&mut request, &trt_protocol::Request::Run { shapes: vec![] }, &[]).unwrap();
    let done = tool!("trt-run").stdin(request).output();
    let mut answers = done.stdout.as_slice();
    frame::read::<Answer>(&mut answers).unwrap();
    let (answer, _) = frame::read::<Answer>(&mut answers).unwrap();
    let failure = Failure { kind: FailureKind::Request, message: "no engine is loaded".into() };
    assert_eq!(answer, Answer::Failed(failure));
}
