//! The real binary, on models of other programs: what they read, and what is refused.
//! Models of pipegrad's are tested where they are made, in `train` and `export`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::cargo::cargo_bin_cmd;
use std::{fs, path::Path};

fn infer(folder: &Path, args: &[&str], stdin: &str) -> (i32, String, String) {
    let output = cargo_bin_cmd!("infer").current_dir(folder).args(args).write_stdin(stdin).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_model_must_be_named_and_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, error) = infer(folder.path(), &[], "{\"x\":1}\n");
    assert_eq!((status, error.starts_with("infer: name the model with --model")), (2, true), "{error}");
    let (status, _, error) = infer(folder.path(), &["-m", "nowhere.onnx"], "{\"x\":1}\n");
    assert_eq!((status, error.starts_with("infer: nowhere.onnx: ")), (2, true), "{error}");
    fs::write(folder.path().join("bad.onnx"), "garbage").unwrap();
    let (status, _, error) = infer(folder.path(), &["-m", "bad.onnx"], "{\"x\":1}\n");
    assert_eq!((status, error.lines().count()), (2, 1), "{error}");
}

#[test]
fn settings_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    for (setting, expected) in [
        ("infer.batch_size=0", "infer.batch_size: 0"),
        ("infer.label_field=prediction", "infer.label_field: \"prediction\" is also infer.out_field"),
    ] {
        let (status, _, error) = infer(folder.path(), &["-m", "m.onnx", setting], "");
        assert!(status == 2 && error.contains(expected), "{error}");
    }
}
