//! `pipegrad`: the front command. `pipegrad train …` runs the tool `train`; needed where a shell has a builtin of a
//! tool's name (`export`).

mod completion;
mod words;

use anyhow::{Context, bail};
use cli::Outcome;
use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// The tools with their summaries, as `pipegrad --help` lists them.
const TOOLS: &[(&str, &str)] = &[
    ("compose", "settings -> one resolved YAML document"),
    ("sweep", "settings of several values -> one job a line"),
    ("gen-data", "nothing -> records of random data"),
    ("fetch-data", "nothing -> records of a dataset of images"),
    ("entropy", "records -> records with the entropy of a field"),
    ("relu", "records -> records with max(0, x) of a field"),
    ("train", "records -> run events, and a run folder"),
    ("track", "run events -> the same run events, logged to MLflow and to files"),
    ("export", "run folder -> ONNX model"),
    ("profile", "ONNX models -> MACs, FLOPs, bytes and least time of each layer"),
    ("trt-build", "ONNX model -> TensorRT engine and its manifest"),
    ("infer", "records -> records with a model's prediction"),
    ("serve", "ONNX models -> an HTTP and gRPC server"),
    ("score", "records with predictions -> metrics"),
    ("plot", "run events -> charts"),
    ("compare", "run folders -> one table, best first, and a gate"),
];

fn main() -> ExitCode {
    cli::run_without_arguments("pipegrad", work)
}

fn work() -> anyhow::Result<Outcome> {
    let mut args = env::args_os().skip(1);
    match args.next() {
        None => usage(),
        Some(name) if ["--help", "-h", "help"].iter().any(|help| name == *help) => usage(),
        Some(name) if name == completion::COMMAND => completion::script(args.next().as_deref()),
        Some(name) if name == completion::QUESTION => completion::answer(args.next().as_deref()),
        Some(name) if name == "--version" => say(&format!("pipegrad {}\n", env!("CARGO_PKG_VERSION"))),
        Some(name) => match TOOLS.iter().find(|(tool, _)| name == *tool) {
            Some((tool, _)) => run(&locate(tool), args),
            None => bail!(unknown(&name.display().to_string())),
        },
    }
}

/// The error of a word that is no tool's name.
fn unknown(name: &str) -> String {
    let own = [completion::COMMAND, "help", "--help", "--version"];
    let known: Vec<&str> = TOOLS.iter().map(|(tool, _)| *tool).collect();
    let near = config::did_you_mean(name, known.iter().copied().chain(own));
    match near {
        near if near.is_empty() => format!("no tool {name:?}; there is {}", known.join(", ")),
        near => format!("no tool {name:?}{near}"),
    }
}

/// The tool beside this program, or else the one on PATH.
fn locate(tool: &str) -> PathBuf {
    let beside = env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(tool)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| Path::new(tool).to_owned())
}

/// Becomes the tool: its streams, its signals and its exit status are this process's own.
#[cfg(unix)]
fn run(program: &Path, args: impl Iterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<Outcome> {
    use std::os::unix::process::CommandExt;
    files::keep_stdout_closed();
    let error = Command::new(program).args(args).exec();
    Err(error).with_context(|| program.display().to_string())
}

#[cfg(not(unix))]
fn run(program: &Path, args: impl Iterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<Outcome> {
    let status = Command::new(program).args(args).status().with_context(|| program.display().to_string())?;
    match status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2) {
        0 => Ok(Outcome::Done),
        status => Ok(Outcome::Signal(status)),
    }
}

fn usage() -> anyhow::Result<Outcome> {
    let mut text =
        String::from("Usage: pipegrad <tool> [<arguments>]\n\nNeural nets from small Unix tools.\n\nTools:\n");
    for (tool, does) in TOOLS {
        text.push_str(&format!("  {tool:<12}{does}\n"));
    }
    text.push_str(
        "\nExample:\n  pipegrad gen-data rows=3 | pipegrad entropy\n\npipegrad <tool> --help says more of each, -h less.\n\
         pipegrad completion bash|zsh|fish prints a script that completes commands in that shell.\n",
    );
    say(&text)
}

fn say(text: &str) -> anyhow::Result<Outcome> {
    cli::print(text)?;
    Ok(Outcome::Done)
}
