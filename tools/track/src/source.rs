//! Where events come from.

use anyhow::{bail, ensure};
use files::Input;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The log of a run folder.
const LOG: &str = "events.ndjson";

/// An open log.
pub struct Source {
    pub input: Input,
    /// The run folder that the log was found in; None where its events say which one it is.
    pub run_folder: Option<PathBuf>,
}

impl Source {
    /// Standard input, a log, or the log in a run folder.
    ///
    /// # Errors
    /// When there is none, or when it is a device or a named pipe.
    pub fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self { input: cli::open(None, "run events")?, run_folder: None }) };
        let run_folder = path.is_dir().then(|| path.to_owned());
        let log = if path.is_dir() { path.join(LOG) } else { path.to_owned() };
        match fs::metadata(&log) {
            Ok(meta) if meta.is_file() || is_open_already(&log) => {}
            Ok(_) => bail!(
                "{}: no regular file; expected a log or a run folder (a pipe is read by: track < {0})",
                log.display()
            ),
            Err(_) => ensure!(run_folder.is_none(), "{}: no run folder: it has no {LOG}", path.display()),
        }
        Ok(Self { input: Input::open(Some(&log))?, run_folder })
    }
}

/// Whether the path is that of an open file, as `<(command)` and `/dev/stdin` are: whoever opened it knows what it is.
fn is_open_already(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}
