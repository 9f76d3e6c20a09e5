//! Completion in bash, zsh and fish: the scripts, and the answers that they ask for.

use crate::{
    COMMANDS, command, doctor, init, man, run, say,
    tools::{self, TOOLS, Tool},
    words,
};
use anyhow::bail;
use cli::Outcome;
use std::{
    env,
    ffi::{OsStr, OsString},
    path::Path,
};

/// The name of the command that prints a script.
pub const COMMAND: &str = "completion";
/// The first argument of a script's question; the second is the line up to the cursor. A tool is asked in the same
/// way, by the words behind its name.
pub const QUESTION: &str = "--complete";

const SCRIPTS: [(&str, &str); 3] = [
    ("bash", include_str!("../completion/pipegrad.bash")),
    ("zsh", include_str!("../completion/pipegrad.zsh")),
    ("fish", include_str!("../completion/pipegrad.fish")),
];
/// Where a script names the commands that it completes.
const COMPLETED: &str = "@commands@";
/// Tools that a shell has a builtin of the same name for, which keeps its own completion.
const BUILTINS: [&str; 1] = ["export"];

/// Prints the script for `shell`.
pub fn script(shell: Option<&OsStr>) -> anyhow::Result<Outcome> {
    let shells = SCRIPTS.map(|(shell, _)| shell).join(", ");
    let Some(shell) = shell else { bail!("{COMMAND}: name the shell; there is {shells}") };
    let Some((_, script)) = SCRIPTS.iter().find(|(known, _)| shell == *known) else {
        bail!("{COMMAND}: no script for {:?}{}; there is {shells}", shell.display().to_string(), near(shell));
    };
    let tools = tools::names().filter(|tool| !BUILTINS.contains(tool));
    let commands: Vec<&str> = ["pipegrad"].into_iter().chain(tools).collect();
    say(&script.replace(COMPLETED, &commands.join(" ")))
}

/// A hint at the shell whose name is probably meant by `shell`.
fn near(shell: &OsStr) -> String {
    config::did_you_mean(&shell.display().to_string(), SCRIPTS.map(|(shell, _)| shell))
}

/// Answers what may stand at the end of `line`, in the form that the library `cli` describes.
pub fn answer(line: Option<&OsStr>) -> anyhow::Result<Outcome> {
    let home = env::var("HOME").ok();
    let words = words::split(&line.unwrap_or_default().to_string_lossy(), home.as_deref());
    // What stands before the command (`time train`, `A=b train`) is the shell's affair.
    let (current, before) = words.split_last().expect("the word at the cursor is always there");
    let is_command = |word: &String| name(word) == "pipegrad" || is_tool(name(word));
    let Some(at) = before.iter().position(is_command) else { return Ok(Outcome::Done) };
    let args = &before[at + 1..];
    if let Some(tool) = tools::find(name(&before[at])) {
        return ask(tool, args, current);
    }
    match args.split_first() {
        None => offer(current, &commands()),
        Some((word, args)) if word == init::COMMAND => init::run(question(args, current)),
        Some((word, args)) if word == doctor::COMMAND => doctor::run(question(args, current)),
        Some((word, [])) if word == COMMAND => offer(current, &SCRIPTS.map(|(shell, _)| (shell, ""))),
        Some((word, [])) if word == man::COMMAND => offer(current, &summaries()),
        Some((word, args)) => tools::find(word).map_or(Ok(Outcome::Done), |tool| ask(tool, args, current)),
    }
}

fn name(command: &str) -> &str {
    Path::new(command).file_name().and_then(OsStr::to_str).unwrap_or(command)
}

fn is_tool(name: &str) -> bool {
    tools::find(name).is_some()
}

/// Becomes the tool, which knows its flags and settings.
fn ask(tool: &Tool, args: &[String], current: &str) -> anyhow::Result<Outcome> {
    run(command(tool), question(args, current))
}

/// The arguments by which a tool, or a command, is asked.
fn question(args: &[String], current: &str) -> impl Iterator<Item = OsString> {
    let words = [QUESTION].into_iter().chain(args.iter().map(String::as_str)).chain([current]);
    words.map(OsString::from).collect::<Vec<_>>().into_iter()
}

/// The tools with their summaries.
fn summaries() -> Vec<(&'static str, &'static str)> {
    TOOLS.iter().map(|tool| (tool.name, tool.summary)).collect()
}

/// What may follow `pipegrad`.
fn commands() -> Vec<(&'static str, &'static str)> {
    let flags = [("--help", "display usage information"), ("--version", "display the version")];
    summaries().into_iter().chain(COMMANDS.iter().copied()).chain(flags).collect()
}

fn offer(current: &str, words: &[(&str, &str)]) -> anyhow::Result<Outcome> {
    let found = words.iter().filter(|(word, _)| word.starts_with(current));
    let found = found.filter(|(word, _)| !word.starts_with('-') || current.starts_with('-'));
    let lines: String = found.map(|(word, about)| format!("{word}\t{about}\n")).collect();
    say(&format!("words\t\n{lines}"))
}
