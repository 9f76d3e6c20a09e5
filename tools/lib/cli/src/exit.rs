//! How a tool ends.

use crate::{
    Arguments, Common, args,
    notes::{self, note},
    program, transient,
};
use std::{ffi::OsString, io, process::ExitCode};

/// Exit status: the work ran and its answer is no.
const NO: u8 = 1;
/// Exit status: an error that stays until somebody changes something.
const ERROR: u8 = 2;
/// Exit status: an error that may pass by itself, `EX_TEMPFAIL` of `sysexits.h`.
pub const TRANSIENT: u8 = 75;

/// What each exit status means, for manual pages; `docs/exit-status.md` has examples.
pub(crate) const EXIT_STATUS: [(&str, &str); 5] = [
    ("0", "Done."),
    ("1", "The work ran and its answer is no, for instance a gate missed; one line on standard error says why."),
    ("2", "Bad usage, input or I/O; one line on standard error says what, where, and what to do."),
    (
        "75",
        "An error that may pass by itself, for instance a full disk, a folder that another process is writing to, or a \
         server that does not answer; one line on standard error says what and where. The same command may succeed later.",
    ),
    ("128+n", "Signal n ended it."),
];

/// How the work of a tool ended, where it did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done: exit status 0.
    Done,
    /// The work ran and its answer is no, for instance a gate missed: exit status 1, and one line why.
    No(String),
    /// Another process says how it ended, on behalf of this one too: the exit status.
    Reported(u8),
    /// A signal ended it after it had saved its state: the exit status that a shell gives the signal, 128 + n.
    Signal(u8),
}

/// In place of an error: the tool has done all that it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("done")]
pub(crate) struct Done;

/// Runs a tool: parses its arguments, does `work`, and turns the result into an exit status.
///
/// 0 done, 1 the answer is no, 2 bad usage, input or I/O, 75 an error that may pass by itself. An error is one line on
/// standard error that begins with the tool's name. If the reader closes its end of the pipe (`| head`), the tool ends quietly with status 0.
pub fn run<A: Arguments>(tool: &str, work: impl FnOnce(A, Common) -> anyhow::Result<Outcome>) -> ExitCode {
    notes::set_tool(tool);
    let mut folder = None;
    let result = run_command::<A>(tool, program::arguments(), |args, common| {
        folder = common.run_folder();
        work(args, common)
    });
    exit(result, folder.as_deref())
}

/// Does the `work` of `command`, a tool or a command of the front command, whose arguments are `args`. `--help`,
/// `--version` and `--complete` are answered.
///
/// # Errors
/// One line: of the arguments, or of the work.
pub fn run_command<A: Arguments>(
    command: &str,
    args: impl Iterator<Item = OsString>,
    work: impl FnOnce(A, Common) -> anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
    match args::parse::<A>(command, args)? {
        args::Parsed::Arguments(mut args) => {
            let common = Common::new::<A>(args.take_common())?;
            work(args, common)
        }
        args::Parsed::Text(text) => print(&text).map(|()| Outcome::Done),
    }
}

/// As [`run`], for a tool whose arguments are no [`Arguments`]: the exit status, and the line on standard error, of
/// what `work` says.
pub fn run_without_arguments(tool: &str, work: impl FnOnce() -> anyhow::Result<Outcome>) -> ExitCode {
    notes::set_tool(tool);
    exit(work(), None)
}

fn exit(result: anyhow::Result<Outcome>, run_folder: Option<&str>) -> ExitCode {
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No(why)) => {
            note(&of_run(why, run_folder));
            ExitCode::from(NO)
        }
        Ok(Outcome::Signal(status) | Outcome::Reported(status)) => ExitCode::from(status),
        Err(error) if error.is::<Done>() || is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            note(&of_run(describe(&error), run_folder));
            ExitCode::from(if transient::may_pass(error.as_ref()) { TRANSIENT } else { ERROR })
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
pub fn describe(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        said if said.contains(&cause) => text,
        _ => format!("{text}: {cause}"),
    })
}

/// Writes `text` to standard output; unlike `println!`, does not panic where the reader has closed its end of the pipe.
///
/// # Errors
/// What the operating system says.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut output = files::Output::create(None)?;
    output.write_all(text.as_bytes())?;
    Ok(())
}

/// Whether an error is only that the reader of an output has closed its end of the pipe (EPIPE).
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
