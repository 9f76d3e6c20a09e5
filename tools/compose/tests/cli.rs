//! The real binary: its document, its errors, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::cargo::cargo_bin_cmd;
use std::{fs, path::Path};
use tempfile::TempDir;

/// Runs the tool in `folder`; returns status, standard output and standard error.
fn compose(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = cargo_bin_cmd!("compose").current_dir(folder).args(args).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_example_of_the_help_runs_anywhere() {
    let folder = TempDir::new().unwrap();
    let (status, help, _) = compose(folder.path(), &["--help"]);
    assert_eq!(status, 0);
    let example = help.lines().find(|line| line.trim().starts_with("compose ")).unwrap();
    let args: Vec<&str> = example.split_whitespace().skip(1).collect();
    let (status, out, _) = compose(folder.path(), &args);
    assert_eq!(status, 0);
    assert!(out.starts_with("kind: line\nrows: 1000\n"), "{out}");
}

#[test]
fn a_written_document_is_read_again_as_it_is() {
    let folder = TempDir::new().unwrap();
    let (status, out, _) = compose(folder.path(), &["data=edge", "trainer.seed=3", "-o", "params.yaml"]);
    assert_eq!((status, out.as_str()), (0, ""));
    let written = fs::read_to_string(folder.path().join("params.yaml")).unwrap();
    assert_eq!(compose(folder.path(), &["data=edge", "trainer.seed=3"]).1, written);
    assert_eq!(compose(folder.path(), &["--config", "params.yaml"]).1, written);
    let (_, seed, _) =
        compose(folder.path(), &["--config", "params.yaml", "trainer.seed=4", "--package", "trainer.seed"]);
    assert_eq!(seed, "4\n");
}

#[test]
fn json_is_the_same_document() {
    let folder = TempDir::new().unwrap();
    let (_, out, _) = compose(folder.path(), &["--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["optimizer"]["learning_rate"], 1e-3);
    assert_eq!(document["trainer"]["split"], serde_json::json!([0.8, 0.1, 0.1]));
    compose(folder.path(), &["-o", "params.json"]);
    assert_eq!(fs::read_to_string(folder.path().join("params.json")).unwrap(), out);
}

#[test]
fn local_configs_come_before_the_builtin_ones() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("configs/data")).unwrap();
    fs::write(folder.path().join("configs/data/mine.yaml"), "rows: [1, 2\n").unwrap();
    let (status, _, error) = compose(folder.path(), &["data=mine"]);
    assert_eq!(status, 2);
    assert!(error.starts_with("compose: configs/data/mine.yaml:"), "{error}");
    fs::write(folder.path().join("configs/data/mine.yaml"), "rows: 2\n").unwrap();
    assert_eq!(compose(folder.path(), &["data=mine", "--package", "data"]).1, "rows: 2\n");
}

#[test]
fn a_failure_is_one_line_and_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    for args in [
        &["data=lime", "-o", "out.yaml"][..],
        &["nope=1", "-o", "out.yaml"],
        &["--package", "nope", "-o", "out.yaml"],
        &["--config", "absent.yaml", "-o", "out.yaml"],
        &["--format", "xml", "-o", "out.yaml"],
        &["trainer.max_epochs=.inf", "optimizer.eps=inf", "--format", "json", "-o", "out.yaml"],
        &["input.npy", "-o", "out.yaml"],
    ] {
        let (status, out, error) = compose(folder.path(), args);
        assert_eq!((status, out.as_str(), error.lines().count()), (2, "", 1), "{args:?}: {error}");
        assert!(error.starts_with("compose: "), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{args:?}");
    }
}

#[test]
fn a_deprecated_key_is_told_on_standard_error() {
    let folder = TempDir::new().unwrap();
    let (status, _, error) = compose(folder.path(), &["+old=${oc.deprecated:trainer.seed}"]);
    assert_eq!(status, 0);
    assert!(error.contains("'old' is deprecated"), "{error}");
}
