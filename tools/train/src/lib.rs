//! `train`: records in, run events out, and a run folder with the trained model.

mod checkpoints;
mod console;
mod data;
mod device;
mod distributed;
mod evaluate;
mod inspect;
mod network;
mod resident;
mod run_dir;
mod settings;
mod trainer;
mod training_step;

use cli::{Common, Outcome};
use console::Console;
use data::{DataModule, Reading};
use device::Device;
use inspect::Inspection;
use network::Network;
use settings::Settings;
use std::{path::Path, process::ExitCode};
use trainer::{RunOutcome, Trainer};

cli::arguments! {
    groups: ["model", "optimizer", "scheduler", "callbacks", "augmentation", "features", "trainer", "data"],
    input: File,
    /// Trains a model on records and writes a run folder; run events go to standard output.
    #[argh(
        example = "gen-data rows=10000 | entropy | {command_name} trainer.max_epochs=3",
        note = "The settings are those of config groups model, optimizer, scheduler, callbacks, augmentation, features and trainer. \
                The run folder (trainer.run_dir) then holds model.safetensors, config.yaml, metrics.json, history.csv, \
                test.npy (the test split; text in test.csv), features.json, events.ndjson and checkpoints/. The same rows, settings and seed \
                give the same model, byte for byte. SIGHUP, SIGINT and SIGTERM save the run's state and stop it; \
                trainer.resume=last resumes it. Exit status 1 means that training diverged."
    )]
    struct Args {
        /// fail unless exactly this many rows are read
        #[argh(option)]
        expect_rows: Option<u64>,
        /// delimiter of CSV cells: one character, or tab (default: a comma; a tab for .tsv files)
        #[argh(option, arg_name = "character")]
        delimiter: Option<cli::Delimiter>,
        /// run folder (the setting trainer.run_dir)
        #[argh(option, short = 'o', arg_name = "folder")]
        out: Option<String>,
        /// threads to use (default: one a core); the result is the same for any number
        #[argh(option)]
        threads: Option<usize>,
        /// print the network's layers, output shapes, parameters and floating-point operations, and stop
        #[argh(switch)]
        summary: bool,
        /// run a learning-rate range test, print the suggestion as a setting, and stop; the curve is finder.csv in the run folder
        #[argh(switch)]
        find_learning_rate: bool,
        /// measure training steps and rows per second for several batch sizes, and stop
        #[argh(switch)]
        throughput: bool,
        /// print no progress and no notes
        #[argh(switch)]
        quiet: bool,
    }
}

/// Exit status of a run that diverged; `cli` gives it to [`Outcome::No`].
const DIVERGED: u8 = 1;

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("train", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    cli::no_dash("--out", args.out.as_deref().map(Path::new))?;
    let document = common.settings([cli::set("trainer.run_dir", args.out.as_deref())])?;
    let settings = Settings::read(&document)?;
    let inspection = args.inspection();
    let reads_stdin = common.input.as_deref().is_none_or(|path| path == Path::new("-"));
    let launch = if inspection.is_some() { None } else { distributed::detect(&settings, reads_stdin)? };
    let local_ranks = launch.as_ref().and_then(|launch| launch.local_size).unwrap_or(1);
    cli::use_shared_threads(args.threads, local_ranks)?;
    // Before rows are read, which may take long, and for the inspections as for the run.
    let device = Device::open(&settings.trainer, launch.as_ref())?;
    let input = dvc::open(common.input.as_deref(), settings.pull)?;
    let delimiter = args.delimiter.map(|cli::Delimiter(delimiter)| delimiter);
    let data = DataModule::read(input, Reading { texts: &[], expect_rows: args.expect_rows, delimiter }, &settings)?;
    let network = Network::new(&settings, &data)?;
    let quiet = args.quiet || launch.as_ref().is_some_and(|launch| launch.rank > 0);
    let console = if inspection.is_some() { Console::without_bar(quiet) } else { Console::new(quiet) };
    let warnings = settings.warnings();
    warnings.iter().chain(&network.notes).for_each(|note| console.note(note));
    if let Some(inspection) = inspection {
        cli::print(&inspection.answer(&settings, &data, &network, &device)?)?;
        return Ok(Outcome::Done);
    }
    let ranks = distributed::join(launch.as_ref(), &settings, &data, &device)?;
    let is_first = ranks.is_first();
    Ok(match Trainer::new(&settings, &data, &network, &device, console, ranks)?.run()? {
        RunOutcome::Finished => Outcome::Done,
        RunOutcome::Diverged(_) if !is_first => Outcome::Reported(DIVERGED),
        RunOutcome::Diverged(why) => Outcome::No(why),
        RunOutcome::Signal(signal) => Outcome::Signal(signal.exit_status),
    })
}

impl Args {
    fn inspection(&self) -> Option<Inspection> {
        let asked = [
            (self.summary, Inspection::Summary),
            (self.throughput, Inspection::Throughput),
            (self.find_learning_rate, Inspection::LearningRate),
        ];
        asked.into_iter().find(|(is_asked, _)| *is_asked).map(|(_, inspection)| inspection)
    }
}
