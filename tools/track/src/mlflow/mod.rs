//! Client of an MLflow tracking server, over its REST API (`/api/2.0/mlflow`). All calls but `create_run` are idempotent.

mod address;
mod artifacts;
mod batch;
mod client;
pub mod names;
mod registry;

pub use artifacts::{Artifact, ArtifactStore};
pub use batch::MAX_METRICS;
pub use client::{Client, Error, Result};

use events::Status;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Tag with the spool and the index of the run in it: finds a run whose creation got no response.
pub const RUN_TAG: &str = "pipegrad.track.run";
/// Tag with a digest of the start event: finds the run when its log is sent again.
pub const IDENTITY_TAG: &str = "pipegrad.track.identity";
/// Tag of a parent run, with a digest of the folder of its children's run folders.
pub const GROUP_TAG: &str = "pipegrad.track.group";
/// Tag with the path of that folder.
pub const GROUP_FOLDER_TAG: &str = "pipegrad.track.folder";

/// A run on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    pub run_id: String,
    pub experiment_id: String,
    /// URI of the folder of its artifacts.
    pub artifact_uri: String,
    /// Milliseconds since 1970-01-01 UTC.
    #[serde(default)]
    start_time: i64,
}

/// A run to create.
#[derive(Clone, Copy)]
pub struct NewRun<'a> {
    pub experiment_id: &'a str,
    pub name: &'a str,
    /// Milliseconds since 1970-01-01 UTC.
    pub start_time: i64,
    /// Name and value of a tag that only this run has. The value has no quotes.
    pub unique_tag: (&'a str, &'a str),
    /// Names and values of other tags.
    pub tags: &'a [(&'a str, &'a str)],
}

/// The last millisecond of the year 9999.
const MAX_MILLISECONDS: f64 = 253_402_300_799_999.0;

/// Converts seconds since 1970-01-01 UTC to milliseconds, clamped to the years 1970 to 9999: MLflow refuses earlier times,
/// and its readers fail at later ones.
pub fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1e3).round().clamp(0.0, MAX_MILLISECONDS) as i64
}

/// A param or a tag, in the form of the API.
pub fn pair(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": value })
}

/// A metric, in the form of the API. A non-finite value is sent as NaN: the run log has only null for it.
pub fn metric(name: &str, value: f64, step: usize, time: f64) -> Value {
    let value = if value.is_finite() { json!(value) } else { json!("NaN") };
    json!({ "key": names::key(name), "value": value, "timestamp": milliseconds(time), "step": step })
}

