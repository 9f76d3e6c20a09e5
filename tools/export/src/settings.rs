//! Config group `export`.

use crate::gate::Limits;
use anyhow::{Context, ensure};
use files::Limit;
use onnx::quantize;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// From the first opset that has all operators in the form used here to the newest that ONNX Runtime 1.31 runs.
pub const OPSETS: std::ops::RangeInclusive<i64> = 13..=26;

/// The field of a `dataset.json` whose classes are read, where `export.gate.target_field` names no other.
const LABEL_FIELD: &str = "label";
/// The largest file of names.
const LABELS_LIMIT: Limit<'_> = Limit { bytes: 1 << 20, setting: None };

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
    /// What the graph computes in.
    pub precision: Precision,
    /// The runtime that int8 is for.
    pub target: Target,
    /// Whether the graph is cleaned up; None is unless it is the fp32 graph of a run.
    simplify: Option<bool>,
    /// Most bytes of a constant that clean-up computes.
    pub simplify_bytes: usize,
    pub normalize: Normalize,
    /// Whether the output becomes the softmax of what it was.
    pub softmax: bool,
    /// Whether the class with the largest score becomes an output.
    pub argmax: bool,
    /// File of the names of the classes.
    labels: Option<PathBuf>,
    /// Name of the output of scores; None is the only one.
    pub output: Option<String>,
    pub fp16: Fp16,
    pub int8: Int8,
    pub calibration: Calibration,
    pub gate: Gate,
    /// Most bytes of the model of `--from` and its files of weights together.
    model_bytes: u64,
    /// Path of ONNX Runtime's library; None searches for it.
    pub onnxruntime: Option<PathBuf>,
}

/// What a graph computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    Fp32,
    Fp16,
    Int8,
}

impl Precision {
    /// As in the settings and in names of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
        }
    }
}

/// The runtime that a quantised graph is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    OnnxRuntime,
    TensorRt,
}

/// Group `export.normalize`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalize {
    /// Name of the input; None is the only one.
    pub input: Option<String>,
    /// Mean of each channel, or one for all; None is no normalisation.
    pub mean: Option<Vec<f32>>,
    /// Standard deviation likewise.
    pub std: Option<Vec<f32>>,
    /// Whether the input becomes bytes.
    pub bytes: bool,
    pub layout: Layout,
}

/// Order of the axes of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    Nchw,
    Nhwc,
}

/// Group `export.fp16`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fp16 {
    pub keep_ops: Vec<String>,
    pub keep_nodes: Vec<String>,
    pub keep_io: bool,
}

/// Group `export.int8`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Int8 {
    per_channel: bool,
    reduce_range: bool,
    exclude_ops: Vec<String>,
    exclude_nodes: Vec<String>,
    keep_first: bool,
    keep_last: bool,
}

/// Group `export.calibration`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    pub method: Method,
    /// File of rows; None for the run's held-out rows.
    pub input: Option<PathBuf>,
    /// Most rows.
    pub rows: usize,
    /// Rows of a run of the graph.
    pub batch_size: usize,
    /// For [`Method::Percentile`].
    pub percentile: f64,
    /// Bins of the histograms of percentile and entropy.
    /// None is the method's own number.
    pub bins: Option<usize>,
    /// Levels of a quantised histogram of the entropy method.
    pub levels: usize,
    /// Whether random rows are taken.
    pub random: bool,
}

/// How the range of a value follows from the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    MinMax,
    Percentile,
    Entropy,
}

/// Group `export.gate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// File of rows; None for the run's held-out rows, or those that calibrate.
    pub input: Option<PathBuf>,
    /// Most rows; None for all of the file.
    pub rows: Option<usize>,
    /// Rows of a run of the graphs.
    pub batch_size: usize,
    /// Field of the right class; None for the run's target field.
    pub target_field: Option<String>,
    max_accuracy_drop: Option<f64>,
    min_agreement: Option<f64>,
    max_mean_error: Option<f64>,
}

impl Gate {
    /// What the comparison must show.
    pub fn limits(&self) -> Limits {
        let Self { max_accuracy_drop, min_agreement, max_mean_error, .. } = *self;
        Limits { max_accuracy_drop, min_agreement, max_mean_error }
    }
}

