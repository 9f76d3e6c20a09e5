//! What the tests share: running `track`, and logs to run it on.

#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::server::Server;
use assert_cmd::{Command, cargo::cargo_bin_cmd};
use serde_json::{Value, json};
use std::{fs, path::Path};
use tempfile::TempDir;

pub fn track(folder: &Path, args: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("track");
    command.current_dir(folder).args(args).env("NO_PROXY", "*");
    for name in ["URI", "TOKEN", "USERNAME", "PASSWORD"] {
        command.env_remove(format!("MLFLOW_TRACKING_{name}"));
    }
    command.env_remove("MLFLOW_EXPERIMENT_NAME");
    command
}

/// Exit status, standard output and standard error.
pub fn outcome(command: &mut Command, stdin: impl AsRef<[u8]>) -> (i32, Vec<u8>, String) {
    let output = command.write_stdin(stdin.as_ref()).output().unwrap();
    (output.status.code().unwrap(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

pub fn start(name: &str) -> String {
    let start = json!({
        "event": "start", "name": name, "run_dir": format!("runs/{name}"), "seed": 7, "device": "cpu", "threads": 1,
        "config": {"model": {"hidden": [64, 64]}, "optimizer": {"learning_rate": 1e-3}},
        "rows": {"train": 8, "val": 1, "test": 1}, "data_sha256": "ab".repeat(32), "parameters": 10,
        "git": {"commit": "c".repeat(40), "dirty": true}, "resumed": null, "version": "0.1.0", "time": 1000.0,
    });
    format!("{start}\n")
}

pub fn step(step: usize) -> String {
    let metrics = json!({"loss": 1.0 / step as f64});
    format!(
        "{}\n",
        json!({"event": "step", "epoch": 1, "step": step, "metrics": metrics, "time": 1000.5 + step as f64})
    )
}

pub const END: &str = "{\"event\":\"end\",\"status\":\"FINISHED\",\"reason\":\"max_epochs\",\"time\":9000.25}\n";

pub fn log(steps: usize) -> String {
    start("a") + &(1..=steps).map(step).collect::<String>() + END
}

/// A temporary folder in which the run folder of [`start`]`("a")` is, known as such by its log.
pub fn place() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("runs/a")).unwrap();
    fs::write(folder.path().join("runs/a/events.ndjson"), start("a")).unwrap();
    folder
}

/// An ONNX file with an input `x` `[batch, 2]` and an output of the same.
pub fn onnx() -> Vec<u8> {
    let mut graph = onnx::GraphBuilder::new("net");
    let x = graph.input("x", &[2], "");
    let y = graph.node("Identity", &[&x], "prediction", &[]);
    graph.output(&y, &[2], "");
    graph.to_bytes(&onnx::ModelInfo { opset: 17, description: String::new(), metadata: vec![] })
}

/// Settings that make a test short.
pub fn quick(server: &Server) -> Vec<String> {
    let uri = format!("uri={}", server.uri());
    [&uri, "interval=0.01", "retry_first=0.01", "retry_max=0.1", "timeout=1"].map(str::to_owned).into()
}

pub fn as_strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// The start of a run that goes on from `step`.
pub fn resumed(name: &str, step: usize) -> String {
    let mut event: Value = serde_json::from_str(&start(name)).unwrap();
    event["resumed"] = json!({"path": format!("runs/{name}/checkpoints/last.safetensors"), "step": step});
    event["time"] = json!(5000.0 + step as f64);
    format!("{event}\n")
}

/// An epoch of two steps, with a validation behind it.
pub fn epoch(epoch: usize) -> String {
    let step = 2 * epoch;
    let events = [
        json!({"event": "validation", "epoch": epoch, "step": step, "metrics": {"val_loss": 1.0 / step as f64}, "time": 1.0}),
        json!({"event": "epoch", "epoch": epoch, "step": step, "metrics": {"train_loss": 0.5}, "seconds": 1.0, "time": 1.0}),
    ];
    events.iter().map(|event| format!("{event}\n")).collect()
}

/// The test at the end of a run.
pub fn test(epoch: usize) -> String {
    let step = 2 * epoch;
    format!("{}\n", json!({"event": "test", "epoch": epoch, "step": step, "metrics": {"test_loss": 9.0}, "time": 1.0}))
}

/// All files in a folder, by path, with what they hold.
pub fn contents(folder: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let files =
        walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}
