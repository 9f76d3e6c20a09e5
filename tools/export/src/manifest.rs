//! The manifest: what a model was made of and how, beside it as JSON.

use crate::{
    check::Check,
    gate::Comparison,
    pipeline::Export,
    precision::Done,
    settings::{Precision, Settings},
    source::{Record, Source},
};
use onnx::{Dim, Value, type_name};
use runtime::Backend;
use serde::Serialize;
use serde_json::{Map, json};

/// The manifest of a model. It has no time and no path: the same inputs give the same bytes.
#[derive(Debug, Serialize)]
pub struct Manifest<'a> {
    /// Version of the tool.
    version: &'static str,
    source: &'a Record,
    model: Described,
    /// What was done, by the names of the settings.
    #[serde(flatten)]
    steps: Map<String, serde_json::Value>,
    /// Against the fp32 graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<Judged<'a>>,
    /// The comparisons of the fp32 graph with what it comes from.
    checks: &'a [Check],
    /// Version of ONNX Runtime, where its results decided bytes of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    onnxruntime: Option<String>,
}

/// The model as it is written.
#[derive(Debug, Serialize)]
struct Described {
    sha256: String,
    bytes: usize,
    precision: Precision,
    opset: i64,
    inputs: Vec<serde_json::Value>,
    outputs: Vec<serde_json::Value>,
}

/// A comparison, and its limits.
#[derive(Debug, Serialize)]
struct Judged<'a> {
    limits: crate::gate::Limits,
    #[serde(flatten)]
    found: &'a Comparison,
}

impl<'a> Manifest<'a> {
    /// Of what was exported.
    ///
    /// # Errors
    /// When ONNX Runtime, which ran before, is missing now.
    pub fn new(source: &'a Source, export: &'a Export, settings: &Settings) -> anyhow::Result<Self> {
        let graph = &export.graph;
        let model = Described {
            sha256: files::sha256(&export.bytes),
            bytes: export.bytes.len(),
            precision: settings.precision,
            opset: graph.opset(),
            inputs: graph.graph.inputs.iter().map(described).collect(),
            outputs: graph.graph.outputs.iter().map(described).collect(),
        };
        let by_runtime = [export.folded_by, export.precision.calibrated_by()].contains(&Some(Backend::Ort));
        let library = || runtime::library_version(settings.onnxruntime.as_deref());
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            source: &source.record,
            model,
            steps: steps(export, settings)?,
            gate: export.gate.as_ref().map(|found| Judged { limits: settings.gate.limits(), found }),
            checks: &export.checks,
            onnxruntime: by_runtime.then(library).transpose()?,
        })
    }

    /// As the text of a file.
    ///
    /// # Errors
    /// When a number is none of JSON's.
    pub fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// The settings and reports of the passes.
fn steps(export: &Export, settings: &Settings) -> anyhow::Result<Map<String, serde_json::Value>> {
    let mut steps = Map::new();
    if let Some(done) = &export.simplified {
        let counts = done.counts().into_iter().filter(|(_, count)| *count > 0);
        steps.insert("simplify".into(), counts.map(|(name, count)| (name.to_owned(), count)).collect());
    }
    if export.surrounded.normalized {
        steps.insert("normalize".into(), serde_json::to_value(&settings.normalize)?);
    }
    if settings.softmax {
        steps.insert("softmax".into(), true.into());
    }
    if let Some(classes) = &export.surrounded.classes {
        steps.insert("argmax".into(), json!({"class": classes.class, "label": classes.label}));
    }
    match &export.precision {
        Done::Fp32 => {}
        Done::Fp16(report) => {
            steps.insert("fp16".into(), json!({"settings": settings.fp16, "report": halved(report)}));
        }
        Done::Int8(report, calibrated) => {
            steps.insert("calibration".into(), serde_json::to_value(calibrated)?);
            steps.insert(
                "int8".into(),
                json!({"settings": settings.int8, "target": settings.target, "report": quantized(report)}),
            );
        }
    }
    Ok(steps)
}

fn halved(report: &onnx::fp16::Report) -> serde_json::Value {
    json!({
        "fp16_nodes": report.half_nodes,
        "fp32_nodes": report.kept_nodes,
        "casts": report.casts,
        "constants": report.constants,
        "clamped": report.clamped,
        "flushed_to_zero": report.flushed,
    })
}

fn quantized(report: &onnx::quantize::Report) -> serde_json::Value {
    let left = report.left.iter().map(|left| json!({"node": left.node, "reason": left.reason}));
    json!({
        "quantized": report.quantized,
        "left": left.collect::<Vec<_>>(),
        "weight_bytes": report.bytes_after,
        "fp32_weight_bytes": report.bytes_before,
    })
}

/// `{"name": "x", "type": "float32", "shape": ["batch", 8]}`; the shape is null where the rank is not known, an axis is where
/// its size is not.
fn described(value: &Value) -> serde_json::Value {
    let axis = |dim: &Dim| match dim {
        Dim::Known(size) => json!(size),
        Dim::Symbol(name) => json!(name),
        Dim::Unknown => json!(null),
    };
    match value.tensor_type() {
        Some(tensor) => json!({
            "name": value.name,
            "type": type_name(tensor.dtype),
            "shape": tensor.shape.map(|dims| dims.iter().map(axis).collect::<Vec<_>>()),
        }),
        None => json!({"name": value.name}),
    }
}
