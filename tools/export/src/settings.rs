//! Config group `export`.

use crate::gate::Limits;
use anyhow::{Context, bail, ensure};
use files::Limit;
use onnx::quantize;
use runtime::Backend;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// From the first opset that has all operators in the form used here to the newest that ONNX Runtime 1.31 runs.
pub const OPSETS: std::ops::RangeInclusive<i64> = 13..=26;

/// The field of a `dataset.json` whose classes are read, where `export.gate.target_field` names no other.
const LABEL_FIELD: &str = "label";
/// Bins of the percentile method, as onnxruntime.quantization has them.
const PERCENTILE_BINS: usize = 2048;
/// Bins of the entropy method: twice those of onnxruntime.quantization, which leave one range to choose from; see
/// [`quantize::Method::ENTROPY`].
const ENTROPY_BINS: usize = 256;
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
    /// Name of the output of scores; None is the only one, and the first for the gate.
    pub output: Option<String>,
    pub fp16: Fp16,
    pub int8: Int8,
    pub calibration: Calibration,
    pub gate: Gate,
    /// Most bytes of the model of `--from` and its files of weights together.
    model_bytes: u64,
    /// What runs graphs.
    pub runtime: Backend,
    /// Where they run; files of settings from before it existed lack it.
    #[serde(default)]
    pub device: runtime::Device,
    /// Most bytes of memory of a run in the native runtime.
    pub memory_bytes: u64,
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

/// The runtime that a quantized graph is for.
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
    /// Mean of each channel, or one for all; None is no normalization.
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
    pub exclude_ops: Vec<String>,
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
    /// Levels of a quantized histogram of the entropy method.
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

/// Most rows of a run of a graph, bins of a histogram and levels: a bound on the memory that they take.
const AT_MOST: usize = 1 << 16;

/// Refuses what is not 1 to [`AT_MOST`].
fn check_range(name: &str, value: usize) -> anyhow::Result<()> {
    ensure!((1..=AT_MOST).contains(&value), "export.{name}: {value}; expected 1 to {AT_MOST}");
    Ok(())
}

impl Calibration {
    fn check(&self) -> anyhow::Result<()> {
        let Self { input, rows, batch_size, percentile, levels, .. } = self;
        ensure!(*rows > 0, "export.calibration.rows: 0; at least 1 is needed");
        check_range("calibration.batch_size", *batch_size)?;
        check_range("calibration.bins", self.bins())?;
        ensure!((0.0..=100.0).contains(percentile), "export.calibration.percentile: {percentile}; expected 0 to 100");
        let (most, is_entropy) = (self.bins(), self.method == Method::Entropy);
        ensure!(
            !is_entropy || (2..=most).contains(levels),
            "export.calibration.levels: {levels}; expected 2 to the number of bins, {most} (export.calibration.bins)"
        );
        if let Some(path) = input.as_deref().filter(|path| path.exists() && !path.is_file()) {
            bail!("export.calibration.input: {}: expected a file, which can be read more than once", path.display());
        }
        Ok(())
    }

    /// Bins of a histogram, of the methods that have some.
    pub fn bins(&self) -> usize {
        self.bins.unwrap_or(if self.method == Method::Entropy { ENTROPY_BINS } else { PERCENTILE_BINS })
    }

    /// How the range of a value follows from the rows.
    pub fn quantize_method(&self) -> quantize::Method {
        let Self { method, percentile, levels, .. } = *self;
        match method {
            Method::MinMax => quantize::Method::MinMax,
            Method::Percentile => quantize::Method::Percentile { percentile, bins: self.bins(), symmetric: true },
            Method::Entropy => quantize::Method::Entropy { bins: self.bins(), levels },
        }
    }
}

impl Gate {
    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.rows != Some(0), "export.gate.rows: 0; at least 1 is needed");
        check_range("gate.batch_size", self.batch_size)?;
        self.limits().check()
    }

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
        ensure!(settings.check_rows != Some(0), "export.check_rows: 0; at least 1 is needed");
        settings.calibration.check()?;
        settings.gate.check()?;
        Ok(settings)
    }

    /// Refuses settings that others leave without effect; `is_run` says whether the model is that of a run.
    ///
    /// # Errors
    /// Names the first one, and what gives it an effect.
    pub fn check_effects(&self, is_run: bool) -> anyhow::Result<()> {
        let names_targets = !is_run && self.gate.target_field.is_some() && self.precision != Precision::Fp32;
        ensure!(
            self.labels.is_none() || self.argmax || names_targets,
            "export.labels: a file of names, which no output has; set export.argmax=true"
        );
        ensure!(
            self.output.is_none() || self.softmax || self.argmax || self.precision != Precision::Fp32,
            "export.output: the name of an output, which only export.softmax, export.argmax and the gate of fp16 and int8 read"
        );
        Ok(())
    }

    /// What a model of `--from` may have.
    pub fn limit(&self) -> Limit<'static> {
        Limit { bytes: self.model_bytes, setting: Some("export.model_bytes") }
    }

    /// How graphs are run, on `threads` threads; 0 is one a core.
    pub fn runtime_options(&self, threads: usize) -> runtime::Options<'_> {
        runtime::Options {
            backend: self.runtime,
            device: self.device,
            library: self.onnxruntime.as_deref(),
            group: "export",
            threads,
            memory_bytes: self.memory_bytes,
            profile: None,
        }
    }

    /// The same for ONNX Runtime as a second opinion on a graph that runs on `first`; None where its library is not found, or
    /// another choice was made.
    pub fn second_options(&self, first: Backend, threads: usize) -> Option<runtime::Options<'_>> {
        let wanted = self.runtime == Backend::Auto && first == Backend::Native;
        let found = wanted && runtime::finds_library(self.onnxruntime.as_deref());
        found.then(|| runtime::Options { backend: Backend::Ort, ..self.runtime_options(threads) })
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
        let name = path.display();
        let text = text.with_context(|| format!("{name}: no text; expected the names of the classes, one a line"))?;
        let names: Vec<String> = text.lines().map(str::to_owned).collect();
        ensure!(!names.is_empty(), "{name}: no names of classes; expected one a line");
        let twice = names.iter().enumerate().find(|(line, name)| names[..*line].contains(name));
        if let Some((line, twice)) = twice {
            bail!("{name}:{}: two classes are called {twice:?}", line + 1);
        }
        Ok(Some(names))
    }

    /// How int8 quantizes.
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
