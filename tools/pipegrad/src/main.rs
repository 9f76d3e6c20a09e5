//! `pipegrad`: the front command, all tools in one program. `pipegrad train …` is the tool `train`, and so is a link to this
//! program of that name. Together they share most of their code: the one program takes a third of the space of all.

mod completion;
mod man;
mod tools;
mod words;

use anyhow::{Context, bail};
use cli::Outcome;
use std::{
    env,
    ffi::OsStr,
    process::{Command, ExitCode},
};
use tools::{TOOLS, Tool};

/// The flag that lists what links to this program may be called, as of busybox.
const LIST: &str = "--list";

fn main() -> ExitCode {
    // A link to this program, by the name of a tool, is that tool.
    let called = cli::called_as().unwrap_or_default();
    let word = env::args_os().nth(1).and_then(|word| word.into_string().ok()).unwrap_or_default();
    for (name, words) in [(called, 1), (word, 2)] {
        if let Some(Tool { name, main: Some(main), .. }) = tools::find(&name) {
            return cli::run_contained(name, words, *main);
        }
    }
    cli::run_without_arguments("pipegrad", work)
}

fn work() -> anyhow::Result<Outcome> {
    let mut args = env::args_os().skip(1);
    match args.next() {
        None => usage(),
        Some(name) if ["--help", "-h", "help"].iter().any(|help| name == *help) => usage(),
        Some(name) if name == completion::COMMAND => completion::script(args.next().as_deref()),
        Some(name) if name == completion::QUESTION => completion::answer(args.next().as_deref()),
        Some(name) if name == man::COMMAND => man::page(args.next().as_deref()),
        Some(name) if name == LIST => say(&tools::contained_names()),
        Some(name) if name == "--version" => say(&format!("pipegrad {}\n", env!("CARGO_PKG_VERSION"))),
        Some(name) => match name.to_str().and_then(tools::find) {
            Some(tool) => run(command(tool), args),
            None => bail!(near_tool(&name.display().to_string(), &own_commands())),
        },
    }
}

/// What `pipegrad` does beside running tools.
fn own_commands() -> [(&'static str, &'static str); 5] {
    [
        (completion::COMMAND, "script that completes commands in a shell"),
        (man::COMMAND, "manual page of a tool"),
        (LIST, "names of the tools that this program contains"),
        ("--help", "display usage information"),
        ("--version", "display the version"),
    ]
}

/// The error of a word that is neither a tool's name nor one of `own`.
fn near_tool(name: &str, own: &[(&'static str, &'static str)]) -> String {
    match config::did_you_mean(name, tools::names().chain(own.iter().map(|(name, _)| *name))) {
        near if near.is_empty() => {
            format!("no tool {name:?}; there is {}", tools::names().collect::<Vec<_>>().join(", "))
        }
        near => format!("no tool {name:?}{near}"),
    }
}

/// The command that runs a tool: this program, where it contains the tool; else the program of that name beside it, or on
/// PATH.
fn command(tool: &Tool) -> Command {
    let own = env::current_exe().ok();
    if let (Some(program), Some(_)) = (&own, tool.main) {
        let mut command = Command::new(program);
        command.arg(tool.name);
        return command;
    }
    let beside = own.and_then(|program| Some(program.parent()?.join(tool.name)));
    Command::new(beside.filter(|path| path.is_file()).unwrap_or_else(|| tool.name.into()))
}

/// Becomes the tool: its streams, its signals and its exit status are this process's own.
#[cfg(unix)]
fn run(mut command: Command, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<Outcome> {
    use std::os::unix::process::CommandExt;
    files::keep_stdout_closed();
    let error = command.args(args).exec();
    Err(error).with_context(|| command.get_program().display().to_string())
}

#[cfg(not(unix))]
fn run(mut command: Command, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<Outcome> {
    let status = command.args(args).status().with_context(|| command.get_program().display().to_string())?;
    match status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2) {
        0 => Ok(Outcome::Done),
        status => Ok(Outcome::Signal(status)),
    }
}

fn usage() -> anyhow::Result<Outcome> {
    let mut text =
        String::from("Usage: pipegrad <tool> [<arguments>]\n\nNeural nets from small Unix tools.\n\nTools:\n");
    for Tool { name, summary, .. } in TOOLS {
        text.push_str(&format!("  {name:<12}{summary}\n"));
    }
    text.push_str(
        "\nExample:\n  pipegrad gen-data rows=3 | pipegrad entropy\n\npipegrad <tool> --help says more of each, -h less.\n\
         pipegrad completion bash|zsh|fish prints a script that completes commands in that shell,\n\
         pipegrad man <tool> a manual page.\n",
    );
    say(&text)
}

fn say(text: &str) -> anyhow::Result<Outcome> {
    cli::print(text)?;
    Ok(Outcome::Done)
}
