//! The run folder: what is in it, taking it over from another run, and writing a finished run's files.
//!
//! Each file is written atomically, `metrics.json` last: it marks the folder of a finished run, for every tool.

mod lock;
mod rotation;
mod test_split;

pub use lock::Lock;
pub use rotation::rotate;

use crate::{data::Split, settings::Settings, trainer::state::Row};
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

/// Its presence marks the folder of a finished run.
pub const METRICS: &str = "metrics.json";
pub const CONFIG: &str = "config.yaml";
pub const LOG: &str = "events.ndjson";
pub const MODEL: &str = "model.safetensors";
const HISTORY: &str = "history.csv";
const FEATURES: &str = "features.json";
/// Present while a run takes the folder over from another.
const TAKEN_OVER: &str = ".taken-over";
/// Most bytes of a `config.yaml` that is read.
const MAX_CONFIG_BYTES: u64 = 16 << 20;
/// The default output of `export`.
const EXPORTED: &str = "model.onnx";

/// Files of a finished run, and those made from it, without `config.yaml`, `events.ndjson` and `metrics.json`.
pub fn files() -> impl Iterator<Item = &'static str> {
    [MODEL, HISTORY, FEATURES, EXPORTED].into_iter().chain(test_split::FILES)
}

/// Whether a run has finished in the folder.
pub fn is_finished(folder: &Path) -> bool {
    folder.join(METRICS).is_file()
}

/// Whether the folder's `config.yaml` has exactly these settings.
pub fn has_settings(folder: &Path, settings: &Settings) -> bool {
    text(&folder.join(CONFIG)).is_some_and(|text| text == settings.yaml)
}

/// The text of a regular file of at most [`MAX_CONFIG_BYTES`]; a folder from elsewhere may hold a pipe or a device.
fn text(path: &Path) -> Option<String> {
    let limit = files::Limit { bytes: MAX_CONFIG_BYTES, setting: None };
    let bytes = is_regular(path).then(|| files::read_file(path, limit).ok()).flatten()?;
    String::from_utf8(bytes).ok()
}

/// Whether a regular file is there; a link does not count.
pub fn is_regular(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_file())
}

/// Marks the folder as being taken over: until [`end_takeover`], its checkpoints are another run's.
pub fn begin_takeover(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(TAKEN_OVER);
    let opened = no_follow(OpenOptions::new().write(true).create(true)).open(&path);
    opened.map(drop).with_context(|| path.display().to_string())
}

/// Whether a run was killed between [`begin_takeover`] and [`end_takeover`].
pub fn is_in_takeover(folder: &Path) -> bool {
    folder.join(TAKEN_OVER).symlink_metadata().is_ok()
}

pub fn end_takeover(folder: &Path) -> anyhow::Result<()> {
    remove(&folder.join(TAKEN_OVER))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).with_context(|| path.display().to_string()),
        _ => Ok(()),
    }
}

/// Deletes another run's files, `metrics.json` first, then writes `config.yaml`: a run killed here does not leave its
/// settings beside another's model. Returns how long it takes to write a small file.
pub fn prepare(folder: &Path, settings: &Settings) -> anyhow::Result<Duration> {
    remove_stale_in(folder)?;
    for name in [METRICS].into_iter().chain(files()) {
        remove(&folder.join(name))?;
    }
    let began = Instant::now();
    write_files(&[(&folder.join(CONFIG), settings.yaml.as_bytes())])?;
    Ok(began.elapsed())
}

/// The results of a finished run.
pub struct Results {
    pub model: Model,
    /// Epoch and step of the model's weights.
    pub epoch: usize,
    pub step: usize,
    pub history: Vec<Row>,
    pub val: Option<Metrics>,
    pub test: Option<Metrics>,
}

/// Writes the files of a finished run; `test_rows` only if the test split was evaluated.
pub fn write(folder: &Path, test_rows: Split<'_>, results: &Results) -> anyhow::Result<()> {
    if results.test.is_some() {
        test_split::write(folder, test_rows)?;
    }
    let (model, history) = (results.model.to_safetensors()?, history(&results.history));
    let features = results.model.features.to_json_pretty() + "\n";
    let metrics = metrics(results)?;
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

/// `history.csv`, as DVC plots read it: a line per epoch, a column per metric in the order of first appearance.
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

/// `metrics.json`, as DVC metrics read it.
fn metrics(results: &Results) -> anyhow::Result<String> {
    let mut metrics = json!({});
    if let Some(loss) = results.history.last().and_then(|row| row.get("train_loss")) {
        metrics["train"] = json!({ "loss": loss });
    }
    if let Some(val) = &results.val {
        metrics["val"] = Value::Object(object(val));
    }
    if let Some(test) = &results.test {
        let mut test = object(test);
        test.insert("epoch".into(), results.epoch.into());
        test.insert("step".into(), results.step.into());
        metrics["test"] = Value::Object(test);
    }
    Ok(serde_json::to_string_pretty(&metrics)? + "\n")
}

fn object(metrics: &Metrics) -> Map<String, Value> {
    metrics.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}
