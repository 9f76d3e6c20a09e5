//! Which rows check, calibrate and judge a model.

use crate::{
    check,
    gate::Classes,
    rows::{Labels, Rows},
    settings::{Calibration, Settings},
    source::Source,
};
use anyhow::{bail, ensure};
use files::Input;
use nets::OutputActivation;
use records::{Batch, ReadOptions, Reader};
use std::path::{Path, PathBuf};

/// A run's held-out rows where the class is text; it has one of them.
const WITH_TEXT: [&str; 2] = ["test.ndjson", "test.csv"];

/// The rows that two fp32 graphs are compared on: those of `export.check_input`, the run's held-out rows, those that would
/// calibrate or judge, or random ones.
pub fn to_check(source: &Source, settings: &Settings) -> Rows {
    // A pipe of rows is left to the gate.
    let judging = || settings.gate.input.clone().filter(|path| path.is_file());
    let calibrating = || settings.calibration.input.clone();
    let file = settings.check_input.clone().or_else(|| held_out(source)).or_else(calibrating).or_else(judging);
    match file {
        Some(path) => Rows::of_file(&path, settings.check_rows),
        None => Rows::Drawn { count: settings.check_rows.unwrap_or(check::BATCH_SIZE), instead: "export.check_input" },
    }
}

/// The rows that set the ranges of int8.
///
/// # Errors
/// When there is no file of rows and random ones were not asked for.
pub fn to_calibrate(source: &Source, settings: &Settings) -> anyhow::Result<Rows> {
    let Calibration { input, rows, random, .. } = &settings.calibration;
    if *random {
        ensure!(
            input.is_none(),
            "export.calibration.random: true, and export.calibration.input names a file; set one of them"
        );
        return Ok(Rows::Drawn { count: *rows, instead: "export.calibration.input" });
    }
    match input.clone().or_else(|| held_out(source)) {
        Some(path) => Ok(Rows::of_file(&path, Some(*rows))),
        None => bail!(
            "int8 needs rows to calibrate with; name a file of them with export.calibration.input=FILE (or take random ones, \
             whose ranges are not those of your data, with export.calibration.random=true)"
        ),
    }
}

/// The rows that a precision is judged on: those of `export.gate.input`, the run's held-out rows, or those that calibrate.
/// Of a file that calibrates too, the rows behind those, if it has some.
///
/// # Errors
/// When there are none.
pub fn to_judge(source: &Source, settings: &Settings, calibration: Option<&Rows>) -> anyhow::Result<Rows> {
    let gate = &settings.gate;
    let file = gate.input.clone().or_else(|| held_out(source)).or_else(|| settings.calibration.input.clone());
    let limit = gate.rows.unwrap_or(usize::MAX);
    match (file, calibration) {
        (Some(path), Some(Rows::File { path: calibrates, limit: used, .. })) if path == *calibrates => {
            let skip = if has_more_rows(&path, *used)? { *used } else { 0 };
            Ok(Rows::File { path, skip, limit })
        }
        (Some(path), _) => Ok(Rows::File { path, skip: 0, limit }),
        (None, Some(rows)) => Ok(rows.clone()),
        (None, None) => {
            let count = gate.rows.unwrap_or(check::BATCH_SIZE).min(check::BATCH_SIZE);
            Ok(Rows::Drawn { count, instead: "export.gate.input" })
        }
    }
}

/// Whether a file has more than `count` rows.
fn has_more_rows(path: &Path, count: usize) -> anyhow::Result<bool> {
    let mut reader = Reader::open(Input::open(Some(path))?, &ReadOptions::any(&[]))?;
    let (mut batch, mut rows) = (Batch::new(), 0);
    while rows <= count && reader.read(&mut batch)? {
        rows += batch.rows();
    }
    Ok(rows > count)
}

/// The file of a run's held-out rows, if it is there: one that has the names of classes, which NPY cannot have.
fn held_out(source: &Source) -> Option<PathBuf> {
    let run = source.run.as_ref()?;
    let of_inputs = check::held_out(&run.model);
    let with_text = run.model.features.target.classes.is_some().then_some(WITH_TEXT);
    let files = with_text.into_iter().flatten().chain([of_inputs]).map(|name| run.folder.join(name));
    files.into_iter().find(|path| path.exists())
}

/// The field of the right class of each row, where there may be one.
///
/// # Errors
/// When `export.gate.target_field` names one for a model that predicts no classes.
pub fn labels(source: &Source, settings: &Settings) -> anyhow::Result<Option<Labels>> {
    let named = settings.gate.target_field.clone();
    let Some(run) = &source.run else {
        let names = settings.class_names()?;
        return Ok(named.map(|field| Labels { field, names, of_text: false, is_required: true }));
    };
    let task = &run.model.task;
    if task.output_activation == OutputActivation::Identity {
        ensure!(named.is_none(), "export.gate.target_field: the model predicts numbers, no classes; set it to null");
        return Ok(None);
    }
    let is_required = named.is_some();
    let names = run.model.features.target.classes.clone();
    let field = named.unwrap_or_else(|| task.target_field.clone());
    Ok(Some(Labels { field, of_text: names.is_some(), names, is_required }))
}

/// What the output of scores says of classes.
pub fn classes(source: &Source, settings: &Settings) -> Classes {
    let activation = source.run.as_ref().map(|run| run.model.task.output_activation);
    match activation {
        Some(OutputActivation::Identity) => Classes::None,
        Some(_) => Classes::Scores,
        None if settings.gate.target_field.is_some() => Classes::Scores,
        None => Classes::Guess,
    }
}
