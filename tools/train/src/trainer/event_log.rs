//! The event log: each event goes to `events.ndjson` and to standard output as it happens. A terminal gets one closing
//! line in place of the events; progress is on standard error.

use crate::run_dir::LOG;
use anyhow::Context;
use events::{End, Event, Status};
use files::{Output, no_follow};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Read, Seek, SeekFrom, Write},
    path::Path,
};

pub struct EventLog {
    /// None in a terminal, and after a write error: training continues, and `events.ndjson` has the full log.
    stdout: Option<Output>,
    in_terminal: bool,
    file: Option<File>,
    /// The write error, unless it is a closed pipe.
    stdout_error: Option<anyhow::Error>,
}

impl EventLog {
    /// Of a rank that reports nothing.
    pub fn silent() -> Self {
        Self { stdout: None, in_terminal: false, file: None, stdout_error: None }
    }

    /// Without a folder, events go to standard output alone. A resumed run appends to its log.
    pub fn open(folder: Option<&Path>, resumed: bool) -> anyhow::Result<Self> {
        let file = folder.map(|folder| {
            let path = folder.join(LOG);
            open(&path, resumed).with_context(|| path.display().to_string())
        });
        let in_terminal = io::stdout().is_terminal();
        let stdout = Some(Output::create(None)?).filter(|_| !in_terminal);
        Ok(Self { stdout, in_terminal, file: file.transpose()?, stdout_error: None })
    }

    pub fn add(&mut self, event: &Event) -> anyhow::Result<()> {
        let line = event.to_line();
        if let Some(file) = &mut self.file {
            file.write_all(line.as_bytes()).context(LOG)?;
        }
        let written = self.stdout.as_mut().map(|stdout| stdout.write_all(line.as_bytes()).map_err(anyhow::Error::from));
        if let Some(Err(error)) = written {
            self.stdout = None;
            self.stdout_error = Some(error).filter(|error| !cli::is_broken_pipe(error));
        }
        Ok(())
    }

    /// Adds the last event.
    pub fn end(&mut self, status: Status, reason: &str) -> anyhow::Result<()> {
        self.add(&Event::End(End { status, reason: reason.to_owned(), time: events::now() }))
    }

    /// Prints the closing line, in a terminal.
    ///
    /// # Errors
    /// When standard output could not be written, for instance on a full disk.
    pub fn close(self, summary: impl FnOnce() -> Option<String>) -> anyhow::Result<()> {
        if self.in_terminal
            && let Some(line) = summary()
        {
            // The terminal may be closed: SIGHUP ended the run.
            let _ = cli::print(&line);
        }
        self.stdout_error.map_or(Ok(()), |error| Err(error.context("not all events could be written")))
    }
}

fn open(path: &Path, resumed: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let is_other = path.symlink_metadata().is_ok_and(|meta| !meta.is_file());
    if resumed && is_other {
        return Err(io::Error::other("not a regular file; expected the run's log"));
    }
    if !resumed {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return options.create_new(true).append(true).open(path),
        }
    }
    let mut file = no_follow(options.create(true).read(true).append(true)).open(path)?;
    truncate_partial_line(&mut file)?;
    Ok(file)
}

/// Bytes per read, from the end of a log backwards.
const BLOCK: u64 = 4096;

/// Removes a last line without its newline, which a killed run may have left.
fn truncate_partial_line(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut block = vec![0; (end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        if let Some(newline) = block.iter().rposition(|&byte| byte == b'\n') {
            end = start + newline as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length { file.set_len(end) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_partial_last_line_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let long = "x".repeat(10_000);
        for (before, after) in [
            (String::new(), String::new()),
            ("a\nb\n".into(), "a\nb\n".into()),
            ("a\nb".into(), "a\n".into()),
            ("torn".into(), String::new()),
            (format!("a\n{long}"), "a\n".into()),
            (format!("{long}\n{long}"), format!("{long}\n")),
            ("a\n\0\0\0".into(), "a\n".into()),
        ] {
            fs::write(&path, &before).unwrap();
            let mut log = open(&path, true).unwrap();
            log.write_all(b"z\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after + "z\n", "{:.20}", before);
        }
    }
}
