//! What the tests share: running `track`, and logs to run it on.

#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::server::Server;
use serde_json::{Value, json};
use std::path::Path;
use testkit::{Folder, Tool, log as events, tool};

/// What a user's environment says of MLflow.
const MLFLOW: [&str; 5] = [
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_EXPERIMENT_NAME",
];

pub fn track(folder: &Path, args: &[&str]) -> Tool {
    tool!("track").within(folder).args(args).env("NO_PROXY", "*").without_env(MLFLOW)
}

/// Exit status, standard output and standard error.
pub fn outcome(command: Tool, stdin: impl AsRef<[u8]>) -> (i32, Vec<u8>, String) {
    let output = command.stdin(stdin.as_ref()).output();
    (output.status.code().unwrap(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

pub fn start(name: &str) -> String {
    let mut start = events::start(name);
    start["seed"] = json!(7);
    start["config"] = json!({"model": {"hidden": [64, 64]}, "optimizer": {"learning_rate": 1e-3}});
    start["rows"] = json!({"train": 8, "val": 1, "test": 1});
    start["data_sha256"] = json!("ab".repeat(32));
    start["parameters"] = json!(10);
    start["git"] = json!({"commit": "c".repeat(40), "dirty": true});
    start["time"] = json!(1000.0);
    events::lines(&[start])
}

pub fn step(step: usize) -> String {
    let mut event = events::step(1, step, json!({"loss": 1.0 / step as f64}));
    event["time"] = json!(1000.5 + step as f64);
    events::lines(&[event])
}

pub const END: &str = "{\"event\":\"end\",\"status\":\"FINISHED\",\"reason\":\"max_epochs\",\"time\":9000.25}\n";

pub fn log(steps: usize) -> String {
    start("a") + &(1..=steps).map(step).collect::<String>() + END
}

/// A temporary folder in which the run folder of [`start`]`("a")` is, known as such by its log.
pub fn place() -> Folder {
    Folder::with(&[("runs/a/events.ndjson", &start("a"))])
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
    let validation = events::validation(epoch, step, json!({"val_loss": 1.0 / step as f64}));
    events::lines(&[validation, events::epoch(epoch, step, json!({"train_loss": 0.5}))])
}

/// The test at the end of a run.
pub fn test(epoch: usize) -> String {
    events::lines(&[events::test(epoch, 2 * epoch, json!({"test_loss": 9.0}))])
}
