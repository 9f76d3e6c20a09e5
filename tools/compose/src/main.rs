//! `compose`: config groups and overrides in, one resolved document out.

use anyhow::Context;
use cli::{Common, Outcome};
use records::Output;
use std::{io::Write, path::PathBuf, process::ExitCode, str::FromStr};

cli::arguments! {
    /// Composes config groups and overrides into one document, without interpolations.
    #[argh(
        example = "{command_name} data=line data.rows=1000 --package data",
        note = "key=value changes a value, group=option chooses an option, +key=value adds, ++key=value \
                adds or changes, ~key takes away. Values are written as Hydra's: numbers, true, null, \
                [lists], {{key: value}}, 'quoted text'. Groups are looked for in each --config-dir, then \
                in ./configs, then in a copy inside the program."
    )]
    struct Args {
        /// only the part at this dotted key, for instance data
        #[argh(option, arg_name = "key")]
        package: Option<String>,
        /// yaml or json (default: by the output file's name, otherwise yaml)
        #[argh(option)]
        format: Option<Format>,
        /// output file, written whole or not at all (default: standard output)
        #[argh(option, short = 'o')]
        out: Option<PathBuf>,
    }
}

/// How the document is written.
#[derive(Debug, Clone, Copy)]
enum Format {
    Yaml,
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "yaml" => Ok(Self::Yaml),
            "json" => Ok(Self::Json),
            _ => Err(format!("{name:?} is not yaml or json")),
        }
    }
}

fn main() -> ExitCode {
    cli::run("compose", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    common.no_input()?;
    let mut document = config::compose(&common.sources, &common.overrides)?;
    for warning in document.warnings() {
        // Where standard error is closed there is nobody left to tell; `eprintln!` would panic.
        let _ = writeln!(std::io::stderr(), "compose: {warning}");
    }
    if let Some(key) = &args.package {
        document = document.package(key)?;
    }
    let path = cli::not_dash(args.out);
    let is_json = path.as_deref().and_then(|path| path.extension()).is_some_and(|extension| extension == "json");
    let text = match args.format {
        Some(Format::Json) => document.to_json()?,
        None if is_json => document.to_json()?,
        Some(Format::Yaml) | None => document.to_yaml(),
    };
    let mut output = Output::create(path.as_deref()).context("the output")?;
    output.write_all(text.as_bytes())?;
    output.finish()?;
    Ok(Outcome::Done)
}
