//! What a finished run leaves in its folder, each file whole or not at all, `metrics.json` last.

use crate::{data::Part, held_out, progress::Row, settings::Settings};
use anyhow::Context;
use events::Metrics;
use files::{no_follow, remove_stale_in, write_files};
use nets::Model;
use serde_json::{Map, Value, json};
use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
    time::{Duration, Instant},
};

/// What marks a folder as that of a finished run.
pub const METRICS: &str = "metrics.json";
pub const CONFIG: &str = "config.yaml";
pub const LOG: &str = "events.ndjson";
pub const MODEL: &str = "model.safetensors";
const HISTORY: &str = "history.csv";
const FEATURES: &str = "features.json";
/// Stands in a folder while a run takes it over from another.
const TAKEN_OVER: &str = ".taken-over";
/// Bytes of settings at most.
const LONGEST_CONFIG: u64 = 16 << 20;
/// Where `export` puts the model, if it is not told otherwise.
const EXPORTED: &str = "model.onnx";

/// What a finished run leaves, and what is made of it, beside its settings, its log and its mark.
pub fn files() -> impl Iterator<Item = &'static str> {
    [MODEL, HISTORY, FEATURES, EXPORTED].into_iter().chain(held_out::FILES)
}

/// Whether a run has finished in the folder.
pub fn is_finished(folder: &Path) -> bool {
    folder.join(METRICS).is_file()
}

/// Whether the run that finished in the folder had these settings.
pub fn has_settings(folder: &Path, settings: &Settings) -> bool {
    text(&folder.join(CONFIG)).is_some_and(|text| text == settings.yaml)
}

/// A settings file, if it is a regular one of a size that settings have: a folder from elsewhere may hold anything.
fn text(path: &Path) -> Option<String> {
    let limit = files::Limit { bytes: LONGEST_CONFIG, setting: None };
    let bytes = is_regular(path).then(|| files::read_file(path, limit).ok()).flatten()?;
    String::from_utf8(bytes).ok()
}

/// Whether a regular file is there, and no link.
pub fn is_regular(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_file())
}

/// Marks the folder as one that a run has begun to take over: what is in it is another's.
pub fn take_over(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(TAKEN_OVER);
    let opened = no_follow(OpenOptions::new().write(true).create(true)).open(&path);
    opened.map(drop).with_context(|| path.display().to_string())
}

/// Whether the run that took the folder over was cut off before all of the other one was gone.
pub fn is_half_taken_over(folder: &Path) -> bool {
    folder.join(TAKEN_OVER).symlink_metadata().is_ok()
}

/// Takes the mark away.
pub fn taken_over(folder: &Path) -> anyhow::Result<()> {
    remove(&folder.join(TAKEN_OVER))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).with_context(|| path.display().to_string()),
        _ => Ok(()),
    }
}

/// Makes the folder ready for a run: what another left goes first, the sign that it finished before all, so that
/// a run that is cut off does not leave its settings beside another's model. Returns how long a small file takes.
pub fn prepare(folder: &Path, settings: &Settings) -> anyhow::Result<Duration> {
    remove_stale_in(folder)?;
    for name in [METRICS].into_iter().chain(files()) {
        remove(&folder.join(name))?;
    }
    let began = Instant::now();
    write_files(&[(&folder.join(CONFIG), settings.yaml.as_bytes())])?;
    Ok(began.elapsed())
}

/// The model that a run ends with, and what is known of it.
pub struct Outcome {
    pub model: Model,
    /// The epoch and step whose weights these are.
    pub epoch: usize,
    pub step: usize,
    pub history: Vec<Row>,
    pub val: Option<Metrics>,
    pub test: Option<Metrics>,
}

/// Writes the files of a finished run.
pub fn write(folder: &Path, test_rows: Part<'_>, outcome: &Outcome) -> anyhow::Result<()> {
    if outcome.test.is_some() {
        held_out::write(folder, test_rows)?;
    }
    let (model, history) = (outcome.model.to_safetensors()?, history(&outcome.history));
    let features = outcome.model.features.to_json_pretty() + "\n";
    let metrics = metrics(outcome)?;
    let path = |name| folder.join(name);
    let (model_path, history_path) = (path(MODEL), path(HISTORY));
    let (features_path, metrics_path) = (path(FEATURES), path(METRICS));
    write_files(&[
        (&model_path, &model),
        (&history_path, history.as_bytes()),
        (&features_path, features.as_bytes()),
        (&metrics_path, metrics.as_bytes()),
    ])?;
    Ok(())
}

/// One line an epoch, as DVC plots read it: a column for each metric, in the order they came up.
fn history(rows: &[Row]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.metrics) {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let mut csv = format!("epoch,step,{}\n", columns.join(","));
    for row in rows {
        let cells = columns.iter().map(|name| row.get(name).map_or(String::new(), |value| value.to_string()));
        csv += &format!("{},{},{}\n", row.epoch, row.step, cells.collect::<Vec<_>>().join(","));
    }
    csv
}

/// What a run is judged by, as DVC metrics read it.
fn metrics(outcome: &Outcome) -> anyhow::Result<String> {
    let mut metrics = json!({});
    if let Some(loss) = outcome.history.last().and_then(|row| row.get("train_loss")) {
        metrics["train"] = json!({ "loss": loss });
    }
    if let Some(val) = &outcome.val {
        metrics["val"] = Value::Object(object(val));
    }
    if let Some(test) = &outcome.test {
        let mut test = object(test);
        test.insert("epoch".into(), outcome.epoch.into());
        test.insert("step".into(), outcome.step.into());
        metrics["test"] = Value::Object(test);
    }
    Ok(serde_json::to_string_pretty(&metrics)? + "\n")
}

fn object(metrics: &Metrics) -> Map<String, Value> {
    metrics.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}
