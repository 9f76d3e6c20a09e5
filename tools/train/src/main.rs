//! `train`: records in, run events out, and a run folder with the trained model.

mod augment;
mod checkpoints;
mod class_weights;
mod data;
mod evaluate;
mod feed;
mod finder;
mod folder;
mod git;
mod held_out;
mod lock;
mod log;
mod network;
mod previous;
mod progress;
mod rate;
mod remarks;
mod report;
mod scaling;
mod settings;
mod start;
mod step;
mod summary;
mod throughput;
mod trainer;

use anyhow::Context;
use cli::{Common, Outcome};
use data::{Data, Reading};
use network::Network;
use report::Report;
use settings::Settings;
use std::{path::Path, process::ExitCode};
use trainer::{Ended, Trainer};

cli::arguments! {
    groups: ["model", "optimizer", "scheduler", "callbacks", "augmentation", "features", "trainer", "data"],
    input: File,
    /// Trains a model on records and writes a run folder; run events go to standard output.
    #[argh(
        example = "gen-data rows=10000 | entropy | {command_name} trainer.max_epochs=3",
        note = "The settings are those of config groups model, optimizer, scheduler, callbacks, augmentation, features and trainer. \
                The run folder (trainer.run_dir) then holds model.safetensors, config.yaml, metrics.json, history.csv, \
                test.npy (the rows held out; text in test.csv), features.json, events.ndjson and checkpoints/. The same rows, settings and seed \
                give the same model, byte for byte. SIGHUP, SIGINT and SIGTERM end a run in good order; \
                trainer.resume=last goes on. Exit status 1 means that training diverged."
    )]
    struct Args {
        /// fail unless exactly this many rows are read
        #[argh(option)]
        expect_rows: Option<u64>,
        /// what separates the cells of CSV: one character, or tab (default: a comma; a tab for .tsv files)
        #[argh(option, arg_name = "character")]
        delimiter: Option<cli::Delimiter>,
        /// run folder (the setting trainer.run_dir)
        #[argh(option, short = 'o', arg_name = "folder")]
        out: Option<String>,
        /// threads to use (default: one a core); the result is the same for any number
        #[argh(option)]
        threads: Option<usize>,
        /// print the network's layers, shapes, parameters and arithmetic, and stop
        #[argh(switch)]
        summary: bool,
        /// try rising learning rates, print the best as a setting, and stop; the curve is finder.csv in the run folder
        #[argh(switch)]
        find_learning_rate: bool,
        /// measure steps and rows a second for several batch sizes, and stop
        #[argh(switch)]
        throughput: bool,
        /// say nothing while training goes on
        #[argh(switch)]
        quiet: bool,
    }
}

fn main() -> ExitCode {
    cli::run("train", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    cli::no_dash("--out", args.out.as_deref().map(Path::new))?;
    let document = common.settings([cli::set("trainer.run_dir", args.out.as_deref())])?;
    let settings = Settings::read(&document)?;
    cli::use_threads(args.threads)?;
    let input = dvc::open(common.input.as_deref(), settings.pull)?;
    let delimiter = args.delimiter.map(|cli::Delimiter(delimiter)| delimiter);
    let data = Data::read(input, Reading { texts: &[], expect_rows: args.expect_rows, delimiter }, &settings)?;
    let network = Network::new(&settings, &data)?;
    let trains = !(args.summary || args.throughput || args.find_learning_rate);
    let report = if trains { Report::new(args.quiet) } else { Report::lines(args.quiet) };
    let warnings = settings.warnings();
    warnings.iter().chain(&network.remarks).for_each(|warning| report.note(warning));
    if let Some(text) = instead(&args, &settings, &data, &network)? {
        cli::print(&text)?;
        return Ok(Outcome::Done);
    }
    Ok(match Trainer::new(&settings, &data, &network, report)?.run()? {
        Ended::Finished => Outcome::Done,
        Ended::Diverged(why) => Outcome::No(why),
        Ended::Signal(signal) => Outcome::Signal(signal.exit_status),
    })
}

/// What is asked for in place of training.
fn instead(args: &Args, settings: &Settings, data: &Data, network: &Network) -> anyhow::Result<Option<String>> {
    if args.summary {
        return Ok(Some(summary::table(network)));
    }
    if args.throughput {
        return throughput::table(settings, data, network).map(Some);
    }
    if args.find_learning_rate {
        let curve = finder::Curve::measure(settings, data, network)?;
        let folder = Path::new(&settings.trainer.run_dir);
        std::fs::create_dir_all(folder).with_context(|| format!("{}: trainer.run_dir", folder.display()))?;
        files::write_file(&folder.join("finder.csv"), curve.to_csv().as_bytes())?;
        let found = curve.suggestion().with_context(|| {
            let (steps, min) = (curve.points.len(), settings.trainer.finder.min);
            format!("the loss rose after {steps} steps, too early to tell; give a trainer.finder.min below {min:e}")
        })?;
        return Ok(Some(format!("optimizer.learning_rate={found:.3e}\n")));
    }
    Ok(None)
}
