//! Params, tags and dataset of a run, from its start event.

use crate::{
    mlflow::{
        names::{self, flatten},
        pair,
    },
    settings::Settings,
    whoami,
};
use events::Start;
use serde_json::{Value, json};

/// Longest digest of a dataset in MLflow, in characters.
const MAX_DIGEST: usize = 36;

/// A param for each setting.
pub fn params(start: &Start) -> Vec<Value> {
    flatten(&start.config).iter().map(|(name, value)| pair(name, value)).collect()
}

/// Longest hash in the source of a dataset, in characters: SHA-256.
const MAX_HASH: usize = 64;

/// MLflow's own tags, `pipegrad.*`, and `tracking.tags`.
pub fn tags(start: &Start, settings: &Settings, parent: Option<&str>) -> Vec<Value> {
    let mut tags = vec![
        ("mlflow.source.name", "pipegrad train".to_owned()),
        ("mlflow.source.type", "LOCAL".to_owned()),
        ("pipegrad.run_dir", start.run_dir.clone()),
        ("pipegrad.version", start.version.clone()),
        ("pipegrad.seed", start.seed.to_string()),
        ("pipegrad.device", start.device.clone()),
        ("pipegrad.threads", start.threads.to_string()),
        ("pipegrad.parameters", start.parameters.to_string()),
        ("pipegrad.rows.train", start.rows.train.to_string()),
        ("pipegrad.rows.val", start.rows.val.to_string()),
        ("pipegrad.rows.test", start.rows.test.to_string()),
        ("pipegrad.data_sha256", start.data_sha256.clone()),
    ];
    tags.extend(whoami::user().map(|user| ("mlflow.user", user)));
    tags.extend(whoami::host().map(|host| ("pipegrad.host", host)));
    if let Some(git) = &start.git {
        tags.push(("mlflow.source.git.commit", git.commit.clone()));
        tags.extend(git.dirty.map(|dirty| ("mlflow.source.git.dirty", dirty.to_string())));
    }
    if let Some(resumed) = &start.resumed {
        tags.push(("pipegrad.resumed.path", resumed.path.clone()));
        tags.push(("pipegrad.resumed.step", resumed.step.to_string()));
    }
    if let Some(parent) = parent {
        tags.push(("mlflow.parentRunId", parent.to_owned()));
    }
    let known = tags.iter().map(|(name, value)| (*name, value.as_str()));
    let given = settings.tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    known.chain(given).map(|(name, value)| pair(&names::key(name), &names::tag_value(value))).collect()
}

/// The dataset of the run. Its rows may have come through a pipe: only their hash is known.
pub fn dataset(start: &Start) -> Value {
    let hash: String = start.data_sha256.chars().take(MAX_HASH).collect();
    let digest: String = hash.chars().take(MAX_DIGEST).collect();
    let source = json!({ "sha256": hash }).to_string();
    json!({ "name": "records", "digest": digest, "source_type": "local", "source": source })
}
