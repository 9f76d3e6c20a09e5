//! `compare`: run folders in, one table out, best first; and a gate against a baseline.

mod bound;
mod columns;
mod csv_table;
mod encoding;
mod gate;
mod inputs;
mod json_table;
mod numbers;
mod ranked;
mod row;
mod row_names;
mod settings;
mod text_table;

use anyhow::{Context, ensure};
use cli::{Common, Encoding, Outcome};
use gate::Gate;
use ranked::RankedRows;
use settings::Settings;
use std::{path::PathBuf, process::ExitCode};

cli::arguments! {
    groups: ["compare"],
    input: Many,
    /// Compares runs: the settings that differ and the metrics, best first; repeated seeds as mean and interval.
    #[argh(
        example = "gen-data rows=2000 | entropy | train -o runs/a --quiet > /dev/null; {command_name} runs/a",
        note = "The settings are those of config group compare. Inputs are run folders and folders with run folders below, \
                such as that of a sweep; on standard input, their paths, one a line. --fail-if compares a metric of the \
                best row with numbers and the baseline's mean, 'val_loss>1.01*baseline', and holds only where the \
                whole interval of the difference lies beyond that bound. Exit status 1 means that it holds."
    )]
    struct Args {
        /// output file (default: standard output)
        #[argh(option, short = 'o', arg_name = "file")]
        out: Option<PathBuf>,
        /// table, md, csv or json (default: by the output file's name, otherwise table)
        #[argh(option, arg_name = "table|md|csv|json")]
        to: Option<Encoding>,
        /// metrics to show, separated by commas, instead of the default choice
        #[argh(option)]
        metrics: Option<String>,
        /// print the folder of the best finished run, and no table
        #[argh(switch)]
        best: bool,
        /// compare with this run folder, or this folder with runs of several seeds; may be given several times
        #[argh(option, arg_name = "folder")]
        baseline: Vec<PathBuf>,
        /// exit with status 1 if this holds of the best row, for instance 'val_loss>1.01*baseline'; may be given several
        /// times
        #[argh(option)]
        fail_if: Vec<Gate>,
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("compare", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    ensure!(!args.best || args.to.is_none(), "--best prints a path: no --to");
    ensure!(!args.best || args.metrics.is_none(), "--best prints a path: no --metrics");
    let out = cli::not_dash(args.out);
    let encoding = args.to.map_or_else(|| Encoding::of_output(out.as_deref().filter(|_| !args.best)), Ok)?;
    let document = common.settings([])?;
    let settings = Settings::read(&document, args.metrics.as_deref())?;
    let gates: &[Gate] = &args.fail_if;
    let names_baseline = gates.iter().any(Gate::names_baseline);
    ensure!(!names_baseline || !args.baseline.is_empty(), "--fail-if: which baseline? Name its folder with --baseline");
    let runs = inputs::read(&common.inputs, &args.baseline)?;
    let ranked = RankedRows::new(&runs, &settings)?;
    ranked.notes().iter().for_each(|note| cli::note(note));
    let text = match args.best {
        true => format!("{}\n", ranked.best()?.best_run(&ranked.monitor).folder.display()),
        false => encoding::table(&ranked, &settings, encoding)?,
    };
    let failures = gate::failures(gates, &ranked, &settings)?;
    match out {
        Some(path) => files::write_file(&path, text.as_bytes()).context("--out")?,
        // If the reader closes the pipe, the exit status still tells whether a gate holds.
        None => cli::print(&text).or_else(|error| if cli::is_broken_pipe(&error) { Ok(()) } else { Err(error) })?,
    }
    Ok(if failures.is_empty() { Outcome::Done } else { Outcome::No(failures.join("; ")) })
}
