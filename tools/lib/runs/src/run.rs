//! One run: its settings, metrics and status.

use crate::{
    Error, Monitor, file,
    find::{self, LOG, METRICS, SETTINGS},
    flat,
    log::{self, DIVERGED},
    metric_name,
};
use config::Document;
use events::End;
use indexmap::IndexMap;
use metrics::Split;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A run, as read from its folder.
#[derive(Debug, Clone)]
pub struct Run {
    /// Path of the run folder, as given.
    pub folder: PathBuf,
    /// The values of `config.yaml` by dotted key (`optimizer.learning_rate`), in file order; a list is one value.
    pub settings: IndexMap<String, Value>,
    /// Final status.
    pub status: Status,
    /// The values of `metrics.json` by dotted key (`val.loss`), in file order; null is read as NaN. Empty unless the run
    /// has finished.
    pub metrics: IndexMap<String, f64>,
    /// The metric by which the run is ranked.
    pub monitor: Monitor,
    /// SHA-256 of the training data, in hexadecimal; None if the run has no log.
    pub data_sha256: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Training completed: there is a `metrics.json`.
    Finished,
    /// The run was interrupted, or is still running.
    Unfinished,
    /// The loss or a gradient was NaN or infinite; with the reason in the log.
    Diverged(String),
    /// An error ended the run; with the reason in the log.
    Failed(String),
    /// A signal ended the run; with the signal's name.
    Stopped(String),
}

impl Status {
    /// `finished`, `unfinished`, `diverged`, `failed` or `stopped`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Unfinished => "unfinished",
            Self::Diverged(_) => "diverged",
            Self::Failed(_) => "failed",
            Self::Stopped(_) => "stopped",
        }
    }

    /// Why the run ended, if the log says so.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Finished | Self::Unfinished => None,
            Self::Diverged(reason) | Self::Failed(reason) | Self::Stopped(reason) => Some(reason),
        }
    }
}

/// The status in the last event of a log.
impl From<&End> for Status {
    fn from(end: &End) -> Self {
        match end.status {
            events::Status::Finished => Self::Finished,
            events::Status::Failed if end.reason.contains(DIVERGED) => Self::Diverged(end.reason.clone()),
            events::Status::Failed => Self::Failed(end.reason.clone()),
            events::Status::Killed => Self::Stopped(end.reason.clone()),
        }
    }
}

impl Run {
    /// Reads a run folder.
    ///
    /// # Errors
    /// If the folder is not a run folder, a file cannot be read, `config.yaml` is not a document of settings,
    /// `metrics.json` is not a JSON object, or the last line of `events.ndjson` is not an event.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let not_a_run = |missing| Error::NotARun { folder: folder.to_owned(), missing };
        if let Some(missing) = find::missing(folder) {
            return Err(not_a_run(missing));
        }
        let settings = read_settings(folder)?.ok_or_else(|| not_a_run(SETTINGS))?;
        let log = log::read(&folder.join(LOG))?;
        let metrics = read_metrics(&folder.join(METRICS))?;
        let status = match &metrics {
            Some(_) => Status::Finished,
            None => log.ended.unwrap_or(Status::Unfinished),
        };
        let metrics = metrics.unwrap_or_default();
        let validates = metrics.is_empty()
            || metrics.keys().any(|key| Split::of_metric(&metric_name(key)).0 == Some(Split::Validation));
        let monitor = Monitor::read(&settings, validates);
        Ok(Self { folder: folder.to_owned(), settings, status, metrics, monitor, data_sha256: log.data_sha256 })
    }

    /// A run of which only the settings are known, for [`labels`](crate::labels): unfinished, without metrics.
    pub fn of_settings(folder: PathBuf, settings: IndexMap<String, Value>) -> Self {
        let monitor = Monitor::read(&settings, true);
        let metrics = IndexMap::new();
        Self { folder, settings, status: Status::Unfinished, metrics, monitor, data_sha256: None }
    }

    /// Whether training completed.
    pub fn is_finished(&self) -> bool {
        self.status == Status::Finished
    }

    /// The value of a metric, by its name in the run log (`val_loss`) or its key in `metrics.json` (`val.loss`).
    pub fn metric(&self, name: &str) -> Option<f64> {
        let named = || self.metrics.iter().find(|(key, _)| metric_name(key) == name).map(|(_, value)| value);
        self.metrics.get(name).or_else(named).copied()
    }
}

/// The settings in the `config.yaml` of a run folder, by dotted key, as [`Run::settings`]; None if there is no such file.
///
/// # Errors
/// If the file cannot be read, or is not a document of settings.
pub fn read_settings(folder: &Path) -> Result<Option<IndexMap<String, Value>>, Error> {
    let path = folder.join(SETTINGS);
    let Some(text) = file::text(&path)? else { return Ok(None) };
    let document = Document::from_yaml(&path.display().to_string(), &text)?;
    Ok(Some(document.get("").map(flat::settings).unwrap_or_default()))
}

/// The metrics of a finished run; None if there is no such file.
fn read_metrics(path: &Path) -> Result<Option<IndexMap<String, f64>>, Error> {
    let Some(text) = file::text(path)? else { return Ok(None) };
    let invalid = |line, reason| Error::Metrics { path: path.to_owned(), line, reason };
    let value: Value = serde_json::from_str(&text).map_err(|error| invalid(error.line(), error.to_string()))?;
    if !value.is_object() {
        return Err(invalid(1, "expected a JSON object, such as {\"val\":{\"loss\":0.1}}".to_owned()));
    }
    Ok(Some(flat::metrics(&value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings_of;
    use serde_json::json;

    #[test]
    fn settings_of_a_log_have_the_keys_of_config_yaml() {
        let folder = tempfile::tempdir().expect("a folder");
        let yaml = "model: {name: mlp, hidden: [64, 64]}\ntrainer: {seed: 3, finder: {}}\n";
        std::fs::write(folder.path().join("config.yaml"), yaml).expect("written");
        let read = read_settings(folder.path()).expect("settings").expect("a file");
        let config = json!({"model": {"name": "mlp", "hidden": [64, 64]}, "trainer": {"seed": 3, "finder": {}}});
        assert_eq!(settings_of(&config), read);
        assert_eq!(read.keys().collect::<Vec<_>>(), ["model.name", "model.hidden", "trainer.seed", "trainer.finder"]);
        assert!(settings_of(&json!(3)).is_empty() && settings_of(&json!({})).is_empty());
    }

    #[test]
    fn an_end_event_has_a_status() {
        use events::Status as Ended;
        let end = |status, reason: &str| Status::from(&End { status, reason: reason.into(), time: 0.0 }).name();
        assert_eq!(end(Ended::Finished, "max_epochs reached"), "finished");
        assert_eq!(end(Ended::Failed, "step 3: the loss is not finite"), "diverged");
        assert_eq!(end(Ended::Failed, "no space left"), "failed");
        assert_eq!(end(Ended::Killed, "SIGTERM"), "stopped");
    }

    #[test]
    fn labels_of_logs_are_those_of_folders() {
        let run = |seed: u64| Run::of_settings("x".into(), settings_of(&json!({"trainer": {"seed": seed}})));
        assert_eq!(crate::labels(&[&run(0), &run(1)]), ["seed=0", "seed=1"]);
    }
}
