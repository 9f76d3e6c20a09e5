//! Models where ONNX Runtime's library is missing. A process can load it once: other tests do, in a process of their own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{refused, run};
use onnx::{GraphBuilder, ModelInfo};
use runtime::{Backend, Model, Options};
use std::path::Path;

/// `y` of rows `x` of two values, by a node of two inputs.
fn by(operator: &str) -> Vec<u8> {
    let mut graph = GraphBuilder::new("one node");
    let x = graph.input("x", &[2], "");
    let y = graph.node(operator, &[&x, &x], "y", &[]);
    graph.output(&y, &[2], "");
    graph.to_bytes(&ModelInfo { opset: 17, description: String::new(), metadata: vec![] })
}

/// A choice that finds no library.
fn without_library(backend: Backend) -> Options<'static> {
    Options { backend, library: Some(Path::new("/nowhere.so")), group: "infer", ..Options::default() }
}

#[test]
fn the_native_backend_looks_for_no_library() {
    let mut model = Model::from_bytes("m", &by("Add"), &without_library(Backend::Auto)).unwrap();
    assert_eq!(run(&mut model, &[1, 2], &[1.0, 2.0]).unwrap(), [2.0, 4.0]);
    let error = refused("m", &by("Add"), &without_library(Backend::Ort));
    assert!(error.starts_with("ONNX Runtime's library is missing (/nowhere.so: "), "{error}");
}

#[test]
fn inputs_that_do_not_fit_are_errors() {
    let mut model = Model::from_bytes("m", &by("Add"), &without_library(Backend::Native)).unwrap();
    let error = run(&mut model, &[1, 3], &[1.0, 2.0, 3.0]).unwrap_err();
    assert_eq!(error, "m: input \"x\" has shape [1, 3], expected [?, 2]");
    assert_eq!(run(&mut model, &[2], &[1.0, 2.0]).unwrap_err(), "m: input \"x\" has shape [2], expected [?, 2]");
    assert_eq!(run(&mut model, &[2, 2], &[1.0, 2.0]).unwrap_err(), "m: input \"x\": data of another element type");
    let huge = run(&mut model, &[usize::MAX, 2], &[1.0, 2.0]).unwrap_err();
    assert_eq!(huge, "m: input \"x\": data of another element type");
    assert_eq!(model.run(&[]).err().unwrap().to_string(), "m: 0 inputs, expected 1");
    // A run after a failed one.
    assert_eq!(run(&mut model, &[1, 2], &[1.0, 2.0]).unwrap(), [2.0, 4.0]);
}

#[test]
fn what_is_not_covered_is_named() {
    let bytes = by("NoSuchOperator");
    let error = refused("m", &bytes, &without_library(Backend::Native));
    let operators = "m: operators without a native implementation: NoSuchOperator (node \"y\"); ";
    assert_eq!(error, format!("{operators}infer.runtime=auto takes ONNX Runtime for it"));
    let error = refused("m", &bytes, &without_library(Backend::Auto));
    assert!(error.starts_with(&format!("{operators}ONNX Runtime's library is missing (/nowhere.so: ")), "{error}");
    let error = refused("m", b"\x08\0\0\0ORTM0000", &without_library(Backend::Native));
    assert!(error.starts_with("m: the native backend does not read ONNX Runtime's own format; "), "{error}");
}

/// The message of a model of one node that is asked for on a device.
fn refused_on(device: &str, backend: Backend) -> String {
    refused("m", &by("Add"), &Options { device: device.parse().unwrap(), ..without_library(backend) })
}

#[test]
fn a_gpu_that_cannot_be_used_is_told() {
    assert_eq!(
        refused_on("cuda:1", Backend::Native),
        "infer.device=cuda:1: the native runtime computes on the CPU; use infer.runtime=auto, which takes ONNX Runtime for \
         it, or infer.device=cpu"
    );
    if cuda::count().is_err() {
        for backend in [Backend::Auto, Backend::Ort] {
            assert_eq!(
                refused_on("cuda:0", backend),
                "infer.device=cuda:0: no NVIDIA driver: libcuda.so.1 was not found; choose the device cpu"
            );
        }
        // The CPU, natively.
        let options = Options { device: "auto".parse().unwrap(), ..without_library(Backend::Auto) };
        assert!(Model::from_bytes("m", &by("Add"), &options).is_ok());
    }
}
