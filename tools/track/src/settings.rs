//! Config group `tracking`.

use anyhow::ensure;
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// The settings `tracking.*`; `configs/tracking/mlflow.yaml` has their meanings and defaults.
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
    /// Glob patterns of paths below the run folder; `*` does not match `/`.
    pub artifacts: Vec<String>,
    /// The only folder of this machine that artifacts are written to.
    pub artifact_root: Option<PathBuf>,
    /// Path below the run folder of the ONNX file that is logged as a model.
    pub model: String,
    /// Python packages that loading the model needs.
    pub model_requirements: Vec<String>,
    /// Python version that loading the model needs.
    pub model_python: String,
    pub registered_model: Option<String>,
    pub spool: PathBuf,
    /// Most cells of `metrics.csv`, rows times columns.
    pub csv_cells: u64,
    /// Largest response that is read, in bytes.
    pub max_answer: u64,
    pub interval: Seconds,
    pub timeout: Seconds,
    pub upload_timeout: Seconds,
    pub retry_first: Seconds,
    pub retry_max: Seconds,
    pub wait: Seconds,
    pub stop_wait: Seconds,
}

/// The largest [`Seconds`]: a year, which can be added to any clock time without overflow.
const MAX_SECONDS: f64 = 366.0 * 86_400.0;

/// A duration, given as a number of seconds from 0 to a year.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub struct Seconds(pub Duration);

impl TryFrom<f64> for Seconds {
    type Error = OutOfRange;

    fn try_from(seconds: f64) -> Result<Self, OutOfRange> {
        match seconds {
            0.0..=MAX_SECONDS => Ok(Self(Duration::from_secs_f64(seconds))),
            _ => Err(OutOfRange(seconds)),
        }
    }
}

/// A number that is not a valid number of [`Seconds`].
#[derive(Debug, thiserror::Error)]
#[error("{0}; expected seconds, from 0 to {MAX_SECONDS}")]
pub struct OutOfRange(f64);

impl Settings {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// If a key is missing, unknown or not valid: one line that begins with the key.
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
