//! Appending events to a spool.

use super::{RunFolder, holds_log_of};
use anyhow::Context;
use events::{Event, Start};
use std::{
    fs::File,
    io::Write,
    path::{self, PathBuf},
};

/// Appends events to the files of a spool.
pub struct SpoolWriter {
    pub(super) events: File,
    pub(super) folders: File,
    /// Absolute path of the folder that the log is read from; None if the input is a stream.
    pub(super) run_folder: Option<PathBuf>,
}

impl SpoolWriter {
    /// Appends `line`, the text of `event`, with a newline if it has none.
    ///
    /// # Errors
    /// If the files cannot be written, or there is no working folder.
    pub fn add(&mut self, line: &[u8], event: &Event) -> anyhow::Result<()> {
        // The folder first: the uploader looks it up when it reads the event.
        if let Event::Start(start) = event {
            let mut folder = serde_json::to_vec(&self.folder(start)?)?;
            folder.push(b'\n');
            self.folders.write_all(&folder)?;
        }
        self.events.write_all(line)?;
        if !line.ends_with(b"\n") {
            self.events.write_all(b"\n")?;
        }
        Ok(())
    }

    fn folder(&self, start: &Start) -> anyhow::Result<RunFolder> {
        let path = match &self.run_folder {
            Some(folder) => folder.clone(),
            None => path::absolute(&start.run_dir).with_context(|| format!("run_dir {:?}", start.run_dir))?,
        };
        let exists = path.is_dir() && (self.run_folder.is_some() || holds_log_of(&path, start));
        Ok(RunFolder { path, exists })
    }
}
