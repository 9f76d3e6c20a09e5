//! Opening an input.

use files::Input;
use std::path::Path;

/// Opens the file at `path`, or standard input where there is none. Where that is a terminal, a line on standard error
/// says that the tool reads `what` from it.
///
/// # Errors
/// When the file cannot be opened.
pub fn open(path: Option<&Path>, what: &str) -> anyhow::Result<Input> {
    if path.is_none() {
        crate::note_if_terminal(what);
    }
    Ok(Input::open(path)?)
}
