//! Runs of which no more than the settings is known, such as those of a log on a pipe.

use crate::{Error, Monitor, Run, Status, file, find::SETTINGS, flat, log::DIVERGED};
use config::Document;
use events::{End, Status as Ended};
use indexmap::IndexMap;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The settings of a run folder's `config.yaml` by their dotted keys, as [`Run::settings`]; None where there is no such
/// file.
///
/// # Errors
/// When the file cannot be read, or is no document of settings.
pub fn read_settings(folder: &Path) -> Result<Option<IndexMap<String, Value>>, Error> {
    let path = folder.join(SETTINGS);
    let Some(text) = file::text(&path)? else { return Ok(None) };
    let document = Document::from_yaml(&path.display().to_string(), &text)?;
    Ok(Some(document.get("").map(flat::settings).unwrap_or_default()))
}

/// The settings of a run log's `start` event by their dotted keys, as [`Run::settings`].
pub fn settings_of(config: &Value) -> IndexMap<String, Value> {
    let mut flat = IndexMap::new();
    add(config, String::new(), &mut flat);
    flat
}

/// The recursion is as deep as `serde_json` lets a text nest.
fn add(value: &Value, key: String, flat: &mut IndexMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() || key.is_empty() => {
            for (name, child) in map {
                add(child, if key.is_empty() { name.clone() } else { format!("{key}.{name}") }, flat);
            }
        }
        _ if key.is_empty() => {}
        _ => drop(flat.insert(key, value.clone())),
    }
}

impl Run {
    /// A run that nothing is known of but its settings; unfinished, without metrics. For [`crate::labels`].
    pub fn of_settings(folder: PathBuf, settings: IndexMap<String, Value>) -> Self {
        let monitor = Monitor::read(&settings, true);
        let metrics = IndexMap::new();
        Self { folder, settings, status: Status::Unfinished, metrics, monitor, data_sha256: None }
    }
}

impl Status {
    /// What the last event of a log tells.
    pub fn of_end(end: &End) -> Self {
        match end.status {
            Ended::Finished => Self::Finished,
            Ended::Failed if end.reason.contains(DIVERGED) => Self::Diverged(end.reason.clone()),
            Ended::Failed => Self::Failed(end.reason.clone()),
            Ended::Killed => Self::Stopped(end.reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn a_log_says_how_its_run_ended() {
        let end = |status, reason: &str| Status::of_end(&End { status, reason: reason.into(), time: 0.0 }).name();
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
