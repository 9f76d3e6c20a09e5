//! A person who waits for a tool that waits for the person.

use files::Input;
use std::{
    io::{self, IsTerminal},
    path::Path,
};

/// Opens the file at `path`, or standard input where there is none. Where that is a terminal, a line on standard error
/// says that the tool reads `what` from it.
///
/// # Errors
/// When the file cannot be opened.
pub fn open(path: Option<&Path>, what: &str) -> anyhow::Result<Input> {
    if path.is_none() {
        say_if_terminal(what);
    }
    Ok(Input::open(path)?)
}

/// A line on standard error that the tool reads `what` from standard input, if that is a terminal.
pub fn say_if_terminal(what: &str) {
    if io::stdin().is_terminal() {
        crate::exit::remark(&format!("reading {what} from the terminal; end with Ctrl-D, or give a file"));
    }
}
