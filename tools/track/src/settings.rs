//! Config group `tracking`.

use anyhow::ensure;
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Where events go, and how patiently. What each key means stands in `configs/tracking/mlflow.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub mlflow: bool,
    pub uri: String,
    pub experiment: String,
    pub run_name: Option<String>,
    pub parent_run: Option<String>,
    pub group: bool,
    pub tags: BTreeMap<String, String>,
    /// Patterns of paths within the run folder.
    pub artifacts: Vec<String>,
    /// Folder of a server's artifacts that may be written to.
    pub artifact_root: Option<PathBuf>,
    /// Path within the run folder of the ONNX file that becomes a model of MLflow.
    pub model: String,
    /// Packages of Python, and its version, that the model is loaded with.
    pub model_requirements: Vec<String>,
    pub model_python: String,
    pub registered_model: Option<String>,
    pub spool: PathBuf,
    /// Cells of the file of `--csv`.
    pub csv_cells: u64,
    /// Bytes of an answer.
    pub max_answer: u64,
    pub interval: Seconds,
    pub timeout: Seconds,
    pub upload_timeout: Seconds,
    pub retry_first: Seconds,
    pub retry_max: Seconds,
    pub wait: Seconds,
    pub stop_wait: Seconds,
}

/// More than anybody waits, and little enough to be added to the clock.
const MAX_SECONDS: f64 = 366.0 * 86_400.0;

/// A span of time, checked to be one.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub struct Seconds(pub Duration);

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        match seconds {
            0.0..=MAX_SECONDS => Ok(Self(Duration::from_secs_f64(seconds))),
            _ => Err(format!("{seconds}; expected seconds, from 0 to {MAX_SECONDS}")),
        }
    }
}

impl Settings {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// One line that names the key.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        let settings: Self = document.section("tracking")?;
        let both = settings.group && settings.parent_run.is_some();
        ensure!(!both, "tracking.group: a run has one parent: give parent_run or group");
        let zero = |Seconds(duration): Seconds| duration.is_zero();
        ensure!(!zero(settings.timeout), "tracking.timeout: 0; expected more than 0 seconds");
        ensure!(!zero(settings.upload_timeout), "tracking.upload_timeout: 0; expected more than 0 seconds");
        ensure!(!zero(settings.retry_first), "tracking.retry_first: 0; expected more than 0 seconds");
        Ok(settings)
    }
}
