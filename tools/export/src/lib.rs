//! `export`: a run folder, a checkpoint or an ONNX model in, an ONNX model for production out.

mod check;
mod engine;
mod fold;
mod gate;
mod graph;
mod manifest;
mod pipeline;
mod precision;
mod row_source;
mod rows;
mod settings;
mod source;
mod surround;
mod table;
mod trained;
mod write;

use cli::{Common, Outcome, Report};
use manifest::Manifest;
use pipeline::Refused;
use settings::Settings;
use source::Source;
use std::{path::PathBuf, process::ExitCode};
use write::Destination;

cli::arguments! {
    groups: ["export"],
    input: Folder,
    /// Writes a model as ONNX for production, in fp32, fp16 or int8, after comparing it with what it comes from.
    #[argh(
        example = "gen-data rows=2000 | entropy | train --quiet trainer.max_epochs=3 > events.ndjson\n  \
                   {command_name} runs/entropy -o entropy.onnx\n  \
                   {command_name} --from entropy.onnx -o entropy.fp16.onnx precision=fp16",
        note = "The input is a run folder of train, or one of its checkpoints, or with --from an ONNX model of any \
                framework. Settings: config group export. Of a run, the batch axis is dynamic; input scaling, if the model \
                has it, is part of the graph; names and shapes are in the model's metadata. int8 needs rows to calibrate \
                with: the run's held-out rows, or export.calibration.input. Exit status 1: the graph differs from candle, \
                or from fp32, by more than the settings allow; no file is written. Most shells have a builtin export: call \
                this one as pipegrad export."
    )]
    struct Args {
        /// output file, or -; a manifest, .json at its end, is written beside it (default: model.onnx in the run folder; of a
        /// checkpoint, beside it; with --from, or of another precision, .int8.onnx or the like at its end)
        #[argh(option, short = 'o', arg_name = "file")]
        out: Option<PathBuf>,
        /// an ONNX model, or -, instead of a run folder
        #[argh(option, arg_name = "file")]
        from: Option<PathBuf>,
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("export", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    let document = common.settings([])?;
    cli::use_threads(None)?;
    let settings = Settings::read(&document)?;
    let from = args.from.map(|path| cli::not_dash(Some(path)));
    settings.check_effects(from.is_none())?;
    let source = Source::read(common.input.as_deref(), from, &settings)?;
    let destination = match args.out {
        Some(path) => Destination::new(cli::not_dash(Some(path)))?,
        None => Destination::new(source.default_out(settings.precision))?,
    };
    let report = Report::new(false);
    let export = match pipeline::export(&source, &settings, &report) {
        Err(error) if error.is::<Refused>() => return Ok(Outcome::No(error.to_string())),
        done => done?,
    };
    if let Some(found) = &export.gate {
        report.show(&table::text(found, settings.precision.name()));
    }
    let manifest = Manifest::new(&source, &export, &settings)?.to_json()?;
    destination.write(&export.bytes, &manifest)?;
    Ok(Outcome::Done)
}
