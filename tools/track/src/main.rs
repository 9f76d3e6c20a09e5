//! `track`: run events in, the same run events out; on the way they are logged to MLflow and to files.

mod delivery;
mod describe;
mod files;
mod lines;
mod live;
mod mlflow;
mod model;
mod pass;
mod person;
mod resume;
mod sender;
mod settings;
mod source;
mod spool;

use anyhow::ensure;
use cli::{Common, Outcome};
use settings::Settings;
use source::Source;
use std::{path::PathBuf, process::ExitCode};

cli::arguments! {
    groups: ["tracking"],
    input: File,
    /// Logs run events to an MLflow server, and to files for DVC, Lightning's readers and TensorBoard.
    /// Every line is passed on as it came. The input is standard input, a log, or the folder of a run.
    #[argh(
        example = "gen-data rows=10000 | entropy | train trainer.max_epochs=3 | \
                   {command_name} --no-mlflow --dvclive dvclive",
        note = "The settings are those of config group tracking. A server that is slow or away holds nothing \
                back: what is not sent at the end of the input stays in the folder tracking.spool, and \
                {command_name} --resume sends it."
    )]
    struct Args {
        /// folder for metrics.json and plots/metrics/*.tsv, as DVCLive writes them
        #[argh(option, arg_name = "folder")]
        dvclive: Option<PathBuf>,
        /// folder for metrics.csv and hparams.yaml, as Lightning's CSVLogger writes them
        #[argh(option, arg_name = "folder")]
        csv: Option<PathBuf>,
        /// folder for an event file of TensorBoard
        #[argh(option, arg_name = "folder")]
        tensorboard: Option<PathBuf>,
        /// send nothing to a server (the setting tracking.mlflow=false)
        #[argh(switch)]
        no_mlflow: bool,
        /// folder that holds what is not sent yet (the setting tracking.spool)
        #[argh(option, arg_name = "folder")]
        spool: Option<String>,
        /// send what is left in this folder of a spool, or in all in it, and stop
        #[argh(option, arg_name = "folder")]
        resume: Option<PathBuf>,
    }
}

fn main() -> ExitCode {
    cli::run("track", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    if let Some(folder) = args.resume {
        let files = [&args.dvclive, &args.csv, &args.tensorboard].iter().any(|folder| folder.is_some());
        let other = files || args.no_mlflow || args.spool.is_some() || common.input.is_some();
        ensure!(!other, "--resume: takes key=value settings alone; it sends what was left and reads no input");
        ensure!(common.sources.file.is_none(), "--resume: takes no --config; the spool has its own");
        return resume::run(&folder, common);
    }
    let document = common.settings([
        cli::set("tracking.spool", args.spool),
        cli::set("tracking.mlflow", args.no_mlflow.then_some(false)),
    ])?;
    let settings = Settings::read(&document)?;
    let source = Source::open(common.input.as_deref())?;
    let sinks = files::open(args.dvclive, args.csv, args.tensorboard, &settings)?;
    live::run(&settings, &document.to_yaml(), source, sinks)
}
