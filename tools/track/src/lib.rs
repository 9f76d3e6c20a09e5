//! `track`: copies run events from standard input to standard output and logs them to MLflow and to files.

mod describe;
mod lines;
mod live;
mod mlflow;
mod model;
mod resume;
mod settings;
mod sinks;
mod source;
mod spool;
mod tee;
mod upload;
mod whoami;

use anyhow::ensure;
use cli::{Common, Outcome};
use settings::Settings;
use source::Source;
use std::{path::PathBuf, process::ExitCode};

cli::arguments! {
    groups: ["tracking"],
    input: File,
    /// Logs run events to an MLflow server, and to files for DVC, Lightning's readers and TensorBoard.
    /// Every line is copied to standard output unchanged. The input is standard input, a log, or a run folder.
    #[argh(
        example = "gen-data rows=10000 | entropy | train trainer.max_epochs=3 | \
                   {command_name} --no-mlflow --dvclive dvclive",
        note = "The settings are those of config group tracking. A slow or unavailable server does not slow the \
                pipe down: what is not sent at the end of the input stays in the folder tracking.spool, and \
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
        /// folder for events that are not sent yet (the setting tracking.spool)
        #[argh(option, arg_name = "folder")]
        spool: Option<String>,
        /// send this spool, or all spools in this folder, and exit
        #[argh(option, arg_name = "folder")]
        resume: Option<PathBuf>,
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("track", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    if let Some(folder) = args.resume {
        let files = [&args.dvclive, &args.csv, &args.tensorboard].iter().any(|folder| folder.is_some());
        let other = files || args.no_mlflow || args.spool.is_some() || common.input.is_some();
        ensure!(!other, "--resume: allows only key=value settings; it sends a spool and reads no input");
        ensure!(common.sources.file.is_none(), "--resume: does not allow --config; the spool has its own settings");
        return resume::run(&folder, common);
    }
    let document = common.settings([
        cli::set("tracking.spool", args.spool),
        cli::set("tracking.mlflow", args.no_mlflow.then_some(false)),
    ])?;
    let settings = Settings::read(&document)?;
    let source = Source::open(common.input.as_deref())?;
    let sinks = sinks::open(args.dvclive, args.csv, args.tensorboard, &settings)?;
    live::run(&settings, &document.to_yaml(), source, sinks)
}
