//! `infer`: records in, the same records with a prediction out.

mod inputs;
mod model;
mod outputs;
mod settings;

use anyhow::Context;
use cli::{Common, Outcome, Streams};
use model::Model;
use settings::Settings;
use std::{path::PathBuf, process::ExitCode};

cli::filter_arguments! {
    groups: ["infer", "data"],
    /// Runs an ONNX model on records and adds its output as a field.
    #[argh(
        example = "gen-data rows=2000 | entropy | train --quiet trainer.max_epochs=3 > events.ndjson\n  \
                   pipegrad export runs/entropy -o entropy.onnx\n  \
                   gen-data rows=3 seed=1 | {command_name} --model entropy.onnx",
        note = "Settings: config group infer. A model that export wrote reads the fields that it was trained on, by name, \
                and adds the name of the predicted class if its classes have names. For another model, the input field \
                has the name of the graph's input."
    )]
    struct Args {
        /// the model, an .onnx file
        #[argh(option, short = 'm', arg_name = "file")]
        model: Option<PathBuf>,
        /// name of the field to add (the setting infer.out_field)
        #[argh(option)]
        out_field: Option<String>,
        /// threads of the model; 0 for one a core (the setting infer.threads)
        #[argh(option)]
        threads: Option<usize>,
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("infer", work)
}

fn work(mut args: Args, common: Common) -> anyhow::Result<Outcome> {
    let document = common
        .settings([cli::set("infer.out_field", args.out_field.take()), cli::set("infer.threads", args.threads)])?;
    let settings = Settings::read(&document)?;
    let named = common.input.as_deref().filter(|input| input.extension().is_some_and(|it| it == "onnx"));
    let path = args.model.take().with_context(|| match named {
        Some(model) => format!("{}: name the model with --model, in front of its path", model.display()),
        None => "name the model with --model, for instance models/entropy.onnx".into(),
    })?;
    let mut model = Model::open(&path, &settings)?;
    let input = dvc::open(common.input.as_deref(), settings.pull)?;
    let streams = Streams { fortran_bytes: Some(settings.fortran_bytes), ..args.streams(None) };
    let fields = model.fields();
    streams.filter_from(input, fields.read_options(), |batch| model.predict(batch))?;
    Ok(Outcome::Done)
}
