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
    stdout: Output,
    file: Option<File>,
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
        Ok(Self { stdout: Output::create(None)?, file: file.transpose()? })
    }

    /// Tells an event.
    pub fn add(&mut self, event: &Event) -> anyhow::Result<()> {
        let line = event.to_line();
        // The folder first: it is there when the reader of standard output is gone.
        if let Some(file) = &mut self.file {
            file.write_all(line.as_bytes()).context("events.ndjson")?;
        }
        self.stdout.write_all(line.as_bytes())?;
        Ok(())
    }

    /// Tells how the run ended.
    pub fn end(&mut self, status: Status, reason: &str) -> anyhow::Result<()> {
        self.add(&Event::End(End { status, reason: reason.to_owned(), time: events::now() }))
    }
}
