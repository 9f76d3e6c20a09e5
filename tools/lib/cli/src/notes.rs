//! Lines on standard error, each of which begins with the tool's name.

use crate::message;
use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
};

/// The tool that runs in this process.
static TOOL: OnceLock<String> = OnceLock::new();

/// The name that notes begin with from here on; the first one given stays.
pub(crate) fn set_tool(name: &str) {
    let _ = TOOL.set(name.to_owned());
}

/// One line on standard error: the tool's name and `text`, of bounded length and without control characters.
/// Nothing happens where standard error is closed.
pub fn note(text: &str) {
    write(&with_name(text));
}

/// The line that [`note`] writes, without its end.
pub(crate) fn with_name(text: &str) -> String {
    let tool = TOOL.get().map_or("pipegrad", String::as_str);
    format!("{tool}: {}", message::line(text))
}

/// Writes a line to standard error, in one write: lines of several processes of a pipe or a sweep do not mix.
/// `eprintln!` would panic where standard error is closed.
pub(crate) fn write(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Notes that the tool reads `what` from standard input, where that is a terminal and the tool would seem to hang.
pub fn note_if_terminal(what: &str) {
    if io::stdin().is_terminal() {
        note(&format!("reading {what} from the terminal; end with Ctrl-D, or give a file"));
    }
}
