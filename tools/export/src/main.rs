//! `export`: a run folder or a checkpoint in, an ONNX model out.

mod check;
mod graph;
mod trained;

use anyhow::{Context, ensure};
use cli::{Common, Outcome};
use files::Output;
use serde::Deserialize;
use std::{path::PathBuf, process::ExitCode};
use trained::Trained;

cli::arguments! {
    groups: ["export"],
    input: Folder,
    /// Writes the model of a run folder as ONNX, after comparing it with candle on the same rows.
    #[argh(
        example = "gen-data rows=2000 | entropy | train --quiet trainer.max_epochs=3 > events.ndjson\n  \
                   {command_name} runs/entropy -o entropy.onnx",
        note = "The input is a run folder of train, or one of its checkpoints. Settings: config group export. The batch axis is \
                dynamic; input scaling, if the model has it, is part of the graph; names and shapes are in the model's \
                metadata. Exit status 1: candle and ONNX Runtime differ by more than export.tolerance, or in the class of a \
                row; no file is written. Most shells have a builtin export: call this one as pipegrad export."
    )]
    struct Args {
        /// output file, or - (default: model.onnx in the run folder; of a checkpoint, beside it)
        #[argh(option, short = 'o', arg_name = "file")]
        out: Option<PathBuf>,
    }
}

/// Config group `export`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Version of ONNX's standard operator set, 13 to 26.
    pub opset: i64,
    /// Largest accepted difference from candle, relative to the larger of candle's value and the target's scale (1 where it
    /// is not scaled).
    pub tolerance: f64,
    /// Number of rows that are compared; None for all of the file.
    pub check_rows: Option<usize>,
    /// File of those rows; None for the run's held-out rows, or random ones where there are none.
    pub check_input: Option<PathBuf>,
    /// Path of ONNX Runtime's library; None searches for it.
    pub onnxruntime: Option<PathBuf>,
}

/// From the first opset that has all operators in the form used here to the newest that ONNX Runtime 1.31 runs.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=26;

fn main() -> ExitCode {
    cli::run("export", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    let document = common.settings([])?;
    cli::use_threads(None)?;
    let settings: Settings = document.section("export")?;
    ensure!(
        OPSETS.contains(&settings.opset),
        "export.opset: {}; expected {} to {}",
        settings.opset,
        OPSETS.start(),
        OPSETS.end()
    );
    ensure!(settings.tolerance >= 0.0, "export.tolerance: {}; expected at least 0", settings.tolerance);
    ensure!(settings.check_rows != Some(0), "export.check_rows: 0; at least 1 is needed");
    let path = common.input.context("name the run folder, for instance runs/entropy")?;
    let Trained { model, folder, default_out } = Trained::find(&path)?;
    let bytes = graph::build(&model, settings.opset)?;
    if let Some(disagreement) = check::disagreement(&model, &bytes, &folder, &settings)? {
        return Ok(Outcome::No(disagreement));
    }
    match cli::not_dash(Some(args.out.unwrap_or(default_out))) {
        Some(path) => files::write_file(&path, &bytes)?,
        None => Output::create(None)?.write_all(&bytes)?,
    }
    Ok(Outcome::Done)
}
