//! How a tool ends.

use crate::{Arguments, Common, args, message};
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::OnceLock,
};

/// The tool that runs in this process.
static TOOL: OnceLock<String> = OnceLock::new();

/// The tool ran; what was its answer?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done: exit status 0.
    Done,
    /// The work ran and its answer is no, for instance a gate missed: exit status 1, and one line why.
    No(String),
    /// A signal ended it in good order: the exit status that a shell gives the signal.
    Signal(u8),
}

/// Runs a tool: parses its arguments, does `work`, and turns the result into an exit status.
///
/// 0 done, 1 the answer is no, 2 bad usage, input or I/O. An error is one line on standard error
/// that begins with the tool's name. A reader that went away (`| head`) ends the tool quietly.
pub fn run<A: Arguments>(tool: &str, work: impl FnOnce(A, Common) -> anyhow::Result<Outcome>) -> ExitCode {
    let _ = TOOL.set(tool.to_owned());
    let mut folder = None;
    let result = match args::parse::<A>(tool) {
        Ok(args::Parsed::Arguments(mut args)) => Common::new::<A>(tool, args.take_common()).and_then(|common| {
            folder = common.run_folder();
            work(args, common)
        }),
        Ok(args::Parsed::Text(text)) => print(&text).map(|()| Outcome::Done),
        Err(error) => Err(error),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No(why)) => {
            complain(tool, &of_run(why, folder.as_deref()));
            ExitCode::from(1)
        }
        Ok(Outcome::Signal(status)) => ExitCode::from(status),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(tool, &of_run(describe(&error), folder.as_deref()));
            ExitCode::from(2)
        }
    }
}

/// The problem of a run whose `folder` the command line names: of several jobs, each says which it is.
fn of_run(problem: String, folder: Option<&str>) -> String {
    match folder {
        Some(folder) if !problem.contains(folder) => format!("{problem} (run folder {folder})"),
        _ => problem,
    }
}

/// The error and what caused it, without saying a cause twice that its error has named already.
fn describe(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        said if said.contains(&cause) => text,
        _ => format!("{text}: {cause}"),
    })
}

/// One line on standard error, of bounded length and without control characters; where that is closed there is nobody left to tell.
pub fn complain(tool: &str, problem: &str) {
    // In one write: what several processes of a pipe or a sweep say must not run into each other.
    let line = format!("{tool}: {}\n", message::line(problem));
    let _ = io::stderr().write_all(line.as_bytes());
}

/// As [`complain`], for the tool that runs.
pub(crate) fn remark(text: &str) {
    complain(TOOL.get().map_or("pipegrad", String::as_str), text);
}

/// Writes `text` to standard output; unlike `println!`, does not panic when the reader went away.
///
/// # Errors
/// What the operating system says.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut output = files::Output::create(None)?;
    output.write_all(text.as_bytes())?;
    Ok(())
}

/// Whether an error says no more than that the reader of an output went away.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
