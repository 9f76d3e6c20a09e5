//! The program that runs a tool: its own, or the front command, which contains the others.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    path::Path,
    process::{Command, ExitCode},
    sync::OnceLock,
};

/// A tool that the running program contains under another name than its own.
static CONTAINED: OnceLock<Contained> = OnceLock::new();

struct Contained {
    tool: &'static str,
    /// Words of the command line before the tool's arguments.
    words: usize,
}

/// Runs `main` of a tool that the running program contains: its arguments begin after `words` words of the command line,
/// 2 in `pipegrad tool …`, 1 where the program was called by the tool's name.
pub fn run_contained(tool: &'static str, words: usize, main: fn() -> ExitCode) -> ExitCode {
    CONTAINED.get_or_init(|| Contained { tool, words });
    main()
}

/// The arguments of the tool.
pub(crate) fn arguments() -> impl Iterator<Item = OsString> {
    env::args_os().skip(CONTAINED.get().map_or(1, |contained| contained.words))
}

/// The name that the program was called by.
pub fn called_as() -> Option<String> {
    let program = env::args_os().next()?;
    Path::new(&program).file_name().and_then(OsStr::to_str).map(str::to_owned)
}

/// A command that runs the tool again, without arguments.
///
/// # Errors
/// When the path of the program cannot be read.
pub fn this_tool() -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(CONTAINED.get().map(|contained| contained.tool));
    Ok(command)
}
