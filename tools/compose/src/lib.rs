//! `compose`: config groups and overrides in, one resolved document out.

use anyhow::{Context, bail};
use cli::{Common, Outcome};
use files::Output;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
};

cli::arguments! {
    groups: all,
    input: None,
    /// Composes config groups and overrides into one document, and tells how it comes about.
    #[argh(
        example = "{command_name} data=line data.rows=1000 --package data\n  {command_name} --info defaults-tree",
        note = "key=value changes a value, group=option chooses an option, +key=value adds, ++key=value \
                adds or changes, ~key deletes. Values are written as Hydra's: numbers, true, null, \
                [lists], {{key: value}}, 'quoted text'. Groups are looked for in ./configs (or --config-path), \
                then in each --config-dir, then in a copy inside the program."
    )]
    struct Args {
        /// only the part at this dotted key, for instance data
        #[argh(option, short = 'p', arg_name = "key")]
        package: Option<String>,
        /// put values in place of interpolations, which stay as they are otherwise
        #[argh(switch)]
        resolve: bool,
        /// tell instead how the document comes about: defaults (the configs in the order of merging), defaults-tree or
        /// searchpath, or origin (the file, line, choice or override that each setting is from)
        #[argh(option, arg_name = "defaults|defaults-tree|searchpath|origin")]
        info: Option<Info>,
        /// yaml or json (default: by the output file's name, otherwise yaml)
        #[argh(option, arg_name = "yaml|json")]
        format: Option<Format>,
        /// output file, written whole or not at all (default: standard output)
        #[argh(option, short = 'o', arg_name = "file")]
        out: Option<PathBuf>,
    }
}

/// How the document is written.
#[derive(Debug, Clone, Copy, argh::FromArgValue)]
enum Format {
    Yaml,
    Json,
}

/// What is told about a document.
#[derive(Debug, Clone, Copy)]
enum Info {
    Defaults,
    DefaultsTree,
    Searchpath,
    Origin,
}

/// Another word behind `--info`.
#[derive(Debug, thiserror::Error)]
#[error("expected defaults, defaults-tree, searchpath or origin")]
struct UnknownInfo;

impl FromStr for Info {
    type Err = UnknownInfo;

    fn from_str(name: &str) -> Result<Self, UnknownInfo> {
        match name {
            "defaults" => Ok(Self::Defaults),
            "defaults-tree" => Ok(Self::DefaultsTree),
            "searchpath" => Ok(Self::Searchpath),
            "origin" => Ok(Self::Origin),
            _ => Err(UnknownInfo),
        }
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("compose", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    let path = cli::not_dash(args.out.clone());
    let text = text(&args, &common, path.as_deref())?;
    let mut output = Output::create(path.as_deref()).context("the output")?;
    output.write_all(text.as_bytes())?;
    output.finish()?;
    Ok(Outcome::Done)
}

/// What is asked for.
fn text(args: &Args, common: &Common, path: Option<&Path>) -> anyhow::Result<String> {
    let Common { sources, overrides, .. } = common;
    let is_origin = matches!(args.info, Some(Info::Origin)) || common.show_settings == Some(cli::Shown::Origin);
    if is_origin {
        let package = args.package.as_deref().unwrap_or("");
        return Ok(config::origins(None, sources, overrides, package)?);
    }
    if let Some(info) = args.info {
        let explanation = config::explain(sources, overrides)?;
        return Ok(match info {
            Info::Defaults => explanation.defaults,
            Info::DefaultsTree => explanation.defaults_tree,
            Info::Searchpath | Info::Origin => explanation.searchpath,
        });
    }
    let misnamed = path.filter(|path| args.format.is_none() && files::promises_another(path, &["json", "yaml", "yml"]));
    if let Some(path) = misnamed {
        bail!("{}: settings are written as .yaml or .json, unless --format says how", path.display());
    }
    let compose = if args.resolve { config::compose } else { config::compose_raw };
    let mut document = compose(sources, overrides)?;
    document.warnings().iter().for_each(|warning| cli::note(warning));
    if let Some(key) = &args.package {
        document = document.package(key).context("--package")?;
    }
    let is_json = path.and_then(Path::extension).is_some_and(|extension| extension == "json");
    Ok(match args.format {
        Some(Format::Json) => document.to_json()?,
        None if is_json => document.to_json()?,
        Some(Format::Yaml) | None => header(args, &document) + &document.to_yaml(),
    })
}

/// With it, a part of a document is a config file that goes back to its place.
fn header(args: &Args, part: &config::Document) -> String {
    match &args.package {
        Some(key) if !key.is_empty() && part.get("").is_some_and(|node| node.as_map().is_some()) => {
            format!("# @package {key}\n")
        }
        _ => String::new(),
    }
}
