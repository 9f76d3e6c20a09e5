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

#[test]
fn a_dash_is_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, error) = infer(folder.path(), &["-m", "-"], "{\"x\":1}\n");
    assert_eq!(status, 2);
    assert!(error.starts_with("infer: --model -: expected the name of a file"), "{error}");
}

#[test]
#[cfg(unix)]
fn what_has_no_end_is_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, error) = infer(folder.path(), &["-m", "/dev/zero"], "{\"x\":1}\n");
    assert_eq!((status, error.as_str()), (2, "infer: /dev/zero: a device; expected a file\n"));
    let sparse = fs::File::create(folder.path().join("m.onnx")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let (status, _, error) = infer(folder.path(), &["-m", "m.onnx"], "{\"x\":1}\n");
    assert_eq!(status, 2);
    assert_eq!(error, "infer: m.onnx: more than 2000000000 bytes (the setting infer.model_bytes)\n");
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut endless = std::process::Command::new("sh")
        .args(["-c", "exec cat /dev/zero > \"$0\""])
        .arg(&pipe)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (status, _, error) = infer(folder.path(), &["-m", "pipe", "infer.model_bytes=1000"], "{\"x\":1}\n");
    endless.wait().unwrap();
    assert!(status == 2 && error.contains("more than 1000 bytes"), "{error}");
}

/// A library in `.venv` of the project, or of a folder above, is code: another user's is not run.
#[test]
#[cfg(unix)]
fn a_library_that_others_may_write_is_not_loaded_and_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let capi = folder.path().join(".venv/lib/python3.99/site-packages/onnxruntime/capi");
    fs::create_dir_all(&capi).unwrap();
    let library = capi.join("libonnxruntime.so.9");
    fs::write(&library, "no library").unwrap();
    fs::write(folder.path().join("m.onnx"), "").unwrap();
    let below = folder.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let run = || {
        let mut command = cargo_bin_cmd!("infer");
        command.env_remove("ORT_DYLIB_PATH").env_remove("VIRTUAL_ENV").current_dir(&below);
        // The program's own project may have a library; then it comes first.
        let output = command.args(["-m", "../../m.onnx"]).write_stdin("{\"x\":1}\n").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let own = run();
    if !own.contains(".venv/lib/python3.99") {
        return;
    }
    for path in [library.as_path(), capi.as_path(), &folder.path().join(".venv"), folder.path()] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o002)).unwrap();
        let error = run();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(error.contains("is not loaded") && error.contains("may be written by other users"), "{error}");
    }
    // It ends at the project's root.
    fs::write(folder.path().join("a/dvc.yaml"), "").unwrap();
    assert!(!run().contains("python3.99"));
}
