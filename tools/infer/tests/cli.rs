//! The real binary, on models of other programs: what they read, and what is refused.
//! Models of pipegrad's are tested where they are made, in `train` and `export`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};
use testkit::{Folder, system, tool};

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
