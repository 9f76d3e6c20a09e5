//! `sweep`: overrides of several values in, one job a line out.

mod check;
mod form;
mod jobs;
mod run_dir;

use anyhow::{Context, ensure};
use cli::{Common, Outcome};
use files::Output;
use form::Form;
use jobs::Jobs;
use std::{path::PathBuf, process::ExitCode};

cli::arguments! {
    groups: all,
    input: File,
    /// Multiplies overrides of several values into jobs, and prints the overrides of one job a line.
    #[argh(
        example = "{command_name} trainer.seed=0,1 'optimizer.learning_rate=choice(1e-3,3e-4)' 'trainer.max_epochs=range(1,3)'",
        note = "Several values are a,b or choice(a,b), range(start,stop,step) or glob(pattern,exclude=pattern) over the \
                options of a group; sort(...), shuffle(...) and casts go around them. The last override varies fastest. \
                Each line is quoted for xargs and for a shell:\n  \
                {command_name} ... | xargs -r -L1 -P2 train rows.npy\n\
                With a file of jobs, or - for standard input, each of its jobs is multiplied by the settings given."
    )]
    struct Args {
        /// folder in which each job gets a run folder of its own, by the setting trainer.run_dir
        #[argh(option, arg_name = "folder")]
        run_dir: Option<String>,
        /// as --run-dir, without the jobs whose run folder holds a finished run of the same settings
        #[argh(option, arg_name = "folder")]
        skip_done: Option<String>,
        /// do not compose each job first: they are settings of another program
        #[argh(switch)]
        no_check: bool,
        /// seed of shuffle() (default 0)
        #[argh(option, default = "0")]
        seed: u64,
        /// most jobs that there may be (default 100000)
        #[argh(option, default = "100_000")]
        max_jobs: usize,
        /// one JSON object a line: the job's number and its overrides
        #[argh(switch)]
        json: bool,
        /// end each job with a NUL character instead of a newline, for xargs -0
        #[argh(switch)]
        null: bool,
        /// output file, written whole or not at all (default: standard output)
        #[argh(option, short = 'o', arg_name = "file")]
        out: Option<PathBuf>,
    }
}

/// Size of an output block, in bytes.
const BLOCK: usize = 1 << 16;

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("sweep", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    ensure!(common.show_settings.is_none(), "--cfg: a sweep has settings for each job; compose prints those of one");
    ensure!(!(args.json && args.null), "--json or --null, not both");
    ensure!(args.run_dir.is_none() || args.skip_done.is_none(), "--run-dir or --skip-done, which does both");
    ensure!(!args.no_check || args.skip_done.is_none(), "--skip-done composes each job, --no-check does not");
    let form = match (args.json, args.null) {
        (true, _) => Form::Json,
        (_, true) => Form::Null,
        _ => Form::Line,
    };
    let sweeper = config::Sweeper::new(&common.sources, args.seed, args.max_jobs);
    let jobs = Jobs::read(&common, sweeper, args.max_jobs)?.in_folders(args.run_dir.or(args.skip_done.clone()));
    let sources = (!args.no_check).then_some(&common.sources);
    let done = check::check(&jobs, sources, args.skip_done.is_some(), form)?;

    let mut output = Output::create(cli::not_dash(args.out).as_deref()).context("the output")?;
    let mut block = String::with_capacity(BLOCK);
    for job in jobs.iter().filter(|job| !done.contains(&job.number)) {
        form.write(&job, &mut block)?;
        if block.len() >= BLOCK {
            output.write_all(block.as_bytes())?;
            block.clear();
        }
    }
    output.write_all(block.as_bytes())?;
    output.finish()?;
    Ok(Outcome::Done)
}
