//! The run log: events, to the run folder and to standard output as they come. A terminal gets none of them, but one
//! line at the end: a person follows the progress on standard error.

use crate::folder::LOG;
use anyhow::Context;
use events::{End, Event, Status};
use files::{Output, no_follow};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Read, Seek, SeekFrom, Write},
    path::Path,
};

pub struct Log {
    /// None in a terminal, and once it cannot be written any more. The run goes on: what it learns is worth more than
    /// its echo.
    stdout: Option<Output>,
    in_terminal: bool,
    file: Option<File>,
    /// Why standard output could not be written, unless its reader just went away.
    refused: Option<anyhow::Error>,
}

impl Log {
    /// Without a folder, events go to standard output alone. A resumed run's log is added to.
    pub fn open(folder: Option<&Path>, resumed: bool) -> anyhow::Result<Self> {
        let file = folder.map(|folder| {
            let path = folder.join(LOG);
            open(&path, resumed).with_context(|| path.display().to_string())
        });
        let in_terminal = io::stdout().is_terminal();
        let stdout = Some(Output::create(None)?).filter(|_| !in_terminal);
        Ok(Self { stdout, in_terminal, file: file.transpose()?, refused: None })
    }

    /// Tells an event.
    pub fn add(&mut self, event: &Event) -> anyhow::Result<()> {
        let line = event.to_line();
        if let Some(file) = &mut self.file {
            file.write_all(line.as_bytes()).context(LOG)?;
        }
        let told = self.stdout.as_mut().map(|stdout| stdout.write_all(line.as_bytes()).map_err(anyhow::Error::from));
        if let Some(Err(error)) = told {
            self.stdout = None;
            self.refused = Some(error).filter(|error| !cli::is_broken_pipe(error));
        }
        Ok(())
    }

    /// Tells how the run ended.
    pub fn end(&mut self, status: Status, reason: &str) -> anyhow::Result<()> {
        self.add(&Event::End(End { status, reason: reason.to_owned(), time: events::now() }))
    }

    /// Tells in a terminal, in a line, how the run went.
    ///
    /// # Errors
    /// When standard output could not be written, for instance on a full disk.
    pub fn close(self, closing: impl FnOnce() -> Option<String>) -> anyhow::Result<()> {
        if self.in_terminal
            && let Some(line) = closing()
        {
            // A terminal that was closed, which SIGHUP tells of, takes no more.
            let _ = cli::print(&line);
        }
        self.refused.map_or(Ok(()), |error| Err(error.context("not all events could be written")))
    }
}

fn open(path: &Path, resumed: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let is_other = path.symlink_metadata().is_ok_and(|meta| !meta.is_file());
    if resumed && is_other {
        return Err(io::Error::other("no regular file; expected the run's log"));
    }
    if !resumed {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return options.create_new(true).append(true).open(path),
        }
    }
    let mut file = no_follow(options.create(true).read(true).append(true)).open(path)?;
    cut_torn_line(&mut file)?;
    Ok(file)
}

/// Bytes that are read at a time from the end of a log.
const BLOCK: u64 = 4096;

/// Cuts off a last line without its end, which a run that was killed may have left.
fn cut_torn_line(file: &mut File) -> io::Result<()> {
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
    fn a_torn_last_line_is_cut_off() {
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
