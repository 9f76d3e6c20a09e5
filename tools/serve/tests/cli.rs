//! The real binary, where it does not come to serve. Servers that run are in `peer_*.py`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpListener;
use testkit::{Folder, Tool, tool};

fn serve(folder: &Folder, args: &[&str]) -> Tool {
    let ports = ["serve.http_port=0", "serve.grpc_port=0", "serve.metrics_port=0"];
    tool!("serve").within(folder.join("")).args(ports).args(args)
}

/// The line on standard error of a start that fails.
fn refusal(folder: &Folder, args: &[&str]) -> String {
    let (status, out, error) = serve(folder, args).run().parts();
    let last = error.lines().last().unwrap_or_default().to_owned();
    assert_eq!((status, out.as_str()), (2, ""), "{error}");
    last.strip_prefix("serve: ").unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[test]
fn what_is_no_model_is_named() {
    let folder = Folder::with(&[
        ("empty/readme.txt", ""),
        ("run/config.yaml", "model: {}"),
        ("run/model.safetensors", ""),
        ("tensorflow/saved_model.pb", ""),
        ("nested/m/1/model.plan", ""),
        ("weights.safetensors", ""),
        ("model.pt", ""),
        ("twice/m.onnx", ""),
        ("twice/m/1/model.onnx", ""),
        ("hidden/.git/1/model.onnx", ""),
    ]);
    for (path, expected) in [
        ("nowhere.onnx", "nowhere.onnx: no such file or folder"),
        ("nowhere", "nowhere: no such file or folder"),
        ("weights.onnx", "weights.onnx: not there yet; pipegrad export weights.safetensors -o weights.onnx makes it"),
        ("empty", "empty: no model; expected NAME/VERSION/model.onnx, an .onnx file or a run folder"),
        ("hidden", "hidden: no model; expected NAME/VERSION/model.onnx, an .onnx file or a run folder"),
        ("run", "run: a run folder; export it first: pipegrad export run, then serve run/model.onnx"),
        (
            "run/model.safetensors",
            "run/model.safetensors: the weights of a run, and no ONNX model; export it first: \
                                   pipegrad export run, then serve run/model.onnx",
        ),
        (
            "weights.safetensors",
            "weights.safetensors: weights, and no ONNX model; export it first: \
                                 pipegrad export weights.safetensors, then serve weights.onnx",
        ),
        ("tensorflow", "tensorflow: a TensorFlow SavedModel; convert it first, for instance with tf2onnx"),
        (
            "nested",
            "load failed for model 'm': version 1: nested/m/1: no model.onnx, but a TensorRT engine; serve runs the ONNX \
                    model that it was built from",
        ),
        ("model.pt", "model.pt: no ONNX model; expected a file that ends in .onnx"),
        ("twice", "load failed for model 'm': another model is called so, in twice"),
        ("/dev/null", "/dev/null: no regular file"),
        ("-", "-: a model is a file or folder; standard input is none"),
    ] {
        assert_eq!(refusal(&folder, &[path]), expected);
    }
}

#[test]
fn a_device_that_cannot_be_used_is_refused_before_there_is_an_address() {
    let folder = Folder::with(&[("a.onnx", "")]);
    let done = serve(&folder, &["a.onnx", "serve.device=cuda:0", "serve.runtime=native"]).run();
    assert_eq!((done.status, done.error.lines().count()), (2, 1), "{}", done.error);
    assert!(done.error.starts_with("serve: serve.device=cuda:0: "), "{}", done.error);
}

#[test]
fn arguments_that_have_no_effect_are_refused() {
    let folder = Folder::with(&[("a.onnx", ""), ("b.onnx", ""), ("models/m/1/model.onnx", "")]);
    for (args, expected) in [
        (vec!["a.onnx", "b.onnx", "--name", "m"], "--name: with one model only, and there are 2 paths"),
        (vec!["models", "--name", "m"], "--name: models is a folder of models, each with a name of its own"),
        (vec!["a.onnx", "--name", "a/b"], "a.onnx: \"a/b\" is no name for a model; give one with --name"),
        (
            vec!["a.onnx", "models/../a.onnx"],
            "load failed for model 'a': another model is called so, in models/../a.onnx",
        ),
        (
            vec!["models", "--load-model", "m"],
            "serve.load_models: only with serve.model_control=explicit; otherwise every model is loaded",
        ),
        (
            vec!["models", "--model-control", "explicit", "--load-model", "n"],
            "serve.load_models: there is no model \"n\"",
        ),
        (vec!["models", "serve.poll_seconds=0"], "serve.poll_seconds: 0; at least 1 is needed"),
    ] {
        assert_eq!(refusal(&folder, &args), expected);
    }
    let error = refusal(&folder, &["models", "--model-control", "sometimes"]);
    assert!(error.contains("serve.model_control") && error.contains("sometimes"), "{error}");
}

#[test]
fn a_configuration_with_an_error_is_refused_with_its_line() {
    let folder =
        Folder::with(&[("models/m/1/model.onnx", ""), ("models/m/config.pbtxt", "name: \"m\"\nmax_batch: 3\n")]);
    let error = refusal(&folder, &["models"]);
    assert!(error.starts_with("load failed for model 'm': models/m/config.pbtxt:2:1: "), "{error}");
    folder.write("models/m/config.pbtxt", vec![b' '; (1 << 20) + 1]);
    let error = refusal(&folder, &["models"]);
    assert!(error.contains("models/m/config.pbtxt: more than 1048576 bytes"), "{error}");
}

#[test]
#[cfg(unix)]
fn links_out_of_a_repository_are_refused() {
    use std::os::unix::fs::symlink;
    let folder =
        Folder::with(&[("secret/1/model.onnx", ""), ("secret/config.pbtxt", ""), ("models/n/1/model.onnx", "")]);
    symlink("../secret", folder.join("models/m")).unwrap();
    let error = refusal(&folder, &["models"]);
    assert!(error.starts_with("load failed for model 'm': models/m: a link out of "), "{error}");
    std::fs::remove_file(folder.join("models/m")).unwrap();
    symlink("../../secret/config.pbtxt", folder.join("models/n/config.pbtxt")).unwrap();
    let error = refusal(&folder, &["models"]);
    assert!(error.contains("models/n/config.pbtxt: a link out of "), "{error}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = Folder::with(&[("a.onnx", "")]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (status, _, error) = serve(&folder, &["a.onnx", &format!("serve.http_port={port}")]).run().parts();
    // Whoever has it may be about to end.
    assert_eq!((status, error.lines().count()), (75, 1), "{error}");
    assert!(error.contains(&format!("127.0.0.1:{port}")) && error.contains("serve.http_port"), "{error}");
}
