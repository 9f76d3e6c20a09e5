//! A tracking server, by its REST API (`/api/2.0/mlflow`). Every call may be made again: what the server
//! has already stays as it is.

mod address;
mod artifacts;
mod batch;
mod client;
pub mod names;
mod registry;

pub use artifacts::{Artifact, Store};
pub use batch::MAX_METRICS;
pub use client::{Answer, Client, Failure};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Names an invocation's run on the server, so that it is found again where an answer was lost.
pub const RUN_TAG: &str = "pipegrad.track.run";
/// Names a run, by a digest of its start event, so that its log may be sent again.
pub const IDENTITY_TAG: &str = "pipegrad.track.identity";
/// Names the folder that a parent's children have their run folders in, by a digest.
pub const GROUP_TAG: &str = "pipegrad.track.group";
/// The same folder, for people.
pub const GROUP_FOLDER_TAG: &str = "pipegrad.track.folder";

/// A run as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    pub run_id: String,
    pub experiment_id: String,
    /// Where its artifacts go.
    pub artifact_uri: String,
    #[serde(default)]
    start_time: i64,
}

/// A run to be created.
pub struct NewRun<'a> {
    pub experiment_id: &'a str,
    pub name: &'a str,
    /// Milliseconds since 1970-01-01 UTC.
    pub start_time: i64,
    /// Tag and value that this run alone has. The value is free of quotes.
    pub mark: (&'a str, &'a str),
    pub tags: &'a [(&'a str, &'a str)],
}

/// The last millisecond of the year 9999, after which calendars end.
const MAX_MILLISECONDS: f64 = 253_402_300_799_999.0;

/// Milliseconds since 1970-01-01 UTC, of seconds. What no calendar has is the nearest that it has: MLflow refuses times
/// before 1970, and its readers fail at those after 9999.
pub fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1e3).round().clamp(0.0, MAX_MILLISECONDS) as i64
}

/// A key and its value, as params and tags are sent.
pub fn pair(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": value })
}

/// A metric, as it is sent. What is not finite came as null, which is all that the run log knows of it.
pub fn metric(name: &str, value: f64, step: usize, time: f64) -> Value {
    let value = if value.is_finite() { json!(value) } else { json!("NaN") };
    json!({ "key": names::key(name), "value": value, "timestamp": milliseconds(time), "step": step })
}

impl Client {
    /// The id of the experiment of that name, which is made where it is missing.
    pub fn experiment(&self, name: &str) -> Answer<String> {
        if let Some(id) = self.find_experiment(name)? {
            return Ok(id);
        }
        match self.post("experiments/create", &json!({ "name": name })) {
            Ok(answer) => self.text(&answer, "/experiment_id"),
            // Another run made it meanwhile.
            Err(failure) if failure.is("RESOURCE_ALREADY_EXISTS") => self.find_experiment(name)?.ok_or(failure),
            Err(failure) => Err(failure),
        }
    }

    fn find_experiment(&self, name: &str) -> Answer<Option<String>> {
        let answer = match self.get("experiments/get-by-name", &[("experiment_name", name)]) {
            Err(failure) if failure.is("RESOURCE_DOES_NOT_EXIST") => return Ok(None),
            answer => answer?,
        };
        if answer.pointer("/experiment/lifecycle_stage").and_then(Value::as_str) == Some("deleted") {
            let message = format!("experiment {name:?} was deleted; restore it, or choose another: experiment=...");
            return Err(Failure::Refused { code: String::new(), message });
        }
        self.text(&answer, "/experiment/experiment_id").map(Some)
    }

    /// The runs that carry a tag of that value, the oldest first. The value is free of quotes, for which the
    /// server's filters have no escape.
    pub fn find_runs(&self, experiment_id: &str, (tag, value): (&str, &str)) -> Answer<Vec<RunInfo>> {
        let filter = format!("tags.`{tag}` = '{}'", value);
        let answer = self.post("runs/search", &json!({ "experiment_ids": [experiment_id], "filter": filter }))?;
        let runs = answer.get("runs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut runs = runs.iter().map(|run| self.run_info(run)).collect::<Answer<Vec<_>>>()?;
        runs.sort_by(|a, b| (a.start_time, &a.run_id).cmp(&(b.start_time, &b.run_id)));
        Ok(runs)
    }

    /// Creates a run. The one call that is not to be made again blindly: look for its mark first.
    pub fn create_run(&self, run: &NewRun) -> Answer<RunInfo> {
        let tags: Vec<_> = run.tags.iter().chain([&run.mark]).map(|(name, value)| pair(name, value)).collect();
        let NewRun { experiment_id, name, start_time, .. } = run;
        let body = json!({ "experiment_id": experiment_id, "run_name": name, "start_time": start_time, "tags": tags });
        let answer = self.post("runs/create", &body)?;
        self.run_info(answer.get("run").unwrap_or(&Value::Null))
    }

    /// The run that all runs of `folder` are part of. Two that make it at once agree on the older.
    pub fn group_run(&self, run: &NewRun) -> Answer<String> {
        if let Some(found) = self.find_runs(run.experiment_id, run.mark)?.into_iter().next() {
            return Ok(found.run_id);
        }
        let own = self.create_run(run)?;
        self.end_run(&own.run_id, "FINISHED", run.start_time)?;
        let first = self
            .find_runs(run.experiment_id, run.mark)?
            .into_iter()
            .next()
            .map_or(own.run_id.clone(), |run| run.run_id);
        if first != own.run_id {
            self.delete_run(&own.run_id)?;
        }
        Ok(first)
    }

    /// Takes a run away. The server keeps it where `mlflow gc` has not been, and can restore it.
    pub fn delete_run(&self, run_id: &str) -> Answer<()> {
        self.post("runs/delete", &json!({ "run_id": run_id })).map(drop)
    }

    /// Says how a run ended, and when (milliseconds since 1970-01-01 UTC).
    pub fn end_run(&self, run_id: &str, status: &str, end_time: i64) -> Answer<()> {
        let body = json!({ "run_id": run_id, "status": status, "end_time": end_time });
        self.post("runs/update", &body).map(drop)
    }

    /// Names the data that the run was trained on. A server from before 2.4 has no such call. What it refuses is
    /// told and passed over.
    pub fn log_dataset(&self, run_id: &str, dataset: &Value) -> Answer<()> {
        let tags = [pair("mlflow.data.context", "training")];
        let body = json!({ "run_id": run_id, "datasets": [{ "dataset": dataset, "tags": tags }] });
        let mut answer = self.post("runs/log-inputs", &body);
        // Of two runs that are the first to name the same data at once, the server refuses one.
        if matches!(answer, Err(Failure::Refused { .. })) {
            answer = self.post("runs/log-inputs", &body);
        }
        match answer {
            Err(failure) if failure.is("ENDPOINT_NOT_FOUND") => Ok(()),
            Err(failure @ Failure::Refused { .. }) => {
                cli::note(&format!("dataset: not logged: {failure}"));
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    fn run_info(&self, run: &Value) -> Answer<RunInfo> {
        let info = run.get("info").cloned().unwrap_or(Value::Null);
        serde_json::from_value(info).map_err(|e| self.not_understood(&e.to_string()))
    }

    fn text(&self, answer: &Value, pointer: &str) -> Answer<String> {
        let text = answer.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| self.not_understood(pointer))
    }
}
