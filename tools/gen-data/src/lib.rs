//! `gen-data`: rows of random data, the same bytes from the same seed.

mod distribution;
mod generate;
mod settings;
mod shard;

use anyhow::Context;
use cli::{Common, Outcome};
use files::Output;
use records::{Encoding, Writer};
use shard::Shard;
use std::{path::PathBuf, process::ExitCode};

cli::arguments! {
    groups: ["data"],
    input: None,
    /// Generates rows of random data: probability vectors, or a noisy line.
    #[argh(
        example = "{command_name} rows=3 classes=4 seed=7",
        note = "The settings are those of config group data; choose an option with data=dirichlet, \
                data=softmax, data=edge or data=line. The same settings give the same bytes for any \
                number of threads, and shards in order give the rows of the whole."
    )]
    struct Args {
        /// output file, written whole or not at all (default: standard output)
        #[argh(option, short = 'o', arg_name = "file")]
        out: Option<PathBuf>,
        /// encoding: npy, ndjson or csv (default: by the output file's name, otherwise ndjson)
        #[argh(option, arg_name = "npy|ndjson|csv")]
        to: Option<Encoding>,
        /// only the i-th of n parts of the rows, for instance 2/4
        #[argh(option, default = "Shard::WHOLE")]
        shard: Shard,
        /// number of threads (default: all cores)
        #[argh(option)]
        threads: Option<usize>,
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("gen-data", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    cli::use_threads(args.threads)?;
    let document = common.settings([])?;
    let data = settings::read(&document)?;
    let rows = args.shard.range(data.rows);
    anyhow::ensure!(!rows.is_empty(), "--shard {} of {} rows is empty", args.shard, data.rows);
    let path = cli::not_dash(args.out);
    let to = cli::output_encoding(args.to, path.as_deref())?.unwrap_or(Encoding::Ndjson);
    let output = Output::create(path.as_deref()).context("the output")?;
    let mut writer = Writer::new(output, to, Some(rows.end - rows.start));
    generate::each_batch(&data, rows, |batch| Ok(writer.write(&batch)?))?;
    writer.finish()?;
    Ok(Outcome::Done)
}
