//! Registered models.

use super::{Client, Result, RunInfo};
use serde_json::{Value, json};

impl Client {
    /// Registers the model at `path` among the run's artifacts as a version of the registered model `model`, which is
    /// created if it does not exist. If the run has a version already, nothing changes.
    pub fn register(&self, model: &str, run: &RunInfo, path: &str) -> Result<()> {
        match self.post("registered-models/create", &json!({ "name": model })) {
            Err(error) if !error.is("RESOURCE_ALREADY_EXISTS") => return Err(error),
            _ => {}
        }
        let filter = format!("run_id = '{}'", run.run_id);
        let found = self.get("model-versions/search", &[("filter", &filter)])?;
        let versions = found.get("model_versions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if versions.iter().any(|version| version.get("name").and_then(Value::as_str) == Some(model)) {
            return Ok(());
        }
        let source = format!("{}/{path}", run.artifact_uri.trim_end_matches('/'));
        let version = json!({ "name": model, "source": source, "run_id": run.run_id });
        self.post("model-versions/create", &version).map(drop)
    }
}
