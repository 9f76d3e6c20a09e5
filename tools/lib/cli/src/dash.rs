//! `-`, which is standard input or output, as the value of a flag.

use crate::complete;
use anyhow::bail;
use argh::{FlagInfo, FlagInfoKind};
use std::path::{Path, PathBuf};

/// Stands for the argument `-`, which argh would take for a flag; no argument can hold a NUL.
pub(crate) const DASH: &str = "\0";

/// The flags whose file may be standard output or input.
const STREAMS: [&str; 2] = ["--out", "--from"];

/// `-` is standard input or output.
pub fn not_dash(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| path != Path::new(DASH))
}

/// Refuses `-` as the value of `flag`, which takes a folder.
///
/// # Errors
/// One line that names the flag.
pub fn no_dash(flag: &str, path: Option<&Path>) -> anyhow::Result<()> {
    if path == Some(Path::new(DASH)) {
        bail!("{flag} -: expected the name of a folder; standard output is none")
    }
    Ok(())
}

/// Sees to each `-` that is a flag's value: of `--out` it is standard output and of `--from` standard input, as the tool
/// has it; where another flag takes a file or a folder it is refused; elsewhere it is text.
pub(crate) fn as_values(args: Vec<String>, flags: &[FlagInfo<'_>]) -> anyhow::Result<Vec<String>> {
    let mut out = Vec::with_capacity(args.len());
    let mut awaits = None;
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let is_dash = arg == DASH || arg == "-";
        match awaits.take() {
            Some(flag) if is_dash => out.push(value(flag)?.to_owned()),
            Some(_) => out.push(arg),
            None if arg == "--" => {
                out.push(arg);
                out.extend(args);
                break;
            }
            None => {
                awaits = complete::find(flags, &arg).filter(|flag| matches!(flag.kind, FlagInfoKind::Option { .. }));
                out.push(arg);
            }
        }
    }
    Ok(out)
}

fn value(flag: &FlagInfo<'_>) -> anyhow::Result<&'static str> {
    match flag.kind {
        FlagInfoKind::Option { arg_name: "file" | "folder" | "config" } if STREAMS.contains(&flag.long) => Ok(DASH),
        FlagInfoKind::Option { arg_name: kind @ ("file" | "folder" | "config") } => {
            bail!("{} -: expected the name of a {kind}; standard input and output have none here", flag.long)
        }
        _ => Ok("-"),
    }
}
