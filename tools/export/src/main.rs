//! `export`: a run folder, a checkpoint or an ONNX model in, an ONNX model for production out.

mod check;
mod graph;
mod manifest;
mod settings;
mod source;
mod trained;
mod write;

use cli::{Common, Outcome};
use manifest::Manifest;
use settings::{Precision, Settings};
use source::Source;
use std::{path::PathBuf, process::ExitCode};
use write::Destination;

cli::arguments! {
    groups: ["export"],
    input: Folder,
    /// Writes the model of a run folder as ONNX, after comparing it with candle on the same rows.
    #[argh(
        example = "gen-data rows=2000 | entropy | train --quiet trainer.max_epochs=3 > events.ndjson\n  \
                   {command_name} runs/entropy -o entropy.onnx",
        note = "The input is a run folder of train, or one of its checkpoints, or with --from an ONNX model of any \
                framework. Settings: config group export. The batch axis is dynamic; input scaling, if the model has it, is \
                part of the graph; names and shapes are in the model's metadata. Exit status 1: candle and ONNX Runtime \
                differ by more than export.tolerance, or in the class of a row; no file is written. Most shells have a \
                builtin export: call this one as pipegrad export."
    )]
    struct Args {
        /// output file, or -; a manifest, .json at its end, is written beside it (default: model.onnx in the run folder; of a
        /// checkpoint, beside it; with --from, .fp32.onnx at its end)
        #[argh(option, short = 'o', arg_name = "file")]
        out: Option<PathBuf>,
        /// an ONNX model, or -, instead of a run folder
        #[argh(option, arg_name = "file")]
        from: Option<PathBuf>,
    }
}

fn main() -> ExitCode {
    cli::run("export", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    let document = common.settings([])?;
    cli::use_threads(None)?;
    let settings = Settings::read(&document)?;
    let from = args.from.map(|path| cli::not_dash(Some(path)));
    let source = Source::read(common.input.as_deref(), from, &settings)?;
    let destination = match args.out {
        Some(path) => Destination::new(cli::not_dash(Some(path)))?,
        None => Destination::new(source.default_out(Precision::Fp32))?,
    };
    if let Some(run) = &source.run
        && let Some(disagreement) = check::disagreement(&run.model, &source.bytes, &run.folder, &settings)?
    {
        return Ok(Outcome::No(disagreement));
    }
    let manifest = Manifest::new(&source.record, &source.graph, &source.bytes).to_json()?;
    destination.write(&source.bytes, &manifest)?;
    Ok(Outcome::Done)
}
