//! Config group `export`.

use anyhow::ensure;
use files::Limit;
use serde::Deserialize;
use std::path::PathBuf;

/// The settings of config group `export`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Version of ONNX's standard operator set, one of [`OPSETS`], for the model of a run.
    pub opset: i64,
    /// Largest accepted difference of two fp32 graphs, relative to the larger of the value and the output's unit.
    pub tolerance: f64,
    /// Number of rows that are compared; None for all of the file.
    pub check_rows: Option<usize>,
    /// File of those rows; None for the run's held-out rows, or random ones where there are none.
    pub check_input: Option<PathBuf>,
    /// Most bytes of the model of `--from` and its files of weights together.
    model_bytes: u64,
    /// Path of ONNX Runtime's library; None searches for it.
    pub onnxruntime: Option<PathBuf>,
}

/// From the first opset that has all operators in the form used here to the newest that ONNX Runtime 1.31 runs.
pub const OPSETS: std::ops::RangeInclusive<i64> = 13..=26;

/// What a graph computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    Fp32,
}

impl Precision {
    /// As in names of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
        }
    }
}

impl Settings {
    /// Reads and checks the settings.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        let settings: Self = document.section("export")?;
        let (first, last) = OPSETS.into_inner();
        ensure!(OPSETS.contains(&settings.opset), "export.opset: {}; expected {first} to {last}", settings.opset);
        ensure!(settings.tolerance >= 0.0, "export.tolerance: {}; expected at least 0", settings.tolerance);
        ensure!(settings.check_rows != Some(0), "export.check_rows: 0; at least 1 is needed");
        Ok(settings)
    }

    /// What a model of `--from` may have.
    pub fn limit(&self) -> Limit<'static> {
        Limit { bytes: self.model_bytes, setting: Some("export.model_bytes") }
    }
}
