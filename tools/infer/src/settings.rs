//! Config group `infer`.

use anyhow::ensure;
use dvc::DataSettings;
use serde::Deserialize;
use std::path::PathBuf;

/// The settings of config group `infer`, and `data.pull`.
pub struct Settings {
    /// Rows of a call of the session.
    pub batch_size: usize,
    pub threads: usize,
    pub out_field: String,
    pub label_field: String,
    /// Whether a field `probability_<class>` is added for each named class.
    pub probabilities: bool,
    /// Most bytes of an array in Fortran order on a pipe.
    pub fortran_bytes: u64,
    /// Most bytes of the model and its files of weights together.
    pub model_bytes: u64,
    pub onnxruntime: Option<PathBuf>,
    /// Whether a missing input is fetched with `dvc pull`.
    pub pull: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    batch_size: usize,
    threads: usize,
    out_field: String,
    label_field: String,
    probabilities: bool,
    fortran_bytes: u64,
    model_bytes: u64,
    onnxruntime: Option<PathBuf>,
}

impl Settings {
    /// Reads and checks the settings.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        let Group {
            batch_size,
            threads,
            out_field,
            label_field,
            probabilities,
            fortran_bytes,
            model_bytes,
            onnxruntime,
        } = document.section("infer")?;
        let DataSettings { pull } = document.section("data")?;
        ensure!(batch_size > 0, "infer.batch_size: 0; at least 1 is needed");
        ensure!(!out_field.is_empty(), "infer.out_field: empty; name a field");
        ensure!(!label_field.is_empty(), "infer.label_field: empty; name a field");
        ensure!(out_field != label_field, "infer.label_field: {label_field:?} is also infer.out_field");
        Ok(Self {
            batch_size,
            threads,
            out_field,
            label_field,
            probabilities,
            fortran_bytes,
            model_bytes,
            onnxruntime,
            pull,
        })
    }
}
