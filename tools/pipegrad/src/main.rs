//! `pipegrad`: the front command, all tools in one program. `pipegrad train …` is the tool `train`, and so is a link to this
//! program of that name. Together they share most of their code: the one program takes a third of the space of all.

mod completion;
mod doctor;
mod init;
mod man;
mod programs;
mod tools;
mod words;

use anyhow::{Context, bail};
use cli::Outcome;
use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};
use tools::{TOOLS, Tool};

/// The flag that lists what links to this program may be called, as of busybox.
const LIST: &str = "--list";

/// The front command's own commands, likewise.
const COMMANDS: &[(&str, &str)] = &[
    (init::COMMAND, init::ABOUT),
    (doctor::COMMAND, doctor::ABOUT),
    (completion::COMMAND, "script that completes commands in a shell: bash, zsh, fish"),
    (man::COMMAND, "manual page of a tool"),
];

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
        Some(name) if ["--help", "-h", "help"].iter().any(|help| name == *help) => match only(args)? {
            Some(tool) => help(&tool),
            None => usage(),
        },
        Some(name) if name == init::COMMAND => init::run(args),
        Some(name) if name == doctor::COMMAND => doctor::run(args),
        Some(name) if name == completion::COMMAND => completion::script(only(args)?.as_deref()),
        Some(name) if name == completion::QUESTION => completion::answer(args.next().as_deref()),
        Some(name) if name == man::COMMAND => man::page(only(args)?.as_deref()),
        Some(name) if name == LIST => say_alone(args, &tools::contained_names()),
        Some(name) if name == "--version" => say_alone(args, &format!("pipegrad {}\n", env!("CARGO_PKG_VERSION"))),
        Some(name) => match name.to_str().and_then(tools::find) {
            Some(tool) => run(command(tool), args),
            None => bail!(near_tool(&name.display().to_string(), &own_words())),
        },
    }
}

/// The argument, if there is one.
fn only(mut args: impl Iterator<Item = OsString>) -> anyhow::Result<Option<OsString>> {
    let (first, more) = (args.next(), args.next());
    more.map_or(Ok(first), |more| bail!("{}: at most one argument is expected here", more.display()))
}

/// Prints the answer to a word behind which none is expected.
fn say_alone(mut args: impl Iterator<Item = OsString>, text: &str) -> anyhow::Result<Outcome> {
    match args.next() {
        None => say(text),
        Some(more) => bail!("{}: no argument is expected here", more.display()),
    }
}

/// `pipegrad help TOOL`.
fn help(name: &OsStr) -> anyhow::Result<Outcome> {
    match name.to_str().and_then(tools::find) {
        Some(tool) => run(command(tool), ["--help"]),
        None => bail!(near_tool(&name.display().to_string(), &[])),
    }
}

/// What may stand in place of a tool's name.
fn own_words() -> Vec<&'static str> {
    COMMANDS.iter().map(|(command, _)| *command).chain(["help", "--help", "--version", LIST]).collect()
}

/// The error of a word that is neither a tool's name nor one of `own`.
fn near_tool(name: &str, own: &[&'static str]) -> String {
    match config::did_you_mean(name, tools::names().chain(own.iter().copied())) {
        near if near.is_empty() => {
            let known = tools::names().chain(own.iter().copied().filter(|word| !word.starts_with('-')));
            format!("no tool {name:?}; there is {}", known.collect::<Vec<_>>().join(", "))
        }
        near => format!("no tool {name:?}{near}"),
    }
}

/// The command that runs a tool: this program, where it contains the tool; else the program of its name.
fn command(tool: &Tool) -> Command {
    match env::current_exe() {
        Ok(program) if tool.main.is_some() => {
            let mut command = Command::new(program);
            command.arg(tool.name);
            command
        }
        _ => Command::new(locate(tool.name)),
    }
}

/// The program of a tool's name beside this one, or else on PATH.
fn locate(tool: &str) -> PathBuf {
    let beside = env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(tool)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| Path::new(tool).to_owned())
}

/// Becomes the tool: its streams, its signals and its exit status are this process's own.
#[cfg(unix)]
fn run(mut command: Command, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<Outcome> {
    use std::os::unix::process::CommandExt;
    files::keep_stdout_closed();
    let error = command.args(args).exec();
    let program = command.get_program().display();
    if error.kind() == std::io::ErrorKind::NotFound {
        bail!("{program}: neither beside pipegrad nor on PATH; pipegrad doctor {program} says what to do");
    }
    Err(error).with_context(|| program.to_string())
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
    text.push_str("\nCommands:\n");
    for (command, does) in COMMANDS {
        text.push_str(&format!("  {command:<12}{does}\n"));
    }
    text.push_str(
        "\nExamples:\n  pipegrad gen-data rows=3 | pipegrad entropy\n  pipegrad init houses --template table\n\n\
         pipegrad <tool> --help says more of each, -h less; pipegrad --list names the tools that this program contains.\n",
    );
    say(&text)
}

fn say(text: &str) -> anyhow::Result<Outcome> {
    cli::print(text)?;
    Ok(Outcome::Done)
}
