//! `train`: records in, run events out, and a run folder with the trained model.

mod data;
mod git;
mod run;
mod settings;
mod trainer;

use cli::{Common, Outcome};
use events::Status;
use records::ReadOptions;
use settings::Settings;
use std::process::ExitCode;

cli::arguments! {
    /// Trains a model on records and writes a run folder; run events go to standard output.
    #[argh(
        example = "gen-data rows=10000 | entropy | {command_name} trainer.max_epochs=3",
        note = "The settings are those of config groups model, optimizer and trainer. The run folder \
                (trainer.run_dir) then holds model.safetensors, config.yaml, metrics.json, history.csv, \
                test.npy (the rows held out) and events.ndjson. The same rows, settings and seed give the \
                same model, byte for byte."
    )]
    struct Args {
        /// the number of rows that must come
        #[argh(option)]
        expect_rows: Option<u64>,
        /// run folder (the setting trainer.run_dir)
        #[argh(option, short = 'o')]
        out: Option<String>,
    }
}

fn main() -> ExitCode {
    cli::run("train", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    let flags: Vec<String> = cli::text_flag("trainer.run_dir", &args.out).into_iter().collect();
    let Some(document) = common.settings(&["model", "optimizer", "trainer", "data"], &flags)? else {
        return Ok(Outcome::Done);
    };
    let settings = Settings::read(&document)?;
    let input = cli::open_or_pull(common.input.as_deref(), settings.pull)?;
    let trainer = &settings.trainer;
    let mut options = ReadOptions::floats(&[&trainer.input_field, &trainer.target_field]);
    options.expect_rows = args.expect_rows;
    let table = data::read(input, &options, trainer)?;
    let split = data::split(&table, trainer)?;
    let mut log = run::Log::new();
    match trainer::train(&settings, &table, &split, &mut log) {
        Ok(trained) => run::write_folder(&settings, &table, &split, &trained, log)?,
        Err(error) => {
            log.end(Status::Failed, &format!("{error:#}"))?;
            return Err(error);
        }
    }
    Ok(Outcome::Done)
}
