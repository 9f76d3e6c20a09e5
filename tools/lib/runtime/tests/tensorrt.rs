//! Engines, run by a stand-in for `trt-run`: a shell script that sends answers which were written before. No GPU is used; that
//! the real one speaks the same frames is tested in `tools/trt-build`.
#![cfg(all(feature = "tensorrt", unix))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use files::Limit;
use runtime::{Data, ElementType, Engine, EngineOptions, Error, Value};
use std::time::Duration;
use testkit::{Folder, trt_run};
use trt_protocol::{Answer, Failure, FailureKind, PROTOCOL, TensorInfo};

const LIMIT: Limit<'_> = Limit { bytes: 1000, setting: Some("serve.model_bytes") };

/// An engine of `x` `[-1, 2]` to `y` `[-1]`, whose process runs `script` after it is loaded; `frame 2` sends `answer`.
fn open(script: &str, answer: &Answer, payload: &[u8]) -> Result<(Folder, Engine), Error> {
    let folder = Folder::with(&[("x.engine", "engine")]);
    let tensor =
        |name: &str, shape: &[i64]| TensorInfo { name: name.into(), dtype: "float32".into(), shape: shape.into() };
    let loaded = Answer::Loaded { inputs: vec![tensor("x", &[-1, 2])], outputs: vec![tensor("y", &[-1])] };
    let answers = [(Answer::Ready { protocol: PROTOCOL }, &[][..]), (loaded, &[]), (answer.clone(), payload)];
    let program = trt_run(&folder, &format!("frame 0; frame 1\n{script}"), &answers);
    let options =
        EngineOptions { program: Some(program), run_time: Duration::from_millis(500), ..EngineOptions::default() };
    loop {
        match Engine::open(&folder.join("x.engine"), LIMIT, &options) {
            // Another test forks while the script is open for writing here (ETXTBSY).
            Err(Error::Engine { problem: trt_protocol::Error::Start { source, .. }, .. })
                if source.raw_os_error() == Some(26) => {}
            opened => return opened.map(|engine| (folder, engine)),
        }
    }
}

fn value(data: &[u8]) -> Value<'_> {
    Value { shape: vec![1, 2].into(), data: Data::Bytes(data) }
}

fn ran(shape: &[i64]) -> Answer {
    Answer::Ran { shapes: vec![shape.to_vec()] }
}

#[test]
fn an_engine_runs() {
    let (_folder, mut engine) = open("frame 2; cat > /dev/null", &ran(&[1]), &1.5f32.to_le_bytes()).unwrap();
    let [x] = engine.inputs() else { panic!() };
    assert_eq!((x.name.as_str(), x.element, x.shape.as_slice()), ("x", ElementType::F32, &[None, Some(2)][..]));
    let outputs = engine.run(&[value(&[0; 8])]).unwrap();
    assert_eq!((outputs[0].shape.as_slice(), outputs[0].bytes.as_slice()), (&[1][..], &1.5f32.to_le_bytes()[..]));
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let (_folder, mut engine) = open("cat > /dev/null", &ran(&[1]), &[]).unwrap();
    let error = engine.run(&[value(&[0; 7])]).unwrap_err().to_string();
    assert!(error.ends_with("x.engine: input \"x\": data of another element type"), "{error}");
    let error = engine.run(&[]).unwrap_err().to_string();
    assert!(error.ends_with("x.engine: 0 inputs, expected 1"), "{error}");
}

#[test]
fn outputs_that_are_not_as_they_say_are_refused() {
    for (dim, bytes, expected) in [
        (1, 3, "\"y\": 3 bytes of data, shape [1] has 4"),
        (1, 5, "1 bytes of data more than the shapes have"),
        (-1, 4, "\"y\": no array of float32 has shape [-1]"),
        (i64::MAX, 4, "\"y\": no array of float32 has shape [9223372036854775807]"),
    ] {
        let (_folder, mut engine) = open("frame 2; cat > /dev/null", &ran(&[dim]), &vec![0; bytes]).unwrap();
        let error = engine.run(&[value(&[0; 8])]).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
    let (_folder, mut engine) = open("frame 2; cat > /dev/null", &Answer::Ready { protocol: 1 }, &[]).unwrap();
    let error = engine.run(&[value(&[0; 8])]).unwrap_err().to_string();
    assert!(error.ends_with("another answer than of a run"), "{error}");
}

#[test]
fn a_crash_and_a_hang_are_errors_of_the_run() {
    let (_folder, mut engine) = open("head -c 40 > /dev/null; kill -SEGV $$", &ran(&[1]), &[]).unwrap();
    let error = engine.run(&[value(&[0; 8])]).unwrap_err().to_string();
    assert!(error.contains("x.engine: TensorRT's process ended: signal 11"), "{error}");
    let (_folder, mut engine) = open("exec sleep 1000", &ran(&[1]), &[]).unwrap();
    let error = engine.run(&[value(&[0; 8])]).unwrap_err().to_string();
    assert!(error.contains("x.engine: no answer of TensorRT's process in 0.5 s"), "{error}");
}

#[test]
fn a_missing_gpu_keeps_the_process() {
    let failure = Failure { kind: FailureKind::Device, message: "no CUDA driver".into() };
    let (_folder, mut engine) = open("frame 2; frame 2; cat > /dev/null", &Answer::Failed(failure), &[]).unwrap();
    for _ in 0..2 {
        let error = engine.run(&[value(&[0; 8])]).unwrap_err().to_string();
        assert!(error.ends_with("x.engine: no CUDA driver"), "{error}");
    }
}

#[test]
fn a_missing_program_is_told() {
    let folder = Folder::new();
    let path = folder.write("x.engine", "engine");
    let options = EngineOptions { program: Some("/nonexistent/trt-run".into()), ..EngineOptions::default() };
    let error = Engine::open(&path, LIMIT, &options).unwrap_err().to_string();
    assert!(error.ends_with("cargo build --release -p trt-build builds it"), "{error}");
    folder.write("x.engine", [0; 1001]);
    let error = Engine::open(&path, LIMIT, &options).unwrap_err().to_string();
    assert!(error.ends_with("more than 1000 bytes (the setting serve.model_bytes)"), "{error}");
}
