//! The run log: events, to standard output and to the run folder as they come.

use anyhow::Context;
use events::{End, Event, Status};
use records::Output;
use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
};

pub struct Log {
    /// None once it cannot be written any more. The run goes on: what it learns is worth more than its echo.
    stdout: Option<Output>,
    file: Option<File>,
    /// Why standard output could not be written, unless its reader just went away.
    refused: Option<anyhow::Error>,
}

impl Log {
    /// Without a folder, events go to standard output alone. A resumed run's log is added to.
    pub fn open(folder: Option<&Path>, resumed: bool) -> anyhow::Result<Self> {
        let file = folder.map(|folder| {
            let path = folder.join("events.ndjson");
            let mut options = OpenOptions::new();
            options.create(true).write(true).append(resumed).truncate(!resumed);
            options.open(&path).with_context(|| path.display().to_string())
        });
        Ok(Self { stdout: Some(Output::create(None)?), file: file.transpose()?, refused: None })
    }

    /// Tells an event.
    pub fn add(&mut self, event: &Event) -> anyhow::Result<()> {
        let line = event.to_line();
        if let Some(file) = &mut self.file {
            file.write_all(line.as_bytes()).context("events.ndjson")?;
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

    /// # Errors
    /// When standard output could not be written, for instance on a full disk.
    pub fn close(self) -> anyhow::Result<()> {
        self.refused.map_or(Ok(()), |error| Err(error.context("not all events could be written")))
    }
}
