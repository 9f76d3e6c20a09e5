//! From a source to what is written: checks, clean-up, pre- and post-processing, precision, gate.

use crate::{
    check,
    engine::Engine,
    fold,
    gate::{Classes, Comparison, Pair, verdict},
    precision::{self, Done},
    row_source,
    rows::{Rows, can_be_drawn},
    settings::{Precision, Settings},
    source::Source,
    surround::{self, Surrounded},
};
use cli::{Report, Unit};
use onnx::{Model, simplify};

/// A model to be written, and what was done to it.
pub struct Export {
    pub graph: Model,
    /// `graph` as the bytes of a file.
    pub bytes: Vec<u8>,
    pub simplified: Option<simplify::Simplified>,
    pub surrounded: Surrounded,
    pub precision: Done,
    /// Against the fp32 graph; None of the fp32 graph itself.
    pub gate: Option<Comparison>,
}

/// The work ran, and its answer is no.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// Does all that the settings ask for.
///
/// # Errors
/// [`Refused`] where graphs differ by more than the settings allow; others where the model, the rows or the settings are at
/// fault.
pub fn export(source: &Source, settings: &Settings, report: &Report) -> anyhow::Result<Export> {
    if let Some(run) = &source.run
        && let Some(disagreement) = check::disagreement(&run.model, &source.bytes, &run.folder, settings)?
    {
        return Err(Refused(disagreement).into());
    }
    let (mut graph, mut bytes) = (source.graph.clone(), source.bytes.clone());
    let mut simplified = None;
    if settings.simplifies(source.run.is_some()) {
        simplified = Some(clean_up(&mut graph, settings)?);
        bytes = graph.to_bytes();
        compare_with_source(source, &bytes, settings)?;
    }
    let surrounded = surround::surround(&mut graph, source, settings)?;
    if surrounded.is_any(settings) {
        bytes = graph.to_bytes();
    }
    let mut export = Export { graph, bytes, simplified, surrounded, precision: Done::Fp32, gate: None };
    match settings.precision {
        // ONNX Runtime accepts what is written.
        Precision::Fp32 => drop(Engine::new(&export.graph.name, &export.bytes, settings)?),
        Precision::Fp16 | Precision::Int8 => lower(source, &mut export, settings, report)?,
    }
    Ok(export)
}

fn clean_up(graph: &mut Model, settings: &Settings) -> anyhow::Result<simplify::Simplified> {
    let options = simplify::Options { fold_bytes: settings.simplify_bytes };
    let name = graph.name.clone();
    let done = simplify::simplify(graph, &options, &mut |constants: &Model| fold::evaluate(constants, settings));
    Ok(done.map_err(|problem| problem.of(&name))?)
}

/// Compares a cleaned-up graph with what it comes from. A model whose inputs cannot be drawn is not compared without a file.
fn compare_with_source(source: &Source, bytes: &[u8], settings: &Settings) -> anyhow::Result<()> {
    let name = &source.graph.name;
    let engine = |bytes: &[u8]| Engine::new(name, bytes, settings);
    let rows = row_source::to_check(source, settings);
    let reference = engine(&source.bytes)?;
    if matches!(rows, Rows::Drawn { .. }) && !can_be_drawn(reference.model().inputs()) {
        return Ok(());
    }
    let pair = Pair::new(reference, engine(bytes)?, None, Classes::None)?;
    let found = pair.compare(&rows, check::BATCH_SIZE, |_| {})?;
    let limit = settings.tolerance;
    match found.outputs.iter().find(|output| output.broken > 0 || output.max() > limit * output.scale().max(1.0)) {
        None => Ok(()),
        Some(output) => {
            let (output, max) = (&output.name, output.max());
            let why = format!(
                "{name}: clean-up changes output {output:?} by {max:e}, more than export.tolerance = {limit:e}; \
                 export.simplify=false leaves the graph as it is"
            );
            Err(Refused(why).into())
        }
    }
}

/// Lowers the precision of an fp32 graph, and judges the result.
fn lower(source: &Source, export: &mut Export, settings: &Settings, report: &Report) -> anyhow::Result<()> {
    let labels = row_source::labels(source, settings)?;
    let reference = Engine::new(&export.graph.name, &export.bytes, settings)?;
    let calibration = match settings.precision {
        Precision::Int8 => Some(row_source::to_calibrate(source, settings)?),
        _ => None,
    };
    export.precision = precision::lower(&mut export.graph, calibration.as_ref(), settings, report)?;
    export.bytes = export.graph.to_bytes();
    let candidate = Engine::new(&export.graph.name, &export.bytes, settings)?;
    let pair = Pair::new(reference, candidate, labels, row_source::classes(source, settings))?;
    let rows = row_source::to_judge(source, settings, calibration.as_ref())?;
    let bar = report.bar(Unit::Rows);
    bar.start("comparing", rows.at_most(), 0);
    let found = pair.compare(&rows, settings.gate.batch_size, |rows| bar.add(rows as u64))?;
    drop(bar);
    let missed = verdict(&found, &settings.gate.limits(), settings.precision.name());
    export.gate = Some(found);
    missed.map_or(Ok(()), |why| Err(Refused(why).into()))
}