impl Client {
    /// The id of the experiment of that name, which is created if it does not exist.
    pub fn experiment(&self, name: &str) -> Result<String> {
        if let Some(id) = self.find_experiment(name)? {
            return Ok(id);
        }
        match self.post("experiments/create", &json!({ "name": name })) {
            Ok(response) => self.text(&response, "/experiment_id"),
            // Another client created it at the same time.
            Err(error) if error.is("RESOURCE_ALREADY_EXISTS") => self.find_experiment(name)?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    fn find_experiment(&self, name: &str) -> Result<Option<String>> {
        let response = match self.get("experiments/get-by-name", &[("experiment_name", name)]) {
            Err(error) if error.is("RESOURCE_DOES_NOT_EXIST") => return Ok(None),
            response => response?,
        };
        if response.pointer("/experiment/lifecycle_stage").and_then(Value::as_str) == Some("deleted") {
            let message = format!("experiment {name:?} was deleted; restore it, or choose another: experiment=...");
            return Err(Error::Refused { code: String::new(), message });
        }
        self.text(&response, "/experiment/experiment_id").map(Some)
    }

    /// The runs with a tag of that name and value, oldest first. The value must not have quotes: the server's filters cannot
    /// escape them.
    pub fn find_runs(&self, experiment_id: &str, (tag, value): (&str, &str)) -> Result<Vec<RunInfo>> {
        let filter = format!("tags.`{tag}` = '{}'", value);
        let response = self.post("runs/search", &json!({ "experiment_ids": [experiment_id], "filter": filter }))?;
        let runs = response.get("runs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut runs = runs.iter().map(|run| self.run_info(run)).collect::<Result<Vec<_>>>()?;
        runs.sort_by(|a, b| (a.start_time, &a.run_id).cmp(&(b.start_time, &b.run_id)));
        Ok(runs)
    }

    /// Creates a run. Not idempotent: before a repetition, look up its unique tag.
    pub fn create_run(&self, run: &NewRun) -> Result<RunInfo> {
        let tags: Vec<_> = run.tags.iter().chain([&run.unique_tag]).map(|(name, value)| pair(name, value)).collect();
        let NewRun { experiment_id, name, start_time, .. } = run;
        let body = json!({ "experiment_id": experiment_id, "run_name": name, "start_time": start_time, "tags": tags });
        let response = self.post("runs/create", &body)?;
        self.run_info(response.get("run").unwrap_or(&Value::Null))
    }

    /// The id of the parent run with the unique tag of `run`, which is created, with the time of the request as its start
    /// time, if it does not exist. If two clients create it at once, both use the older.
    pub fn group_run(&self, run: &NewRun) -> Result<String> {
        if let Some(found) = self.find_runs(run.experiment_id, run.unique_tag)?.into_iter().next() {
            return Ok(found.run_id);
        }
        // As late as possible: the first that the server gets should be the oldest, or a later one takes its place.
        let start_time = milliseconds(events::now());
        let own = self.create_run(&NewRun { start_time, ..*run })?;
        self.end_run(&own.run_id, Status::Finished, start_time)?;
        let first = self
            .find_runs(run.experiment_id, run.unique_tag)?
            .into_iter()
            .next()
            .map_or(own.run_id.clone(), |run| run.run_id);
        if first != own.run_id {
            self.delete_run(&own.run_id)?;
        }
        Ok(first)
    }

    /// Marks a run as deleted. It can be restored until `mlflow gc` runs.
    pub fn delete_run(&self, run_id: &str) -> Result<()> {
        self.post("runs/delete", &json!({ "run_id": run_id })).map(drop)
    }

    /// Sets the final status of a run, and its end time in milliseconds since 1970-01-01 UTC.
    pub fn end_run(&self, run_id: &str, status: Status, end_time: i64) -> Result<()> {
        let body = json!({ "run_id": run_id, "status": status, "end_time": end_time });
        self.post("runs/update", &body).map(drop)
    }

    /// Logs the dataset of the run's training. Ignored by servers before MLflow 2.4, which have no such call. If the server
    /// refuses, a warning is printed.
    pub fn log_dataset(&self, run_id: &str, dataset: &Value) -> Result<()> {
        let tags = [pair("mlflow.data.context", "training")];
        let body = json!({ "run_id": run_id, "datasets": [{ "dataset": dataset, "tags": tags }] });
        let mut response = self.post("runs/log-inputs", &body);
        // If two clients are the first to log the same dataset at once, the server refuses one of them.
        if matches!(response, Err(Error::Refused { .. })) {
            response = self.post("runs/log-inputs", &body);
        }
        match response {
            Err(error) if error.is("ENDPOINT_NOT_FOUND") => Ok(()),
            Err(error @ Error::Refused { .. }) => {
                cli::note(&format!("dataset: not logged: {error}"));
                Ok(())
            }
            response => response.map(drop),
        }
    }

    fn run_info(&self, run: &Value) -> Result<RunInfo> {
        let info = run.get("info").cloned().unwrap_or(Value::Null);
        serde_json::from_value(info).map_err(|e| self.incomplete(&e.to_string()))
    }

    fn text(&self, response: &Value, pointer: &str) -> Result<String> {
        let text = response.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| self.incomplete(pointer))
    }
}
