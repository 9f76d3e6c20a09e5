//! From a source to what is written: checks, clean-up, pre- and post-processing, precision, gate.

use crate::{
    check::{self, Check, Reference},
    engine::Engine,
    fold,
    gate::{Classes, Comparison, Pair, verdict},
    precision::{self, Done},
    row_source,
    rows::Rows,
    settings::{Precision, Settings},
    source::Source,
    surround::{self, Surrounded},
};
use anyhow::{bail, ensure};
use cli::{Report, Unit};
use onnx::{Model, simplify};
use runtime::Backend;

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
    /// Of the fp32 graph, against what it comes from.
    pub checks: Vec<Check>,
    /// What has computed the graph's constants, if some were.
    pub folded_by: Option<Backend>,
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
    let mut checks = Vec::new();
    if let Some(run) = &source.run {
        let checked = check::with_candle(&run.model, &source.bytes, &run.folder, settings)?;
        if let Some(disagreement) = checked.disagreement {
            return Err(Refused(disagreement).into());
        }
        checks.push(checked.check);
    }
    let mut graph = source.graph.clone();
    let mut folded_by = None;
    let simplified = match settings.simplifies(source.run.is_some()) {
        true => Some(clean_up(&mut graph, settings, &mut folded_by)?),
        false => None,
    };
    let normalized = surround::normalize(&mut graph, settings)?;
    if simplified.is_some() {
        checks.extend(compare_with_source(source, &graph, settings, report)?);
    }
    let surrounded = Surrounded { normalized, classes: surround::classify(&mut graph, source, settings)? };
    let is_changed = simplified.is_some() || surrounded.is_any(settings);
    let bytes = if is_changed { graph.to_bytes() } else { source.bytes.clone() };
    let mut export =
        Export { graph, bytes, simplified, surrounded, precision: Done::Fp32, gate: None, checks, folded_by };
    match settings.precision {
        // A runtime accepts what is written.
        Precision::Fp32 => drop(Engine::new(&export.graph.name, &export.bytes, settings)?),
        Precision::Fp16 | Precision::Int8 => lower(source, &mut export, settings, report)?,
    }
    if let Some(options) = settings.second_options(Backend::Native, 1) {
        runtime::Model::from_bytes(&export.graph.name, &export.bytes, &options)?;
    }
    Ok(export)
}

/// Cleans up a graph; `folded_by` becomes what has computed its constants, if there were some.
fn clean_up(
    graph: &mut Model,
    settings: &Settings,
    folded_by: &mut Option<Backend>,
) -> anyhow::Result<simplify::Simplified> {
    let options = simplify::Options { fold_bytes: settings.simplify_bytes };
    let name = graph.name.clone();
    let evaluate = &mut |constants: &Model| {
        let (tensors, backend) = fold::evaluate(constants, settings)?;
        *folded_by = Some(backend);
        Ok(tensors)
    };
    let done = simplify::simplify(graph, &options, evaluate);
    Ok(done.map_err(|problem| problem.of(&name))?)
}

/// Compares a graph that was cleaned up, and then normalized, with its source, normalized too: all rows have the form that the
/// written model takes. Where that is not possible, a note says so.
fn compare_with_source(
    source: &Source,
    graph: &Model,
    settings: &Settings,
    report: &Report,
) -> anyhow::Result<Option<Check>> {
    let name = &source.graph.name;
    let mut original = source.graph.clone();
    surround::normalize(&mut original, settings)?;
    let reference = Engine::new(name, &original.to_bytes(), settings)?;
    let rows = row_source::to_check(source, settings);
    // Without rows of its own, the gate of another precision has none either, and refuses.
    let is_refused = settings.precision != Precision::Fp32 && matches!(rows, Rows::Drawn { .. });
    let note = |why: &str| {
        if !is_refused {
            report.note(&format!("{name}: not compared with the graph before clean-up: {why}"));
        }
    };
    if let Some(obstacle) = rows.obstacle(reference.model()) {
        note(&obstacle);
        return Ok(None);
    }
    let candidate = Engine::new(name, &graph.to_bytes(), settings)?;
    let backend = candidate.model().backend();
    let pair = Pair::new(reference, candidate, None, Classes::None)?;
    let found = pair.compare(&rows, settings.gate.batch_size, |_| {})?;
    let limit = settings.tolerance;
    for output in &found.outputs {
        let (output_name, max) = (&output.name, output.max());
        if output.broken > 0 || max > limit * output.scale().max(1.0) {
            let max = if output.broken > 0 { f64::INFINITY } else { max };
            let why = format!(
                "{name}: clean-up changes output {output_name:?} by {max:e}, more than export.tolerance = {limit:e}; \
                 export.simplify=false leaves the graph as it is"
            );
            return Err(Refused(why).into());
        }
        if let Some(what) = output.undefined() {
            note(&format!("{what} there already; name rows of finite outputs with export.check_input=FILE"));
        }
    }
    Ok(Some(Check { against: Reference::Source, runtime: backend, rows: found.rows }))
}

/// Lowers the precision of an fp32 graph, and judges the result.
fn lower(source: &Source, export: &mut Export, settings: &Settings, report: &Report) -> anyhow::Result<()> {
    let labels = row_source::labels(source, settings)?;
    let reference = Engine::new(&export.graph.name, &export.bytes, settings)?;
    let calibration = match settings.precision {
        Precision::Int8 => Some(row_source::to_calibrate(source, settings)?),
        _ => None,
    };
    let rows = row_source::to_judge(source, settings, calibration.as_ref())?;
    for rows in calibration.iter().chain([&rows]) {
        if let Some(undrawable) = rows.undrawable(reference.model()) {
            bail!("{}: {undrawable}", export.graph.name);
        }
    }
    export.precision = precision::lower(&mut export.graph, calibration.as_ref(), settings, report)?;
    export.bytes = export.graph.to_bytes();
    let candidate = Engine::new(&export.graph.name, &export.bytes, settings)?;
    let pair = Pair::new(reference, candidate, labels, row_source::classes(source, settings))?;
    let pair = pair.with_scores(settings.output.as_deref());
    let bar = report.bar(Unit::Rows);
    bar.start("comparing", rows.at_most(), 0);
    let found = pair.compare(&rows, settings.gate.batch_size, |rows| bar.add(rows as u64))?;
    drop(bar);
    ensure!(
        settings.gate.target_field.is_none() || found.classes.is_some_and(|classes| classes.accuracy().is_some()),
        "export.gate.target_field: the output of {} has no scores of classes; export.output=NAME names another",
        export.graph.name
    );
    let missed = verdict(&found, &settings.gate.limits(), settings.precision);
    export.gate = Some(found);
    missed.map_or(Ok(()), |why| Err(Refused(why).into()))
}
