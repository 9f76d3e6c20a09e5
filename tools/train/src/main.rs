//! `train`: records in, run events out, and a run folder with the trained model.

mod checkpoints;
mod data;
mod evaluate;
mod folder;
mod git;
mod log;
mod network;
mod progress;
mod rate;
mod report;
mod settings;
mod signals;
mod start;
mod step;
mod trainer;

use cli::{Common, Outcome};
use records::ReadOptions;
use report::Report;
use settings::Settings;
use std::process::ExitCode;
use trainer::{Ended, Trainer};

cli::arguments! {
    /// Trains a model on records and writes a run folder; run events go to standard output.
    #[argh(
        example = "gen-data rows=10000 | entropy | {command_name} trainer.max_epochs=3",
        note = "The settings are those of config groups model, optimizer, scheduler, callbacks and trainer. The \
                run folder (trainer.run_dir) then holds model.safetensors, config.yaml, metrics.json, history.csv, \
                test.npy (the rows held out), events.ndjson and checkpoints/. The same rows, settings and seed \
                give the same model, byte for byte. SIGINT and SIGTERM end a run in good order; \
                trainer.resume=last goes on. Exit status 1 means that training diverged."
    )]
    struct Args {
        /// the number of rows that must come
        #[argh(option)]
        expect_rows: Option<u64>,
        /// run folder (the setting trainer.run_dir)
        #[argh(option, short = 'o')]
        out: Option<String>,
        /// threads to use (default: one a core); the result is the same for any number
        #[argh(option)]
        threads: Option<usize>,
        /// say nothing while training goes on
        #[argh(switch)]
        quiet: bool,
    }
}

fn main() -> ExitCode {
    cli::run("train", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    let flags: Vec<String> = cli::text_flag("trainer.run_dir", &args.out).into_iter().collect();
    let Some(document) = common.settings(&settings::GROUPS, &flags)? else { return Ok(Outcome::Done) };
    let settings = Settings::read(&document)?;
    cli::use_threads(args.threads)?;
    let input = cli::open_or_pull(common.input.as_deref(), settings.pull)?;
    let trainer = &settings.trainer;
    let mut options = ReadOptions::floats(&[&trainer.input_field, &trainer.target_field]);
    options.expect_rows = args.expect_rows;
    let table = data::read(input, &options, trainer)?;
    let split = data::split(&table, trainer)?;
    Ok(match Trainer::new(&settings, &table, &split, Report::new(args.quiet))?.run()? {
        Ended::Finished => Outcome::Done,
        Ended::Diverged(why) => Outcome::No(why),
        Ended::Signal(signal) => Outcome::Signal(signal.exit_status),
    })
}
