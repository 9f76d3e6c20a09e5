//! The input: standard input, a log, or a run folder.

use anyhow::{bail, ensure};
use files::Input;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The log of a run folder.
const LOG: &str = "events.ndjson";

/// An open run log.
pub struct Source {
    pub input: Input,
    /// The run folder, if the input is one; None if the folder is the `run_dir` in the log.
    pub run_folder: Option<PathBuf>,
}

impl Source {
    /// Opens standard input (None), a log, or the log in a run folder.
    ///
    /// # Errors
    /// If there is no log at the path, or it is a device or a named pipe.
    pub fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self { input: cli::open(None, "run events")?, run_folder: None }) };
        let run_folder = path.is_dir().then(|| path.to_owned());
        let log = if path.is_dir() { path.join(LOG) } else { path.to_owned() };
        match fs::metadata(&log) {
            Ok(meta) if meta.is_file() || is_open_descriptor(&log) => {}
            Ok(_) => bail!(
                "{}: not a regular file; expected a log or a run folder (a pipe is read by: track < {0})",
                log.display()
            ),
            Err(_) => ensure!(run_folder.is_none(), "{}: not a run folder: it has no {LOG}", path.display()),
        }
        Ok(Self { input: Input::open(Some(&log))?, run_folder })
    }
}

/// Whether the path is an open file descriptor, as `<(command)` and `/dev/stdin` are. Those may be pipes: the shell that
/// opened them has a writer for them.
fn is_open_descriptor(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}
