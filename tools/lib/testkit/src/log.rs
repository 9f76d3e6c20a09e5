//! A run log as `train` writes it: events as JSON values, which a test changes as it likes.

use serde_json::{Value, json};

/// The first event of a run, in the folder `runs/<name>`.
pub fn start(name: &str) -> Value {
    json!({
        "event": "start", "name": name, "run_dir": format!("runs/{name}"), "config": {}, "seed": 0, "device": "cpu",
        "threads": 1, "rows": {"train": 1, "val": 1, "test": 1}, "data_sha256": "", "parameters": 1, "git": null,
        "resumed": null, "version": "0", "time": 0.0,
    })
}

/// Metrics after an optimizer step.
pub fn step(epoch: usize, step: usize, metrics: Value) -> Value {
    json!({"event": "step", "epoch": epoch, "step": step, "metrics": metrics, "time": 1.0})
}

/// Metrics of the validation rows.
pub fn validation(epoch: usize, step: usize, metrics: Value) -> Value {
    json!({"event": "validation", "epoch": epoch, "step": step, "metrics": metrics, "time": 1.0})
}

/// Metrics at the end of an epoch.
pub fn epoch(epoch: usize, step: usize, metrics: Value) -> Value {
    json!({"event": "epoch", "epoch": epoch, "step": step, "metrics": metrics, "seconds": 1.0, "time": 1.0})
}

/// Metrics of the test rows.
pub fn test(epoch: usize, step: usize, metrics: Value) -> Value {
    json!({"event": "test", "epoch": epoch, "step": step, "metrics": metrics, "time": 1.0})
}

/// The last event of a run. `status`: FINISHED, KILLED or FAILED.
pub fn end(status: &str, reason: &str) -> Value {
    json!({"event": "end", "status": status, "reason": reason, "time": 1.0})
}

/// Events, one a line.
pub fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}
