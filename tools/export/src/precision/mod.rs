//! Graphs of lower precision.

mod int8;
mod operators;

use crate::{
    rows::Rows,
    settings::{Fp16, Precision, Settings},
};
use anyhow::{Context, ensure};
use cli::Report;
use onnx::{DataType, Model, fp16, quantize, simplify};
use runtime::Backend;

/// What lowering the precision did.
pub enum Done {
    Fp32,
    Fp16(fp16::Report),
    Int8(quantize::Report, int8::Calibrated),
}

impl Done {
    /// What ran the graph to find the ranges of int8.
    pub fn calibrated_by(&self) -> Option<Backend> {
        match self {
            Self::Int8(_, calibrated) => Some(calibrated.runtime),
            Self::Fp32 | Self::Fp16(_) => None,
        }
    }
}

/// Lowers the precision of a graph to what the settings ask for.
///
/// # Errors
/// When there is nothing to lower, or the rows of calibration do not fit.
pub fn lower(
    graph: &mut Model,
    calibration: Option<&Rows>,
    settings: &Settings,
    report: &Report,
) -> anyhow::Result<Done> {
    match settings.precision {
        Precision::Fp32 => Ok(Done::Fp32),
        Precision::Fp16 => halve(graph, settings, report).map(Done::Fp16),
        Precision::Int8 => {
            let name = graph.name.clone();
            ensure!(!is_half(graph), "{name}: its weights are float16; int8 is made of the fp32 model");
            simplify::fold_batch_norms(&mut graph.graph).map_err(|problem| problem.of(&name))?;
            operators::check("export.int8.exclude_ops", &settings.int8.exclude_ops, &[], &graph.graph, report)?;
            let rows = calibration.context("int8 needs rows to calibrate with")?;
            let (report, calibrated) = int8::quantize(graph, rows, settings, report)?;
            Ok(Done::Int8(report, calibrated))
        }
    }
}

/// Whether all weights are float16: constants of more than one element.
fn is_half(graph: &Model) -> bool {
    let has = |dtype| graph.graph.initializers.values().any(|tensor| tensor.dtype() == dtype && tensor.len() > 1);
    has(DataType::Float16) && !has(DataType::Float)
}

fn halve(graph: &mut Model, settings: &Settings, report: &Report) -> anyhow::Result<fp16::Report> {
    let name = graph.name.clone();
    ensure!(!is_half(graph), "{name}: its weights are float16 already; export.precision=fp32 leaves them as they are");
    let Fp16 { keep_ops, keep_nodes, keep_io } = &settings.fp16;
    operators::check("export.fp16.keep_ops", keep_ops, fp16::SENSITIVE, &graph.graph, report)?;
    let options = fp16::Options { keep_ops, keep_nodes, keep_io: *keep_io };
    let report = fp16::convert(graph, &options).map_err(|problem| problem.of(&name))?;
    ensure!(
        report.half_nodes > 0,
        "{name}: no node is left that could compute in float16 (export.fp16.keep_ops and export.fp16.keep_nodes keep some)"
    );
    Ok(report)
}
