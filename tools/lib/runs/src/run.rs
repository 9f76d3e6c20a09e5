//! A run folder, read.

use crate::{
    Error, Monitor, file,
    find::{self, LOG, METRICS, SETTINGS},
    flat, log, metric_name,
};
use config::Document;
use indexmap::IndexMap;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A run: its settings, and what came of it.
#[derive(Debug, Clone)]
pub struct Run {
    /// The folder, as it was given.
    pub folder: PathBuf,
    /// The values of `config.yaml` by their dotted keys (`optimizer.learning_rate`), in order; a list is one value.
    pub settings: IndexMap<String, Value>,
    /// How the run ended.
    pub status: Status,
    /// The numbers of `metrics.json` by their dotted keys (`val.loss`), in order; NaN is what is not finite. Empty unless
    /// the run has finished.
    pub metrics: IndexMap<String, f64>,
    /// The metric that tells how good the run is.
    pub monitor: Monitor,
    /// SHA-256 of the rows that it was trained on, where its log tells.
    pub data_sha256: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It came to its end: there is a `metrics.json`.
    Finished,
    /// It was cut off, or goes on.
    Unfinished,
    /// The loss or a gradient was not finite; what its log says of that.
    Diverged(String),
    /// It ended with an error: what its log says.
    Failed(String),
    /// A signal ended it: the signal's name.
    Stopped(String),
}

impl Status {
    /// The status in a word: `finished`, `unfinished`, `diverged`, `failed` or `stopped`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Unfinished => "unfinished",
            Self::Diverged(_) => "diverged",
            Self::Failed(_) => "failed",
            Self::Stopped(_) => "stopped",
        }
    }

    /// Why it ended, where that is known.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Finished | Self::Unfinished => None,
            Self::Diverged(reason) | Self::Failed(reason) | Self::Stopped(reason) => Some(reason),
        }
    }
}

impl Run {
    /// Reads a run folder.
    ///
    /// # Errors
    /// When it is none, or one of its files cannot be read: `config.yaml` is no document of settings, `metrics.json` no
    /// JSON object, the last line of `events.ndjson` no event.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let no_run = |missing| Error::NoRun { folder: folder.to_owned(), missing };
        if let Some(missing) = find::missing(folder) {
            return Err(no_run(missing));
        }
        let path = folder.join(SETTINGS);
        let text = file::text(&path)?.ok_or_else(|| no_run(SETTINGS))?;
        let document = Document::from_yaml(&path.display().to_string(), &text)?;
        let settings = document.get("").map(flat::settings).unwrap_or_default();
        let log = log::read(&folder.join(LOG))?;
        let metrics = metrics(&folder.join(METRICS))?;
        let status = match &metrics {
            Some(_) => Status::Finished,
            None => log.ended.unwrap_or(Status::Unfinished),
        };
        let metrics = metrics.unwrap_or_default();
        let validates = metrics.is_empty() || metrics.keys().any(|key| metric_name(key).starts_with("val_"));
        let monitor = Monitor::read(&settings, validates);
        Ok(Self { folder: folder.to_owned(), settings, status, metrics, monitor, data_sha256: log.data_sha256 })
    }

    /// Whether it came to its end.
    pub fn is_finished(&self) -> bool {
        self.status == Status::Finished
    }

    /// A metric, by its name in the run log (`val_loss`) or its key in `metrics.json` (`val.loss`).
    pub fn metric(&self, name: &str) -> Option<f64> {
        let named = || self.metrics.iter().find(|(key, _)| metric_name(key) == name).map(|(_, value)| value);
        self.metrics.get(name).or_else(named).copied()
    }
}

/// The metrics of a finished run; None where there is no such file.
fn metrics(path: &Path) -> Result<Option<IndexMap<String, f64>>, Error> {
    let Some(text) = file::text(path)? else { return Ok(None) };
    let wrong = |line, problem| Error::Metrics { path: path.to_owned(), line, problem };
    let value: Value = serde_json::from_str(&text).map_err(|error| wrong(error.line(), error.to_string()))?;
    if !value.is_object() {
        return Err(wrong(1, "expected a JSON object, such as {\"val\":{\"loss\":0.1}}".to_owned()));
    }
    Ok(Some(flat::metrics(&value)))
}