impl Settings {
    /// Reads and checks the settings.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        let settings: Self = document.section("export")?;
        let (first, last) = OPSETS.into_inner();
        ensure!(OPSETS.contains(&settings.opset), "export.opset: {}; expected {first} to {last}", settings.opset);
        ensure!(settings.tolerance >= 0.0, "export.tolerance: {}; expected at least 0", settings.tolerance);
        let Self { check_rows, calibration, gate, .. } = &settings;
        for (name, number) in [
            ("check_rows", *check_rows),
            ("calibration.rows", Some(calibration.rows)),
            ("calibration.batch_size", Some(calibration.batch_size)),
            ("calibration.bins", calibration.bins),
            ("calibration.levels", Some(calibration.levels)),
            ("gate.rows", gate.rows),
            ("gate.batch_size", Some(gate.batch_size)),
        ] {
            ensure!(number != Some(0), "export.{name}: 0; at least 1 is needed");
        }
        let percentile = calibration.percentile;
        ensure!((0.0..=100.0).contains(&percentile), "export.calibration.percentile: {percentile}; expected 0 to 100");
        gate.limits().check()?;
        Ok(settings)
    }

    /// What a model of `--from` may have.
    pub fn limit(&self) -> Limit<'static> {
        Limit { bytes: self.model_bytes, setting: Some("export.model_bytes") }
    }

    /// How ONNX Runtime is found and run, on `threads` threads; 0 is one a core.
    pub fn runtime_options(&self, threads: usize) -> runtime::Options<'_> {
        let (library, library_setting) = (self.onnxruntime.as_deref(), "export.onnxruntime");
        runtime::Options { library, library_setting, threads, profile: None }
    }

    /// Whether a graph is cleaned up. The fp32 graph of a run is not, unless asked for: its parameters keep the names and values
    /// of the checkpoint.
    pub fn simplifies(&self, is_run: bool) -> bool {
        self.simplify.unwrap_or(!is_run || self.precision != Precision::Fp32)
    }

    /// The names of the classes that `export.labels` has: a `dataset.json` or `features.json`, or lines of text.
    ///
    /// # Errors
    /// When the file cannot be read or names no classes of the target field.
    pub fn class_names(&self) -> anyhow::Result<Option<Vec<String>>> {
        let Some(path) = &self.labels else { return Ok(None) };
        if path.extension().is_some_and(|kind| kind == "json") {
            let field = self.gate.target_field.as_deref().unwrap_or(LABEL_FIELD);
            return Ok(Some(dataset::classes::names(path, field)?));
        }
        let text = String::from_utf8(files::read_file(path, LABELS_LIMIT)?);
        let text = text.with_context(|| format!("{}: no text", path.display()))?;
        let names: Vec<String> = text.lines().map(str::to_owned).collect();
        ensure!(!names.is_empty(), "{}: no names of classes; expected one a line", path.display());
        Ok(Some(names))
    }

    /// How int8 quantises.
    pub fn quantize_options(&self) -> quantize::Options {
        let Int8 { per_channel, reduce_range, exclude_ops, exclude_nodes, keep_first, keep_last } = &self.int8;
        quantize::Options {
            per_channel: *per_channel,
            reduce_range: *reduce_range,
            exclude_ops: exclude_ops.clone(),
            exclude_nodes: exclude_nodes.clone(),
            keep_first: *keep_first,
            keep_last: *keep_last,
            ..quantize::Options::new(match self.target {
                Target::OnnxRuntime => quantize::Target::OnnxRuntime,
                Target::TensorRt => quantize::Target::TensorRt,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_of_operators_is_that_of_the_library() {
        let config = include_str!("../../../configs/export/onnx.yaml");
        let listed = config.lines().skip_while(|line| !line.starts_with("  keep_ops:")).skip(1);
        let listed: Vec<_> = listed.map_while(|line| line.strip_prefix("    - ")).collect();
        assert_eq!(listed, onnx::fp16::SENSITIVE);
    }
}
