//! `pipegrad doctor`, in environments that are made for it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    thread,
};
use testkit::{Done, Folder, Tool, tool};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The command in a folder, with nothing of this machine: PATH is its folder `bin`.
fn doctor(folder: &Folder) -> Tool {
    let bare = tool!("pipegrad").without_env([
        "ORT_DYLIB_PATH",
        "TENSORRT_DYLIB_PATH",
        "VIRTUAL_ENV",
        "MLFLOW_TRACKING_URI",
        "PIPEGRAD_ISA",
        "RAYON_NUM_THREADS",
    ]);
    bare.within(folder).env("PATH", folder.join("bin")).args(["doctor"])
}

/// A program that prints a line.
fn program(folder: &Folder, name: &str, line: &str) {
    let path = folder.write(format!("bin/{name}"), format!("#!/bin/sh\necho '{line}'\n"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn check(done: &Done, name: &str) -> Value {
    let checks: Value = serde_json::from_str(&done.out).unwrap();
    checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone()
}

#[test]
fn everything_is_shown_and_the_status_is_0() {
    let folder = Folder::new();
    let (status, out, error) = doctor(&folder).run().parts();
    assert_eq!((status, error.as_str()), (0, ""));
    for name in ["pipegrad", "cpu", "threads", "onnxruntime", "tensorrt", "dvc", "git", "make", "mlflow", "configs"] {
        assert!(out.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}: {out}");
    }
    assert!(
        out.lines().all(|line| line.contains("  ok  ") || line.contains("; ")),
        "what is not well has a remedy: {out}"
    );
    let json: Value = serde_json::from_str(&doctor(&folder).args(["--to", "json"]).run().out).unwrap();
    for check in json["checks"].as_array().unwrap() {
        assert_eq!(check["state"] == "ok", check["remedy"].is_null(), "{check}");
    }
}

#[test]
fn what_is_required_decides_the_status() {
    let folder = Folder::new();
    program(&folder, "git", "git version 2.39.5");
    let (status, out, error) = doctor(&folder).args(["git"]).run().parts();
    assert_eq!((status, error.as_str()), (0, ""));
    assert!(out.starts_with("git  ok       2.39.5  ") && out.lines().count() == 1, "{out}");
    // git would refuse a commit.
    let path = folder.write("bin/git", "#!/bin/sh\n[ $1 = --version ] && echo git version 2.39.5\n");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    let (status, out, _) = doctor(&folder).args(["git"]).run().parts();
    assert_eq!(
        (status, out.contains("no name and e-mail address for commits; git config --global")),
        (1, true),
        "{out}"
    );
    program(&folder, "git", "git version 2.39.5");
    program(&folder, "make", "GNU Make 4.3");
    assert!(doctor(&folder).args(["make"]).run().out.starts_with("make  ok       4.3  "));
    let (status, out, error) = doctor(&folder).args(["git", "dvc"]).run().parts();
    assert_eq!((status, error.as_str()), (1, "pipegrad: doctor: dvc is missing or wrong\n"));
    assert!(
        out.contains("dvc  missing  -       not on PATH; python3 -m venv .venv && .venv/bin/pip install 'dvc>=3.67,<4' && . .venv/bin/activate"),
        "{out}"
    );
    let within = doctor(&folder).env("VIRTUAL_ENV", folder.join("venv")).args(["dvc"]).run().out;
    assert!(within.contains("; pip install 'dvc>=3.67,<4'\n"), "{within}");
    let (status, _, error) = doctor(&folder).args(["onxruntime"]).run().parts();
    assert_eq!((status, error.as_str()), (2, "pipegrad: \"onxruntime\": no such name; did you mean onnxruntime?\n"));
}

#[test]
fn help_has_an_example_and_completion_the_names() {
    let help = tool!("pipegrad").args(["doctor", "--help"]).run().out;
    assert!(help.contains("\n  pipegrad doctor onnxruntime dvc --to json\n") && !help.contains("--config"), "{help}");
    let answer = |line: &str| tool!("pipegrad").args(["--complete", line]).run().out;
    assert_eq!(answer("pipegrad doctor --to "), "words\t\ntable\t\njson\t\n");
    assert_eq!(answer("pipegrad doctor d"), "words\t\ndvc\tDVC, for projects\n");
    assert_eq!(answer("pipegrad doctor dvc d"), "words\t\n", "what was named already");
    assert!(answer("pipegrad doctor ").contains("\ntrain\t"));
    assert!(answer("pipegrad do").contains("\ndoctor\t"));
}

#[test]
fn programs_have_a_version() {
    let folder = Folder::new();
    for (version, state) in
        [("3.67.1", "ok"), ("3.101.0", "ok"), ("3.50.1", "wrong"), ("4.0.0", "wrong"), ("x", "wrong")]
    {
        program(&folder, "dvc", version);
        let done = doctor(&folder).args(["dvc", "--to", "json"]).run();
        let dvc = check(&done, "dvc");
        assert_eq!((dvc["state"].as_str(), dvc["version"].as_str()), (Some(state), Some(version)));
        assert_eq!(done.status, i32::from(state == "wrong"));
    }
    folder.write("bin/dvc", "#!/bin/sh\necho broken >&2; exit 3\n");
    assert_eq!(check(&doctor(&folder).args(["dvc", "--to", "json"]).run(), "dvc")["about"], "--version fails: broken");
}

#[test]
fn tools_are_of_pipegrads_version() {
    // The program alone in a folder: its tools are on PATH.
    let folder = Folder::new();
    let alone = folder.join("alone");
    fs::create_dir(&alone).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_pipegrad"), alone.join("pipegrad")).unwrap();
    let run = |name: &str| {
        let run = Tool::new(alone.join("pipegrad")).within(&folder).env("PATH", folder.join("bin"));
        check(&run.args(["doctor", "--to", "json", name]).run(), name)
    };
    assert_eq!(
        (run("serve")["state"].as_str(), run("trt-build")["state"].as_str()),
        (Some("missing"), Some("missing"))
    );
    program(&folder, "serve", &format!("serve {VERSION}"));
    program(&folder, "train", "train 0.0.1");
    program(&folder, "plot", "another plot");
    let serve = run("serve");
    assert_eq!((serve["state"].as_str(), serve["version"].as_str()), (Some("ok"), Some(VERSION)));
    assert_eq!((run("train")["state"].as_str(), run("train")["version"].as_str()), (Some("wrong"), Some("0.0.1")));
    assert_eq!(run("plot")["state"], "wrong");
}

#[test]
fn libraries_are_found_as_the_tools_find_them() {
    let folder = Folder::new();
    let library = |name: &str| {
        folder.write(format!("{name}/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.{name}"), "")
    };
    library("1.31.1");
    library("1.20.0");
    let run = |environment: &str| {
        let done =
            doctor(&folder).env("VIRTUAL_ENV", folder.join(environment)).args(["onnxruntime", "--to", "json"]).run();
        check(&done, "onnxruntime")
    };
    let (good, old, none) = (run("1.31.1"), run("1.20.0"), run("nowhere"));
    assert_eq!((good["state"].as_str(), good["version"].as_str()), (Some("ok"), Some("1.31.1")));
    assert_eq!((old["state"].as_str(), old["about"].as_str()), (Some("wrong"), Some("expected 1.24 or newer")));
    if none["state"] != "ok" {
        // Beside the repository's own programs there may be one.
        assert_eq!(none["state"], "missing");
        assert!(
            none["remedy"]
                .as_str()
                .unwrap()
                .contains("pip install onnxruntime, or name the library with ORT_DYLIB_PATH")
        );
    }
    let named = doctor(&folder).env("ORT_DYLIB_PATH", folder.join("x")).args(["onnxruntime", "--to", "json"]).run();
    assert_eq!(check(&named, "onnxruntime")["about"], "ORT_DYLIB_PATH names it, and it is no file");
}

#[test]
fn variables_that_have_no_effect_are_told() {
    let folder = Folder::new();
    let said = |name: &str, variable: &str, value: &str| {
        let done = doctor(&folder).env(variable, value).args([name, "--to", "json"]).run();
        let check = check(&done, name);
        (done.status, check["version"].as_str().unwrap_or("").to_owned(), check["about"].as_str().unwrap().to_owned())
    };
    assert_eq!(said("cpu", "PIPEGRAD_ISA", "baseline").1, "baseline");
    assert_eq!(said("cpu", "PIPEGRAD_ISA", "x").0, 1);
    assert!(said("cpu", "PIPEGRAD_ISA", "x").2.starts_with("PIPEGRAD_ISA: \"x\"; expected baseline, "));
    assert_eq!(said("threads", "RAYON_NUM_THREADS", "3").1, "3");
    assert!(said("threads", "RAYON_NUM_THREADS", "0").2.starts_with("RAYON_NUM_THREADS=0 is no whole number"));
}

/// A server that gives each request the same answer.
fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://me:s3cret@{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn the_server_is_asked_for_its_version() {
    let folder = Folder::new();
    let run = |uri: &str| {
        let done = doctor(&folder).env("MLFLOW_TRACKING_URI", uri).args(["mlflow", "--to", "json"]).run();
        assert!(!done.out.contains("s3cret") && !done.error.contains("s3cret"), "{}", done.out);
        (done.status, check(&done, "mlflow"))
    };
    let (status, good) = run(&server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n3.6.0"));
    assert_eq!((status, good["state"].as_str(), good["version"].as_str()), (0, Some("ok"), Some("3.6.0")));
    let (status, other) = run(&server("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>"));
    assert_eq!((status, other["state"].as_str()), (1, Some("wrong")));
    let (status, closed) = run(&server("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    assert!(status == 1 && closed["remedy"].as_str().unwrap().contains("MLFLOW_TRACKING_USERNAME"));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (status, nobody) = run(&format!("http://{free}"));
    assert!(status == 1 && nobody["remedy"].as_str().unwrap().starts_with("start it, or correct MLFLOW_TRACKING_URI"));
    let (status, store) = run("sqlite:///mlflow.db");
    assert!(status == 1 && store["about"].as_str().unwrap().ends_with("expected http:// or https://"));
}

#[test]
fn configs_of_the_folder_are_composed() {
    let folder = Folder::new();
    let run = || doctor(&folder).args(["configs"]).run();
    assert!(run().out.ends_with("no folder configs/; built in: cifar10, entropy, images\n"), "{}", run().out);
    folder.write("configs/job.yaml", "defaults:\n  - model: mlp\n");
    assert_eq!((run().status, run().out.as_str()), (0, "configs  ok       -  configs; composed: job\n"));
    folder.write("configs/other.yaml", "defaults:\n  - model: none\n");
    let done = run();
    assert_eq!(done.status, 1);
    assert!(done.out.lines().count() == 2 && done.out.contains("other: configs/other.yaml:2"), "{}", done.out);
}
